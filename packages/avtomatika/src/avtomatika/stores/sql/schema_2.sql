-- Schema 2. An index for every list, in the order of the list; `label` holds what `head` says of labels.
CREATE INDEX job_by_status ON job (status, created, id);
CREATE INDEX job_by_blueprint ON job (blueprint, created, id);
CREATE INDEX job_by_client_status ON job (client, status, created, id);
CREATE INDEX job_by_client_blueprint ON job (client, blueprint, created, id);

CREATE TABLE label (
  client  TEXT NOT NULL,
  name    TEXT NOT NULL,
  value   TEXT NOT NULL,
  created INTEGER NOT NULL,
  job     TEXT NOT NULL,
  PRIMARY KEY (client, name, value, created, job)
) WITHOUT ROWID;
CREATE INDEX label_by_value ON label (name, value, created, job);

CREATE TABLE item (
  store TEXT NOT NULL,
  key   TEXT NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (store, key)
) WITHOUT ROWID;
