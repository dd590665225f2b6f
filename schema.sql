-- Keva's desk. `seq` is the order in which things were made, and is never shown; `id` is public.
-- Times are text in UTC, '2024-01-15T10:30:00Z', and are never ordered by.

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
  digest        BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),  -- SHA-256: the key itself is kept nowhere
  last_four     TEXT NOT NULL CHECK (length(last_four) = 4),
  scopes        TEXT NOT NULL CHECK (scopes IN ('tickets:read', 'tickets:write', 'tickets:read tickets:write')),
  workspace     INTEGER REFERENCES workspaces (seq),               -- null: all of them
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
  updated_at       TEXT NOT NULL,
  last_message     INTEGER NOT NULL DEFAULT 0,                              -- its seq: the order of the inbox
  waiting          INTEGER NOT NULL DEFAULT 0 CHECK (waiting IN (0, 1))     -- 1: the customer waits for an answer
) STRICT;

-- Each index ends in the row's seq, so it also gives the order of a list.
CREATE INDEX tickets_in_workspace             ON tickets (workspace);
CREATE INDEX tickets_in_workspace_with_status ON tickets (workspace, status);
CREATE INDEX tickets_with_status              ON tickets (status);

-- The inbox merges the runs of these, so that one index answers every filter; a create costs one entry in all.
CREATE INDEX tickets_by_last_message ON tickets (workspace, status, waiting, assigned_to IS NULL, last_message);
CREATE INDEX tickets_of_assignee     ON tickets (assigned_to, workspace, status, waiting, last_message)
  WHERE assigned_to IS NOT NULL;

-- The search asks for these; an ordinary ticket is in neither, so that creating one costs nothing more.
CREATE INDEX tickets_of_priority ON tickets (priority) WHERE priority <> 'medium';
CREATE INDEX tickets_with_tags   ON tickets (tags) WHERE tags <> '[]';

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

-- How many tickets there are, kept by the triggers in the transaction of each change, since counting them for each list
-- costs milliseconds per 100,000: by status, in each workspace and in all of them (workspace 0), as a whole (block -1)
-- and in each block of 4096 seqs. A deep page skips the blocks above it: OFFSET walks every row that it leaves out, which
-- at page 10,000 of a million tickets takes 10 to 150 ms. A block is small enough that walking in one is not noticed, and
-- large enough that a million tickets are 245 blocks.
-- One table with -1 and 0, since two tables would make each create write twice: a tenth slower.
CREATE TABLE ticket_counts (
  workspace  INTEGER NOT NULL,
  block      INTEGER NOT NULL,
  status     TEXT NOT NULL,
  tickets    INTEGER NOT NULL CHECK (tickets >= 0),
  PRIMARY KEY (workspace, block, status)
) STRICT, WITHOUT ROWID;

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

CREATE TRIGGER ticket_deleted AFTER DELETE ON tickets BEGIN
  UPDATE ticket_counts SET tickets = tickets - 1
  WHERE workspace IN (0, old.workspace) AND block IN (-1, old.seq / 4096) AND status = old.status;
  UPDATE erased SET tickets = max(tickets, old.seq);
END;

-- No verb does so yet. One that moves tickets must first keep the counts right.
CREATE TRIGGER tickets_cannot_be_moved BEFORE UPDATE OF seq, workspace ON tickets BEGIN
  SELECT raise(ABORT, 'tickets cannot be moved: ticket_counts would be wrong');
END;

-- What happened, in order: the history of every ticket, and the queue of every webhook. An event is stored in the
-- transaction of its change; what is told of it is made from the rows it names, so that no text is kept twice.
CREATE TABLE events (
  seq         INTEGER PRIMARY KEY,
  id          TEXT NOT NULL,                     -- random and never looked up: no index, which each create would pay
  type        TEXT NOT NULL CHECK (type IN ('ticket.created', 'ticket.updated', 'ticket.closed', 'message.created')),
  ticket      INTEGER REFERENCES tickets (seq),  -- null: made up by a test
  message     INTEGER REFERENCES messages (seq),
  details     TEXT CHECK (details IS NULL OR json_valid(details)),  -- what the rows no longer tell: the first priority, what changed
  done_by     TEXT NOT NULL,                     -- a key's id or a user's, 'fixed key', or 'keva' for a test
  created_at  TEXT NOT NULL
) STRICT;

CREATE INDEX events_of_ticket ON events (ticket);

