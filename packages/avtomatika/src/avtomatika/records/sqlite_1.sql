-- Schema 1. Moments are UTC, as ISO 8601 with milliseconds; `data` is JSON.
CREATE TABLE avtomatika_history (
  job_id     TEXT NOT NULL,
  version    INTEGER NOT NULL,
  at         TEXT NOT NULL,
  client     TEXT NOT NULL,
  blueprint  TEXT NOT NULL,
  state      TEXT NOT NULL,
  status     TEXT NOT NULL,
  event_type TEXT NOT NULL,
  worker_id  TEXT,
  task_id    TEXT,
  attempt    INTEGER,
  data       TEXT NOT NULL,
  PRIMARY KEY (job_id, version)
);
CREATE INDEX avtomatika_history_at ON avtomatika_history (at);
CREATE TABLE avtomatika_history_schema (version INTEGER NOT NULL);
INSERT INTO avtomatika_history_schema VALUES (1);
