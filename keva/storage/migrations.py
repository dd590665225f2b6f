"""What brings a file from each schema to the next: frozen SQL, which is never edited once it was released."""

# What the first released schema made.
FIRST = """
CREATE TABLE workspaces (
  seq         INTEGER PRIMARY KEY,
  id          TEXT NOT NULL UNIQUE,
  name        TEXT NOT NULL,
  created_at  TEXT NOT NULL
) STRICT;
CREATE TABLE keys (
  seq           INTEGER PRIMARY KEY,
  id            TEXT NOT NULL UNIQUE,
  name          TEXT NOT NULL,
  digest        BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
  last_four     TEXT NOT NULL CHECK (length(last_four) = 4),
  scopes        TEXT NOT NULL CHECK (scopes IN ('tickets:read', 'tickets:write', 'tickets:read tickets:write')),
  workspace     INTEGER REFERENCES workspaces (seq),
  created_at    TEXT NOT NULL,
  last_used_at  TEXT,
  revoked_at    TEXT
) STRICT;
CREATE TABLE tickets (
  seq              INTEGER PRIMARY KEY,
  id               TEXT NOT NULL UNIQUE,
  workspace        INTEGER NOT NULL REFERENCES workspaces (seq),
  subject          TEXT NOT NULL,
  status           TEXT NOT NULL CHECK (status IN ('open', 'pending', 'solved', 'closed')),
  priority         TEXT NOT NULL CHECK (priority IN ('low', 'medium', 'high', 'urgent')),
  customer_email   TEXT NOT NULL,
  customer_name    TEXT,
  source           TEXT NOT NULL,
  assigned_to      TEXT,
  resolution_type  TEXT,
  tags             TEXT NOT NULL DEFAULT '[]' CHECK (json_type(tags) = 'array'),
  created_at       TEXT NOT NULL,
  updated_at       TEXT NOT NULL
) STRICT;
CREATE INDEX tickets_in_workspace             ON tickets (workspace);
CREATE INDEX tickets_in_workspace_with_status ON tickets (workspace, status);
CREATE INDEX tickets_with_status              ON tickets (status);
CREATE TABLE messages (
  seq           INTEGER PRIMARY KEY,
  id            TEXT NOT NULL UNIQUE,
  ticket        INTEGER NOT NULL REFERENCES tickets (seq),
  direction     TEXT NOT NULL CHECK (direction IN ('inbound', 'outbound')),
  sender_email  TEXT NOT NULL,
  sender_name   TEXT,
  body          TEXT NOT NULL,
  body_html     TEXT,
  created_at    TEXT NOT NULL
) STRICT;
CREATE INDEX messages_of_ticket ON messages (ticket);
"""

# What the table ticket_counts says, counted anew; schema.sql tells of -1, 0 and 4096.
COUNTED = """
SELECT workspace, -1 AS block, status, count(*) AS tickets FROM tickets GROUP BY 1, 2, 3
UNION ALL SELECT workspace, seq / 4096, status, count(*) FROM tickets GROUP BY 1, 2, 3
UNION ALL SELECT 0, -1, status, count(*) FROM tickets GROUP BY 1, 2, 3
UNION ALL SELECT 0, seq / 4096, status, count(*) FROM tickets GROUP BY 1, 2, 3
"""