CREATE TABLE webhooks (
  seq            INTEGER PRIMARY KEY,
  id             TEXT NOT NULL UNIQUE,
  url            TEXT,                               -- null: a function of a test's
  types          TEXT CHECK (json_type(types) = 'array'),  -- null: all
  workspace      INTEGER REFERENCES workspaces (seq),      -- null: all
  secret         BLOB NOT NULL CHECK (length(secret) = 32),
  old_secret     BLOB CHECK (length(old_secret) = 32),
  old_until      REAL,                               -- epoch seconds, as all times of deliveries are
  cursor         INTEGER NOT NULL,                   -- the seq of the last event that was tried or passed over
  failing_since  REAL,
  off_because    TEXT,
  created_at     TEXT NOT NULL
) STRICT;

CREATE TABLE deliveries (
  webhook   INTEGER NOT NULL REFERENCES webhooks (seq),
  event     INTEGER NOT NULL REFERENCES events (seq),
  tries     INTEGER NOT NULL,
  status    INTEGER,  -- of the last answer
  error     TEXT,     -- why the last try failed; null: delivered
  answer    TEXT,     -- how the last answer began
  tried_at  REAL NOT NULL,
  next_at   REAL,     -- null: settled
  PRIMARY KEY (webhook, event)
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_due ON deliveries (webhook, next_at) WHERE next_at IS NOT NULL;

-- Somebody of the team, who works in the inbox.
CREATE TABLE users (
  seq            INTEGER PRIMARY KEY,
  id             TEXT NOT NULL UNIQUE,
  email          TEXT NOT NULL,
  email_folded   TEXT NOT NULL UNIQUE,                              -- Unicode's case folding of it
  name           TEXT NOT NULL,
  password_hash  TEXT,                                              -- Werkzeug's scrypt; null: none was chosen yet
  workspace      INTEGER REFERENCES workspaces (seq),               -- null: all of them
  shortcuts      INTEGER NOT NULL DEFAULT 1 CHECK (shortcuts IN (0, 1)),
  created_at     TEXT NOT NULL,
  disabled_at    TEXT
) STRICT;

-- Who is signed in. The times of sessions and links are the machine's, in epoch seconds.
CREATE TABLE sessions (
  digest      BLOB PRIMARY KEY CHECK (length(digest) = 32),         -- SHA-256 of the token in the cookie
  user        INTEGER NOT NULL REFERENCES users (seq),
  expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Links that sign in once.
CREATE TABLE sign_in_links (
  digest         BLOB PRIMARY KEY CHECK (length(digest) = 32),      -- SHA-256 of the token in its address
  user           INTEGER NOT NULL REFERENCES users (seq),
  asks_password  INTEGER NOT NULL CHECK (asks_password IN (0, 1)),
  expires_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Forms of the inbox that were carried out, so that one sent twice is carried out once; the newest 10,000.
CREATE TABLE sent_forms (
  seq     INTEGER PRIMARY KEY,
  digest  BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),  -- SHA-256 of the form's id and of what was typed
  ticket  INTEGER NOT NULL REFERENCES tickets (seq)
) STRICT;

-- What was erased. Its seqs are never used again, since pages, webhooks and the index of words know by a seq how far they
-- have come; the triggers keep the highest of each table.
CREATE TABLE erased (
  tickets   INTEGER NOT NULL,
  messages  INTEGER NOT NULL,
  events    INTEGER NOT NULL,
  times     INTEGER NOT NULL,  -- how often; an index of words that knows of another number is made anew
  scrubbed  INTEGER NOT NULL   -- after how many of these times the file was written anew, without a trace
) STRICT;

INSERT INTO erased VALUES (0, 0, 0, 0, 0);

CREATE TRIGGER message_deleted AFTER DELETE ON messages BEGIN
  UPDATE erased SET messages = max(messages, old.seq);
END;

CREATE TRIGGER event_deleted AFTER DELETE ON events BEGIN
  UPDATE erased SET events = max(events, old.seq);
END;

-- The ids of what was erased, which no import brings back.
CREATE TABLE erased_ids (
  digest  BLOB PRIMARY KEY CHECK (length(digest) = 32)  -- SHA-256: an id from another tool may tell of somebody
) STRICT, WITHOUT ROWID;

-- A view without rows, to insert into: a new ticket with its first message and its event. One statement makes a create a
-- tenth cheaper than three do, since other threads get their turn between statements. Where an id is taken, nothing is
-- inserted.
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
