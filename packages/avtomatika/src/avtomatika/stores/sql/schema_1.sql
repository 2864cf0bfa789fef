-- Schema 1. `head` and `data` are JSON; the other columns of a job repeat parts of `head` for queries.
-- `sent` numbers the messages in the order of their sending.
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE job (
  id        TEXT PRIMARY KEY,
  client    TEXT NOT NULL,
  blueprint TEXT NOT NULL,
  status    TEXT NOT NULL,
  state     TEXT NOT NULL,
  created   INTEGER NOT NULL,
  updated   INTEGER NOT NULL,
  is_over   INTEGER NOT NULL,
  version   INTEGER NOT NULL,
  head      BLOB NOT NULL,
  data      BLOB NOT NULL
);
CREATE INDEX job_live ON job (id) WHERE is_over = 0;
CREATE INDEX job_by_age ON job (created, id);
CREATE INDEX job_by_client ON job (client, created, id);
CREATE INDEX job_by_end ON job (updated) WHERE is_over = 1;

CREATE TABLE fact (
  job     TEXT NOT NULL,
  version INTEGER NOT NULL,
  body    BLOB NOT NULL,
  PRIMARY KEY (job, version)
) WITHOUT ROWID;

CREATE TABLE branch (
  job  TEXT NOT NULL,
  task TEXT NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (job, task)
) WITHOUT ROWID;

CREATE TABLE message (
  id         TEXT PRIMARY KEY,
  queue      TEXT NOT NULL,
  job        TEXT NOT NULL,
  visible_at INTEGER NOT NULL,
  priority   REAL NOT NULL,
  body       BLOB NOT NULL,
  sent       INTEGER NOT NULL,
  owner      TEXT,
  token      TEXT,
  until      INTEGER,
  ttl        INTEGER,
  delivery   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE claim (
  key         TEXT PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  job         TEXT NOT NULL,
  expires_at  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX claim_by_expiry ON claim (expires_at);
