-- Schema 1.
CREATE TABLE avtomatika_history (
  job_id     text NOT NULL,
  version    integer NOT NULL,
  at         timestamptz NOT NULL,
  client     text NOT NULL,
  blueprint  text NOT NULL,
  state      text NOT NULL,
  status     text NOT NULL,
  event_type text NOT NULL,
  worker_id  text,
  task_id    text,
  attempt    integer,
  data       jsonb NOT NULL,
  PRIMARY KEY (job_id, version)
);
CREATE INDEX avtomatika_history_at ON avtomatika_history (at);
CREATE TABLE avtomatika_history_schema (version integer NOT NULL);
INSERT INTO avtomatika_history_schema VALUES (1);