# By the version that a file has before.
MIGRATIONS = {
    1: f"""
CREATE TABLE ticket_counts (
  workspace  INTEGER NOT NULL,
  block      INTEGER NOT NULL,
  status     TEXT NOT NULL,
  tickets    INTEGER NOT NULL CHECK (tickets >= 0),
  PRIMARY KEY (workspace, block, status)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER ticket_made AFTER INSERT ON tickets BEGIN
  INSERT INTO ticket_counts VALUES
    (new.workspace, -1, new.status, 1), (new.workspace, new.seq / 4096, new.status, 1),
    (0, -1, new.status, 1), (0, new.seq / 4096, new.status, 1)
  ON CONFLICT DO UPDATE SET tickets = tickets + 1;
END;

CREATE TRIGGER ticket_moved AFTER UPDATE OF status ON tickets WHEN old.status <> new.status BEGIN
  UPDATE ticket_counts SET tickets = tickets - 1
  WHERE workspace IN (0, old.workspace) AND block IN (-1, old.seq / 4096) AND status = old.status;
  INSERT INTO ticket_counts VALUES
    (new.workspace, -1, new.status, 1), (new.workspace, new.seq / 4096, new.status, 1),
    (0, -1, new.status, 1), (0, new.seq / 4096, new.status, 1)
  ON CONFLICT DO UPDATE SET tickets = tickets + 1;
END;

INSERT INTO ticket_counts {COUNTED};
""",
    2: """
DROP TRIGGER ticket_made;
DROP TRIGGER ticket_moved;

CREATE TRIGGER ticket_inserted AFTER INSERT ON tickets BEGIN
  INSERT INTO ticket_counts VALUES
    (new.workspace, -1, new.status, 1), (new.workspace, new.seq / 4096, new.status, 1),
    (0, -1, new.status, 1), (0, new.seq / 4096, new.status, 1)
  ON CONFLICT DO UPDATE SET tickets = tickets + 1;
END;

CREATE TRIGGER ticket_status_changed AFTER UPDATE OF status ON tickets WHEN old.status <> new.status BEGIN
  UPDATE ticket_counts SET tickets = tickets - 1
  WHERE workspace IN (0, old.workspace) AND block IN (-1, old.seq / 4096) AND status = old.status;
  INSERT INTO ticket_counts VALUES
    (new.workspace, -1, new.status, 1), (new.workspace, new.seq / 4096, new.status, 1),
    (0, -1, new.status, 1), (0, new.seq / 4096, new.status, 1)
  ON CONFLICT DO UPDATE SET tickets = tickets + 1;
END;

CREATE TRIGGER tickets_cannot_be_deleted BEFORE DELETE ON tickets BEGIN
  SELECT raise(ABORT, 'tickets cannot be deleted: ticket_counts would be wrong');
END;

CREATE TRIGGER tickets_cannot_be_moved BEFORE UPDATE OF seq, workspace ON tickets BEGIN
  SELECT raise(ABORT, 'tickets cannot be moved: ticket_counts would be wrong');
END;
""",
    3: """
CREATE TABLE events (
  seq         INTEGER PRIMARY KEY,
  id          TEXT NOT NULL,
  type        TEXT NOT NULL CHECK (type IN ('ticket.created', 'ticket.updated', 'ticket.closed', 'message.created')),
  ticket      INTEGER REFERENCES tickets (seq),
  message     INTEGER REFERENCES messages (seq),
  details     TEXT CHECK (details IS NULL OR json_valid(details)),
  done_by     TEXT NOT NULL,
  created_at  TEXT NOT NULL
) STRICT;

CREATE INDEX events_of_ticket ON events (ticket);

CREATE TABLE webhooks (
  seq            INTEGER PRIMARY KEY,
  id             TEXT NOT NULL UNIQUE,
  url            TEXT,
  types          TEXT CHECK (json_type(types) = 'array'),
  workspace      INTEGER REFERENCES workspaces (seq),
  secret         BLOB NOT NULL CHECK (length(secret) = 32),
  old_secret     BLOB CHECK (length(old_secret) = 32),
  old_until      REAL,
  cursor         INTEGER NOT NULL,
  failing_since  REAL,
  off_because    TEXT,
  created_at     TEXT NOT NULL
) STRICT;

CREATE TABLE deliveries (
  webhook   INTEGER NOT NULL REFERENCES webhooks (seq),
  event     INTEGER NOT NULL REFERENCES events (seq),
  tries     INTEGER NOT NULL,
  status    INTEGER,
  error     TEXT,
  answer    TEXT,
  tried_at  REAL NOT NULL,
  next_at   REAL,
  PRIMARY KEY (webhook, event)
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_due ON deliveries (webhook, next_at) WHERE next_at IS NOT NULL;
""",
    4: """
CREATE TABLE users (
  seq            INTEGER PRIMARY KEY,
  id             TEXT NOT NULL UNIQUE,
  email          TEXT NOT NULL,
  email_folded   TEXT NOT NULL UNIQUE,
  name           TEXT NOT NULL,
  password_hash  TEXT,
  workspace      INTEGER REFERENCES workspaces (seq),
  shortcuts      INTEGER NOT NULL DEFAULT 1 CHECK (shortcuts IN (0, 1)),
  created_at     TEXT NOT NULL,
  disabled_at    TEXT
) STRICT;

CREATE TABLE sessions (
  digest      BLOB PRIMARY KEY CHECK (length(digest) = 32),
  user        INTEGER NOT NULL REFERENCES users (seq),
  expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sign_in_links (
  digest         BLOB PRIMARY KEY CHECK (length(digest) = 32),
  user           INTEGER NOT NULL REFERENCES users (seq),
  asks_password  INTEGER NOT NULL CHECK (asks_password IN (0, 1)),
  expires_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The first user, without a password; the id is 20 random characters of [0-9a-z].
INSERT INTO users (id, email, email_folded, name, created_at)
WITH RECURSIVE places (place) AS (SELECT 1 UNION ALL SELECT place + 1 FROM places WHERE place < 20)
SELECT 'user_' || group_concat(substr('0123456789abcdefghijklmnopqrstuvwxyz', 1 + abs(random() % 36), 1), ''),
       'support@example.com', 'support@example.com', 'Support', strftime('%Y-%m-%dT%H:%M:%SZ', 'now')
FROM places;
""",
    5: """
ALTER TABLE tickets ADD COLUMN last_message INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tickets ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0 CHECK (waiting IN (0, 1));

UPDATE tickets SET (last_message, waiting) = (
  SELECT seq, direction = 'inbound' AND tickets.status IN ('open', 'pending')
  FROM messages WHERE ticket = tickets.seq ORDER BY seq DESC LIMIT 1)
WHERE EXISTS (SELECT 1 FROM messages WHERE ticket = tickets.seq);

CREATE INDEX tickets_by_last_message ON tickets (workspace, status, waiting, assigned_to IS NULL, last_message);
CREATE INDEX tickets_of_assignee     ON tickets (assigned_to, workspace, status, waiting, last_message)
  WHERE assigned_to IS NOT NULL;

CREATE TABLE sent_forms (
  seq     INTEGER PRIMARY KEY,
  digest  BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
  ticket  INTEGER NOT NULL REFERENCES tickets (seq)
) STRICT;
""",
    6: """
DROP TRIGGER tickets_cannot_be_deleted;

CREATE TABLE erased (
  tickets   INTEGER NOT NULL,
  messages  INTEGER NOT NULL,
  events    INTEGER NOT NULL,
  times     INTEGER NOT NULL,
  scrubbed  INTEGER NOT NULL
) STRICT;

INSERT INTO erased VALUES (0, 0, 0, 0, 0);

CREATE TABLE erased_ids (
  digest  BLOB PRIMARY KEY CHECK (length(digest) = 32)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER ticket_deleted AFTER DELETE ON tickets BEGIN
  UPDATE ticket_counts SET tickets = tickets - 1
  WHERE workspace IN (0, old.workspace) AND block IN (-1, old.seq / 4096) AND status = old.status;
  UPDATE erased SET tickets = max(tickets, old.seq);
END;

CREATE TRIGGER message_deleted AFTER DELETE ON messages BEGIN
  UPDATE erased SET messages = max(messages, old.seq);
END;

CREATE TRIGGER event_deleted AFTER DELETE ON events BEGIN
  UPDATE erased SET events = max(events, old.seq);
END;

CREATE INDEX tickets_of_priority ON tickets (priority) WHERE priority <> 'medium';
CREATE INDEX tickets_with_tags   ON tickets (tags) WHERE tags <> '[]';
""",
    7: """
CREATE VIEW new_tickets
  (id, workspace, subject, status, priority, customer_email, customer_name, source, created_at,
   message_id, body, event_id, done_by)
AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE false;

CREATE TRIGGER ticket_created INSTEAD OF INSERT ON new_tickets BEGIN
  SELECT raise(IGNORE) WHERE EXISTS (SELECT 1 FROM tickets WHERE id = new.id)
    OR EXISTS (SELECT 1 FROM messages WHERE id = new.message_id);

  INSERT INTO tickets
    (seq, id, workspace, subject, status, priority, customer_email, customer_name, source, created_at, updated_at,
     last_message, waiting)
  SELECT
    1 + max(tickets, ifnull((SELECT max(seq) FROM tickets), 0)), new.id, new.workspace, new.subject, new.status,
    new.priority, new.customer_email, new.customer_name, new.source, new.created_at, new.created_at,
    1 + max(messages, ifnull((SELECT max(seq) FROM messages), 0)), 1
  FROM erased;

  INSERT INTO messages (seq, id, ticket, direction, sender_email, sender_name, body, created_at)
  SELECT
    last_message, new.message_id, seq, 'inbound', new.customer_email, new.customer_name, new.body, new.created_at
  FROM tickets WHERE seq = last_insert_rowid();

  INSERT INTO events (seq, id, type, ticket, details, done_by, created_at)
  SELECT
    1 + max(events, ifnull((SELECT max(seq) FROM events), 0)), new.event_id, 'ticket.created',
    (SELECT max(seq) FROM tickets), json_object('priority', new.priority), new.done_by, new.created_at
  FROM erased;
END;
""",
}
