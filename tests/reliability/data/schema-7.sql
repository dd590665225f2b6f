BEGIN TRANSACTION;
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
INSERT INTO "deliveries" VALUES(1,1,2,500,'answered 500','Oops',1717244054.0,1717244114.0);
CREATE TABLE erased (
  tickets   INTEGER NOT NULL,
  messages  INTEGER NOT NULL,
  events    INTEGER NOT NULL,
  times     INTEGER NOT NULL,
  scrubbed  INTEGER NOT NULL
) STRICT;
INSERT INTO "erased" VALUES(0,0,0,0,0);
CREATE TABLE erased_ids (
  digest  BLOB PRIMARY KEY CHECK (length(digest) = 32)
) STRICT, WITHOUT ROWID;
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
INSERT INTO "events" VALUES(1,'evt_000001','ticket.updated',2,NULL,'{"changes":{"status":{"from":"open","to":"pending"}}}','key_000001','2024-06-01T12:14:14Z');
INSERT INTO "events" VALUES(2,'evt_000002','message.created',2,2,NULL,'key_000001','2024-06-01T12:14:14Z');
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
INSERT INTO "keys" VALUES(1,'key_000001','all',X'96DCAD026A4F7D0F96D0641779908DE5467F0502179A6EDDBEA94B9FF282F432','aaaa','tickets:read tickets:write',NULL,'2024-06-01T12:02:02Z','2024-06-01T12:51:51Z',NULL);
INSERT INTO "keys" VALUES(2,'key_000002','one workspace',X'48C5A6EB4D67E0E282D77C68C158366E31EF42045FC1D91611E7C6F8A3B6C795','aaaa','tickets:read tickets:write',2,'2024-06-01T12:03:03Z','2024-06-01T12:57:57Z',NULL);
INSERT INTO "keys" VALUES(3,'key_000003','read-only',X'4B97EB90743BBBA7AE3561E9BECAFC0D64F60F229672C487C02B4309E0188305','aaaa','tickets:read',NULL,'2024-06-01T12:04:04Z',NULL,NULL);
INSERT INTO "keys" VALUES(4,'key_000004','revoked',X'293BF03A6FB461D569FE275829CD4361568DC27AAC062790AFE7C07647106C76','aaaa','tickets:read tickets:write',NULL,'2024-06-01T12:05:05Z',NULL,'2024-06-01T12:06:06Z');
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
INSERT INTO "messages" VALUES(1,'msg_000001',1,'inbound','ann0@example.com','Ann "A" O''Hara','It does
not ''work''; it''s テスト.',NULL,'2024-06-01T12:08:08Z');
INSERT INTO "messages" VALUES(2,'msg_000002',2,'inbound','ann1@example.com',NULL,'It does
not ''work''; it''s テスト.',NULL,'2024-06-01T12:10:10Z');
INSERT INTO "messages" VALUES(3,'msg_000003',2,'outbound','bob@example.com','Bob','Thank you.','<p>Thank you.</p>','2024-06-01T12:12:12Z');
INSERT INTO "messages" VALUES(4,'msg_000004',3,'inbound','ann2@example.com',NULL,'It does
not ''work''; it''s テスト.',NULL,'2024-06-01T12:16:16Z');
INSERT INTO "messages" VALUES(5,'msg_000005',4,'inbound','ann3@example.com','Ann "A" O''Hara','It does
not ''work''; it''s テスト.',NULL,'2024-06-01T12:20:20Z');
INSERT INTO "messages" VALUES(6,'msg_000006',4,'outbound','bob@example.com','Bob','Thank you.','<p>Thank you.</p>','2024-06-01T12:22:22Z');
INSERT INTO "messages" VALUES(7,'msg_000007',5,'inbound','ann4@example.com',NULL,'It does
not ''work''; it''s テスト.',NULL,'2024-06-01T12:24:24Z');
INSERT INTO "messages" VALUES(8,'msg_000008',6,'inbound','ann5@example.com',NULL,'It does
not ''work''; it''s テスト.',NULL,'2024-06-01T12:28:28Z');
INSERT INTO "messages" VALUES(9,'msg_000009',6,'outbound','bob@example.com','Bob','Thank you.','<p>Thank you.</p>','2024-06-01T12:30:30Z');
INSERT INTO "messages" VALUES(10,'msg_000010',7,'inbound','ann6@example.com','Ann "A" O''Hara','It does
not ''work''; it''s テスト.',NULL,'2024-06-01T12:34:34Z');
INSERT INTO "messages" VALUES(11,'msg_000011',8,'inbound','ann7@example.com',NULL,'It does
not ''work''; it''s テスト.',NULL,'2024-06-01T12:36:36Z');
INSERT INTO "messages" VALUES(12,'msg_000012',8,'outbound','bob@example.com','Bob','Thank you.','<p>Thank you.</p>','2024-06-01T12:38:38Z');
INSERT INTO "messages" VALUES(13,'msg_000013',9,'inbound','ann8@example.com',NULL,'It does
not ''work''; it''s テスト.',NULL,'2024-06-01T12:42:42Z');
INSERT INTO "messages" VALUES(14,'msg_000014',10,'inbound','ann9@example.com','Ann "A" O''Hara','It does
not ''work''; it''s テスト.',NULL,'2024-06-01T12:46:46Z');
INSERT INTO "messages" VALUES(15,'msg_000015',10,'outbound','bob@example.com','Bob','Thank you.','<p>Thank you.</p>','2024-06-01T12:48:48Z');
INSERT INTO "messages" VALUES(16,'msg_000016',11,'inbound','ann10@example.com',NULL,'It does
not ''work''; it''s テスト.',NULL,'2024-06-01T12:50:50Z');
INSERT INTO "messages" VALUES(17,'msg_000017',12,'inbound','ann11@example.com',NULL,'It does
not ''work''; it''s テスト.',NULL,'2024-06-01T12:54:54Z');
INSERT INTO "messages" VALUES(18,'msg_000018',12,'outbound','bob@example.com','Bob','Thank you.','<p>Thank you.</p>','2024-06-01T12:56:56Z');
INSERT INTO "messages" VALUES(19,'msg_000019',13,'inbound','eve@example.com',NULL,'Hello',NULL,'2024-06-01T12:59:59Z');
CREATE TABLE sent_forms (
  seq     INTEGER PRIMARY KEY,
  digest  BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
  ticket  INTEGER NOT NULL REFERENCES tickets (seq)
) STRICT;
INSERT INTO "sent_forms" VALUES(1,X'ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB',1);
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
CREATE TABLE ticket_counts (
  workspace  INTEGER NOT NULL,
  block      INTEGER NOT NULL,
  status     TEXT NOT NULL,
  tickets    INTEGER NOT NULL CHECK (tickets >= 0),
  PRIMARY KEY (workspace, block, status)
) STRICT, WITHOUT ROWID;
INSERT INTO "ticket_counts" VALUES(0,-1,'closed',3);
INSERT INTO "ticket_counts" VALUES(0,-1,'open',6);
INSERT INTO "ticket_counts" VALUES(0,-1,'pending',2);
INSERT INTO "ticket_counts" VALUES(0,-1,'solved',2);
INSERT INTO "ticket_counts" VALUES(0,0,'closed',3);
INSERT INTO "ticket_counts" VALUES(0,0,'open',6);
INSERT INTO "ticket_counts" VALUES(0,0,'pending',2);
INSERT INTO "ticket_counts" VALUES(0,0,'solved',2);
INSERT INTO "ticket_counts" VALUES(1,-1,'closed',1);
INSERT INTO "ticket_counts" VALUES(1,-1,'open',5);
INSERT INTO "ticket_counts" VALUES(1,-1,'pending',2);
INSERT INTO "ticket_counts" VALUES(1,-1,'solved',2);
INSERT INTO "ticket_counts" VALUES(1,0,'closed',1);
INSERT INTO "ticket_counts" VALUES(1,0,'open',5);
INSERT INTO "ticket_counts" VALUES(1,0,'pending',2);
INSERT INTO "ticket_counts" VALUES(1,0,'solved',2);
INSERT INTO "ticket_counts" VALUES(2,-1,'closed',2);
INSERT INTO "ticket_counts" VALUES(2,-1,'open',1);
INSERT INTO "ticket_counts" VALUES(2,0,'closed',2);
INSERT INTO "ticket_counts" VALUES(2,0,'open',1);
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
, last_message INTEGER NOT NULL DEFAULT 0, waiting INTEGER NOT NULL DEFAULT 0 CHECK (waiting IN (0, 1))) STRICT;
INSERT INTO "tickets" VALUES(1,'tkt_000001',1,'Ticket 0 – grüße 😀','open','medium','ann0@example.com','Ann "A" O''Hara','web',NULL,NULL,'[]','2024-06-01T12:08:08Z','2024-06-01T12:08:08Z',1,1);
INSERT INTO "tickets" VALUES(2,'tkt_000002',1,'Ticket 1 – grüße 😀','pending','urgent','ann1@example.com',NULL,'api','agent 1',NULL,'[]','2024-06-01T12:10:10Z','2024-06-01T12:14:14Z',3,0);
INSERT INTO "tickets" VALUES(3,'tkt_000003',1,'Ticket 2 – grüße 😀','solved','urgent','ann2@example.com',NULL,'api','agent 2',NULL,'[]','2024-06-01T12:16:16Z','2024-06-01T12:18:18Z',4,0);
INSERT INTO "tickets" VALUES(4,'tkt_000004',2,'Ticket 3 – grüße 😀','open','medium','ann3@example.com','Ann "A" O''Hara','web',NULL,NULL,'[]','2024-06-01T12:20:20Z','2024-06-01T12:22:22Z',6,0);
INSERT INTO "tickets" VALUES(5,'tkt_000005',1,'Ticket 4 – grüße 😀','open','urgent','ann4@example.com',NULL,'api','agent 4',NULL,'[]','2024-06-01T12:24:24Z','2024-06-01T12:26:26Z',7,1);
INSERT INTO "tickets" VALUES(6,'tkt_000006',1,'Ticket 5 – grüße 😀','pending','urgent','ann5@example.com',NULL,'api','agent 5',NULL,'[]','2024-06-01T12:28:28Z','2024-06-01T12:32:32Z',9,0);
INSERT INTO "tickets" VALUES(7,'tkt_000007',1,'Ticket 6 – grüße 😀','open','medium','ann6@example.com','Ann "A" O''Hara','web',NULL,NULL,'[]','2024-06-01T12:34:34Z','2024-06-01T12:34:34Z',10,1);
INSERT INTO "tickets" VALUES(8,'tkt_000008',2,'Ticket 7 – grüße 😀','closed','urgent','ann7@example.com',NULL,'api','agent 7',NULL,'[]','2024-06-01T12:36:36Z','2024-06-01T12:40:40Z',12,0);
INSERT INTO "tickets" VALUES(9,'tkt_000009',1,'Ticket 8 – grüße 😀','open','urgent','ann8@example.com',NULL,'api','agent 8',NULL,'[]','2024-06-01T12:42:42Z','2024-06-01T12:44:44Z',13,1);
INSERT INTO "tickets" VALUES(10,'tkt_000010',1,'Ticket 9 – grüße 😀','open','medium','ann9@example.com','Ann "A" O''Hara','web',NULL,NULL,'[]','2024-06-01T12:46:46Z','2024-06-01T12:48:48Z',15,0);
INSERT INTO "tickets" VALUES(11,'tkt_000011',1,'Ticket 10 – grüße 😀','solved','urgent','ann10@example.com',NULL,'api','agent 10',NULL,'[]','2024-06-01T12:50:50Z','2024-06-01T12:52:52Z',16,0);
INSERT INTO "tickets" VALUES(12,'tkt_000012',2,'Ticket 11 – grüße 😀','closed','urgent','ann11@example.com',NULL,'api','agent 11',NULL,'[]','2024-06-01T12:54:54Z','2024-06-01T12:58:58Z',18,0);
INSERT INTO "tickets" VALUES(13,'tkt_Kept-by_import',1,'Imported','closed','medium','eve@example.com',NULL,'api',NULL,'fixed','["a", "b c"]','2024-06-01T12:59:59Z','2024-06-01T12:59:59Z',19,0);
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
INSERT INTO "users" VALUES(1,'user_000001','support@example.com','support@example.com','Support',NULL,NULL,1,'2024-06-01T12:00:00Z',NULL);
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
INSERT INTO "webhooks" VALUES(1,'hook_000001','http://127.0.0.1:9/keva',NULL,NULL,X'0000000000000000000000000000000000000000000000000000000000000000',NULL,NULL,1,1717244054.0,NULL,'2024-06-01T12:00:00Z');
CREATE TABLE workspaces (
  seq         INTEGER PRIMARY KEY,
  id          TEXT NOT NULL UNIQUE,
  name        TEXT NOT NULL,
  created_at  TEXT NOT NULL
) STRICT;
INSERT INTO "workspaces" VALUES(1,'ws_000001','Support','2024-06-01T12:00:00Z');
INSERT INTO "workspaces" VALUES(2,'ws_000002','Other','2024-06-01T12:01:01Z');
CREATE INDEX tickets_in_workspace             ON tickets (workspace);
CREATE INDEX tickets_in_workspace_with_status ON tickets (workspace, status);
CREATE INDEX tickets_with_status              ON tickets (status);
CREATE INDEX messages_of_ticket ON messages (ticket);
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
CREATE TRIGGER tickets_cannot_be_moved BEFORE UPDATE OF seq, workspace ON tickets BEGIN
  SELECT raise(ABORT, 'tickets cannot be moved: ticket_counts would be wrong');
END;
CREATE INDEX events_of_ticket ON events (ticket);
CREATE INDEX deliveries_due ON deliveries (webhook, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX tickets_by_last_message ON tickets (workspace, status, waiting, assigned_to IS NULL, last_message);
CREATE INDEX tickets_of_assignee     ON tickets (assigned_to, workspace, status, waiting, last_message)
  WHERE assigned_to IS NOT NULL;
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
COMMIT;
