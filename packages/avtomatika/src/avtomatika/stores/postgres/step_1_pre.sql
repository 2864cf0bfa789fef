-- Schema 1. Text is kept as bytea (UTF-8): it may hold U+0000, and bytes sort as the code points do.
-- `head` and `data` are JSON; other columns of a job repeat parts of `head` for queries.
CREATE TABLE meta (key text PRIMARY KEY, value bigint NOT NULL);
INSERT INTO meta VALUES ('nodes', 0), ('clock_floor', 0);

CREATE TABLE job (
  id        bytea PRIMARY KEY,
  version   bigint NOT NULL,
  client    bytea NOT NULL,
  blueprint bytea NOT NULL,
  status    text COLLATE "C" NOT NULL,
  created   bigint NOT NULL,
  ended     bigint,
  head      bytea NOT NULL,
  data      bytea NOT NULL
) WITH (fillfactor = 85);
CREATE INDEX job_by_age ON job (created, id);
CREATE INDEX job_by_client ON job (client, created, id);
CREATE INDEX job_by_status ON job (status, created, id);
CREATE INDEX job_by_blueprint ON job (blueprint, created, id);
CREATE INDEX job_by_client_status ON job (client, status, created, id);
CREATE INDEX job_by_client_blueprint ON job (client, blueprint, created, id);
CREATE INDEX job_by_end ON job (ended) WHERE ended IS NOT NULL;

CREATE TABLE label (
  client  bytea NOT NULL,
  name    bytea NOT NULL,
  value   bytea NOT NULL,
  created bigint NOT NULL,
  job     bytea NOT NULL,
  PRIMARY KEY (client, name, value, created, job)
);
CREATE INDEX label_by_value ON label (name, value, created, job);
CREATE INDEX label_by_job ON label (job);

CREATE TABLE fact (
  job     bytea NOT NULL,
  version bigint NOT NULL,
  body    bytea NOT NULL,
  PRIMARY KEY (job, version)
);

CREATE TABLE branch (
  job    bytea NOT NULL,
  opened bigint NOT NULL,
  place  bigint NOT NULL,
  body   bytea NOT NULL,
  PRIMARY KEY (job, opened, place)
);

CREATE TABLE message (
  id         bytea PRIMARY KEY,
  queue      bytea NOT NULL,
  job        bytea NOT NULL,
  visible_at bigint NOT NULL,
  priority   double precision NOT NULL,
  sent       bigint NOT NULL,
  owner      bytea,
  token      bytea,
  until      bigint,
  delivery   integer NOT NULL,
  available  bigint NOT NULL GENERATED ALWAYS AS (coalesce(until, visible_at)) STORED,
  body       bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.1);
CREATE INDEX message_in_turn ON message (queue, priority DESC, available, sent);
CREATE INDEX message_by_moment ON message (queue, available);
CREATE INDEX message_by_id ON message (queue, id);
CREATE SEQUENCE sending CACHE 1;

CREATE TABLE claim (
  key         bytea PRIMARY KEY,
  fingerprint bytea NOT NULL,
  job         bytea NOT NULL,
  expires_at  bigint NOT NULL
);
CREATE INDEX claim_by_expiry ON claim (expires_at);

-- `stamp` is another one with every value.
CREATE TABLE item (
  store bytea NOT NULL,
  key   bytea NOT NULL,
  stamp bigint NOT NULL,
  value bytea NOT NULL,
  PRIMARY KEY (store, key)
);
CREATE SEQUENCE stamps CACHE 1;

-- Documents may be lost: a crash of the server empties the table.
CREATE UNLOGGED TABLE doc (
  kind       bytea NOT NULL,
  key        bytea NOT NULL,
  body       bytea NOT NULL,
  expires_at bigint NOT NULL,
  version    bigint NOT NULL,
  PRIMARY KEY (kind, key)
) WITH (fillfactor = 70);
CREATE INDEX doc_by_expiry ON doc (expires_at);
CREATE SEQUENCE doc_version CACHE 1;

-- How many jobs stand where, in parts: each connection counts in one of its own, the sum of all is exact.
CREATE TABLE tally (
  client bytea NOT NULL,
  status text COLLATE "C" NOT NULL,
  part   integer NOT NULL,
  count  bigint NOT NULL,
  PRIMARY KEY (client, status, part)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX tally_loose ON tally (client, status, part) WHERE part <> 0;
CREATE TABLE total (
  status text COLLATE "C" NOT NULL,
  part   integer NOT NULL,
  count  bigint NOT NULL,
  PRIMARY KEY (status, part)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- What became of the latest batches, for those who lost the answer.
CREATE TABLE applied (
  id          text COLLATE "C" PRIMARY KEY,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  verdict     integer[] NOT NULL,
  robbed      bytea[],
  taken_n     integer[],
  taken_print bytea[],
  taken_job   bytea[],
  taken_until bigint[]
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX applied_by_age ON applied (at);

-- A batch of commits: number n of every array `…_n` is the commit that the row belongs to. No two commits of
-- a batch touch the same job, message, claim or item. Verdicts: 0 done, 1 key taken, 2 version conflict,
-- 3 lease lost, 4 the item moved. It is done at most once under its name.
CREATE FUNCTION commit_1(
  a_batch text, a_durable boolean, a_now bigint[],
  j_id bytea[], j_expected bigint[], j_version bigint[], j_client bytea[], j_blueprint bytea[],
  j_status text[], j_created bigint[], j_ended bigint[], j_head bytea[], j_data bytea[],
  c_n integer[], c_key bytea[], c_print bytea[], c_job bytea[], c_until bigint[],
  a_n integer[], a_id bytea[], a_token bytea[],
  g_n integer[], g_id bytea[],
  r_n integer[], r_id bytea[],
  p_n integer[], p_id bytea[], p_queue bytea[], p_job bytea[], p_visible bigint[], p_priority float8[],
  p_body bytea[], p_owner bytea[], p_token bytea[], p_until bigint[], p_delivery integer[],
  f_n integer[], f_job bytea[], f_version bigint[], f_body bytea[],
  b_n integer[], b_opened bigint[], b_place bigint[], b_body bytea[],
  s_n integer[], s_opened bigint[],
  l_n integer[], l_name bytea[], l_value bytea[],
  i_n integer[], i_store bytea[], i_key bytea[], i_stamp bigint[], i_value bytea[],
  OUT verdict integer[], OUT robbed bytea[],
  OUT taken_n integer[], OUT taken_print bytea[], OUT taken_job bytea[], OUT taken_until bigint[]
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  r record;
  size integer := cardinality(a_now);
  stored bigint[] := array_fill(0::bigint, ARRAY[cardinality(a_now)]);
  old_client bytea[] := array_fill(NULL::bytea, ARRAY[cardinality(a_now)]);
  old_status text[] := array_fill(NULL::text, ARRAY[cardinality(a_now)]);
  first bigint;
  wanted bigint;
  renewed bigint;
  written bigint;
  mine integer := 1 + pg_backend_pid() % 16;
  with_jobs boolean := false;
  ending boolean := false;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(a_batch, 0));
  SELECT d.verdict, d.robbed, d.taken_n, d.taken_print, d.taken_job, d.taken_until
    INTO verdict, robbed, taken_n, taken_print, taken_job, taken_until
    FROM applied d WHERE d.id = a_batch;
  IF FOUND THEN
    RETURN;
  END IF;
  IF NOT a_durable THEN
    PERFORM set_config('synchronous_commit', 'off', true);
  END IF;
  verdict := array_fill(0, ARRAY[size]);

  FOR r IN
    SELECT c.n, j.version, j.client, j.status FROM unnest(j_id) WITH ORDINALITY c (id, n)
      JOIN job j ON j.id = c.id ORDER BY j.id FOR NO KEY UPDATE OF j
  LOOP
    stored[r.n] := r.version;
    old_client[r.n] := r.client;
    old_status[r.n] := r.status;
  END LOOP;
  IF cardinality(a_id) + cardinality(g_id) + cardinality(r_id) + cardinality(p_id) > 0 THEN
    PERFORM 1 FROM unnest(a_id || g_id || r_id || p_id) c (id) JOIN message m ON m.id = c.id
      ORDER BY m.id FOR UPDATE OF m;
  END IF;
  IF cardinality(c_n) > 0 THEN
    FOR r IN
      SELECT c.n, k.fingerprint, k.job, k.expires_at FROM unnest(c_n, c_key) c (n, key)
        JOIN claim k ON k.key = c.key ORDER BY k.key FOR UPDATE OF k
    LOOP
      IF r.expires_at > a_now[r.n] THEN
        verdict[r.n] := 1;
        taken_n := taken_n || r.n;
        taken_print := taken_print || r.fingerprint;
        taken_job := taken_job || r.job;
        taken_until := taken_until || r.expires_at;
      END IF;
    END LOOP;
  END IF;
  FOR n IN 1..size LOOP
    IF j_id[n] IS NOT NULL THEN
      IF verdict[n] = 0 AND stored[n] <> j_expected[n] THEN
        verdict[n] := 2;
      END IF;
      with_jobs := with_jobs OR verdict[n] = 0;
      ending := ending OR j_ended[n] IS NOT NULL;
    END IF;
  END LOOP;
  IF cardinality(a_n) > 0 THEN
    FOR r IN
      SELECT c.n FROM unnest(a_n, a_id, a_token) c (n, id, token) LEFT JOIN message m ON m.id = c.id
        WHERE m.token IS DISTINCT FROM c.token OR m.until <= a_now[c.n]
    LOOP
      IF verdict[r.n] = 0 THEN
        verdict[r.n] := 3;
      END IF;
    END LOOP;
  END IF;
  IF cardinality(i_n) > 0 THEN
    PERFORM 1 FROM unnest(i_store, i_key) c (store, key) JOIN item i ON i.store = c.store AND i.key = c.key
      ORDER BY i.store, i.key FOR UPDATE OF i;
    FOR r IN
      SELECT c.n FROM unnest(i_n, i_store, i_key, i_stamp) c (n, store, key, stamp)
        LEFT JOIN item i ON i.store = c.store AND i.key = c.key
        WHERE c.stamp IS NOT NULL AND c.stamp <> coalesce(i.stamp, 0)
    LOOP
      verdict[r.n] := 4;
    END LOOP;
  END IF;

  IF cardinality(r_n) > 0 THEN
    SELECT array_agg(DISTINCT m.owner) INTO robbed FROM unnest(r_n, r_id) c (n, id)
      JOIN message m ON m.id = c.id WHERE m.owner IS NOT NULL AND verdict[c.n] = 0;
  END IF;
  IF cardinality(g_n) > 0 THEN
    DELETE FROM message m USING unnest(g_n, g_id) c (n, id) WHERE m.id = c.id AND verdict[c.n] = 0;
  END IF;
  IF cardinality(p_n) > 0 THEN
    first := nextval('sending') * 1048576;
    INSERT INTO message AS m
      (id, queue, job, visible_at, priority, sent, owner, token, until, delivery, body)
      SELECT c.id, c.queue, c.job, c.visible, c.priority, first + c.place, c.owner, c.token, c.until,
             c.delivery, c.body
        FROM unnest(p_n, p_id, p_queue, p_job, p_visible, p_priority, p_body, p_owner, p_token, p_until,
                    p_delivery)
             WITH ORDINALITY c (n, id, queue, job, visible, priority, body, owner, token, until, delivery, place)
        WHERE verdict[c.n] = 0
      ON CONFLICT (id) DO UPDATE SET queue = excluded.queue, job = excluded.job,
        visible_at = excluded.visible_at, priority = excluded.priority, sent = excluded.sent,
        owner = excluded.owner, token = excluded.token, until = excluded.until,
        delivery = excluded.delivery, body = excluded.body;
  END IF;
  IF cardinality(c_n) > 0 THEN
    UPDATE claim k SET fingerprint = c.print, job = c.job, expires_at = c.until
      FROM unnest(c_n, c_key, c_print, c_job, c_until) c (n, key, print, job, until)
      WHERE k.key = c.key AND k.expires_at <= a_now[c.n] AND verdict[c.n] = 0;
    GET DIAGNOSTICS renewed = ROW_COUNT;
    INSERT INTO claim (key, fingerprint, job, expires_at)
      SELECT c.key, c.print, c.job, c.until
        FROM unnest(c_n, c_key, c_print, c_job, c_until) c (n, key, print, job, until)
        WHERE verdict[c.n] = 0 AND NOT EXISTS (SELECT FROM claim k WHERE k.key = c.key) ORDER BY c.key;
    GET DIAGNOSTICS written = ROW_COUNT;
    SELECT count(*) INTO wanted FROM unnest(c_n) c (n) WHERE verdict[c.n] = 0;
    IF renewed + written <> wanted THEN
      RAISE unique_violation;  -- somebody took the key since we looked
    END IF;
  END IF;
  IF with_jobs THEN
    INSERT INTO job (id, version, client, blueprint, status, created, ended, head, data)
      SELECT c.id, c.version, c.client, c.blueprint, c.status, c.created, c.ended, c.head, c.data
        FROM unnest(j_id, j_version, j_client, j_blueprint, j_status, j_created, j_ended, j_head, j_data)
             WITH ORDINALITY c (id, version, client, blueprint, status, created, ended, head, data, n)
        WHERE c.id IS NOT NULL AND j_expected[c.n] = 0 AND verdict[c.n] = 0 ORDER BY c.id;
    UPDATE job j SET version = c.version, client = c.client, blueprint = c.blueprint, status = c.status,
        created = c.created, ended = c.ended, head = c.head, data = coalesce(c.data, j.data)
      FROM unnest(j_id, j_version, j_client, j_blueprint, j_status, j_created, j_ended, j_head, j_data)
           WITH ORDINALITY c (id, version, client, blueprint, status, created, ended, head, data, n)
      WHERE j.id = c.id AND j_expected[c.n] <> 0 AND verdict[c.n] = 0;
    WITH moved AS (
      SELECT t.client, t.status, sum(t.by) AS by FROM (
        SELECT c.client, c.status, 1 AS by
          FROM unnest(j_id, j_client, j_status) WITH ORDINALITY c (id, client, status, n)
          WHERE c.id IS NOT NULL AND verdict[c.n] = 0
        UNION ALL
        SELECT c.client, c.status, -1 FROM unnest(old_client, old_status) WITH ORDINALITY c (client, status, n)
          WHERE c.status IS NOT NULL AND verdict[c.n] = 0
      ) t GROUP BY t.client, t.status
    ), by_client AS (
      INSERT INTO tally AS t (client, status, part, count)
        SELECT m.client, m.status, mine, m.by FROM moved m WHERE m.by <> 0 ORDER BY m.client, m.status
        ON CONFLICT (client, status, part) DO UPDATE SET count = t.count + excluded.count
    )
    INSERT INTO total AS t (status, part, count)
      SELECT m.status, mine, sum(m.by) FROM moved m GROUP BY m.status HAVING sum(m.by) <> 0 ORDER BY m.status
      ON CONFLICT (status, part) DO UPDATE SET count = t.count + excluded.count;
    IF cardinality(l_n) > 0 THEN
      INSERT INTO label (client, name, value, created, job)
        SELECT j_client[c.n], c.name, c.value, j_created[c.n], j_id[c.n]
          FROM unnest(l_n, l_name, l_value) c (n, name, value) WHERE verdict[c.n] = 0;
    END IF;
    IF cardinality(s_n) > 0 THEN
      DELETE FROM branch b USING unnest(s_n, s_opened) c (n, opened)
        WHERE b.job = j_id[c.n] AND b.opened = c.opened AND verdict[c.n] = 0;
    END IF;
    IF cardinality(b_n) > 0 THEN
      INSERT INTO branch (job, opened, place, body)
        SELECT j_id[c.n], c.opened, c.place, c.body
          FROM unnest(b_n, b_opened, b_place, b_body) c (n, opened, place, body) WHERE verdict[c.n] = 0
        ON CONFLICT (job, opened, place) DO UPDATE SET body = excluded.body;
    END IF;
    IF ending THEN
      DELETE FROM branch b USING unnest(j_id, j_ended) WITH ORDINALITY c (id, ended, n)
        WHERE b.job = c.id AND c.ended IS NOT NULL AND verdict[c.n] = 0;
    END IF;
  END IF;
  IF cardinality(f_n) > 0 THEN
    INSERT INTO fact (job, version, body)
      SELECT c.job, c.version, c.body FROM unnest(f_n, f_job, f_version, f_body) c (n, job, version, body)
        WHERE verdict[c.n] = 0;
  END IF;
  IF cardinality(i_n) > 0 THEN
    DELETE FROM item i USING unnest(i_n, i_store, i_key, i_value) c (n, store, key, value)
      WHERE i.store = c.store AND i.key = c.key AND c.value IS NULL AND verdict[c.n] = 0;
    UPDATE item i SET stamp = nextval('stamps'), value = c.value
      FROM unnest(i_n, i_store, i_key, i_stamp, i_value) c (n, store, key, stamp, value)
      WHERE i.store = c.store AND i.key = c.key AND c.stamp > 0 AND c.value IS NOT NULL AND verdict[c.n] = 0;
    INSERT INTO item (store, key, stamp, value)
      SELECT c.store, c.key, nextval('stamps'), c.value
        FROM unnest(i_n, i_store, i_key, i_stamp, i_value) c (n, store, key, stamp, value)
        WHERE c.stamp = 0 AND c.value IS NOT NULL AND verdict[c.n] = 0 ORDER BY c.store, c.key;
    INSERT INTO item AS i (store, key, stamp, value)
      SELECT c.store, c.key, nextval('stamps'), c.value
        FROM unnest(i_n, i_store, i_key, i_stamp, i_value) c (n, store, key, stamp, value)
        WHERE c.stamp IS NULL AND c.value IS NOT NULL AND verdict[c.n] = 0 ORDER BY c.store, c.key
      ON CONFLICT (store, key) DO UPDATE SET stamp = excluded.stamp, value = excluded.value;
  END IF;
  INSERT INTO applied (id, verdict, robbed, taken_n, taken_print, taken_job, taken_until)
    VALUES (a_batch, verdict, robbed, taken_n, taken_print, taken_job, taken_until);
END
$$;

-- Up to `a_most` messages that are available, earlier queues first, leased. `place` is their order.
-- When few are due they are sorted; else each priority is looked at, for within one the index has the order:
-- messages of a far future are never walked over. Who asks `a_again`, because the answer was lost, gets what
-- was leased under the same name, if anything was.
CREATE FUNCTION lease_1(
  a_queues bytea[], a_owner bytea, a_now bigint, a_until bigint, a_most bigint, a_token text,
  a_again boolean
) RETURNS TABLE (
  place bigint, id bytea, queue bytea, job bytea, visible_at bigint, priority float8, body bytea,
  token bytea, delivery integer
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  few CONSTANT integer := 256;
  one bytea;
  due integer;
  level float8;
  taken bytea[];
  given bigint := 0;
BEGIN
  IF a_again THEN
    RETURN QUERY SELECT row_number() OVER (ORDER BY array_position(a_queues, m.queue), m.priority DESC, m.sent),
        m.id, m.queue, m.job, m.visible_at, m.priority, m.body, m.token, m.delivery
      FROM unnest(a_queues) c (queue) JOIN message m ON m.queue = c.queue
      WHERE m.available = a_until AND m.owner = a_owner
        AND split_part(convert_from(m.token, 'UTF8'), a_token, 1) = '';
    IF FOUND THEN
      RETURN;
    END IF;
  END IF;
  FOREACH one IN ARRAY a_queues LOOP
    EXIT WHEN given >= a_most;
    SELECT count(*) INTO due FROM (
      SELECT 1 FROM message m WHERE m.queue = one AND m.available <= a_now LIMIT few + 1) t;
    level := 'Infinity';
    WHILE due > 0 AND given < a_most LOOP
      IF due <= few THEN
        due := 0;
        WITH due_now AS MATERIALIZED (
          SELECT m.id, m.priority, m.available, m.sent FROM message m
            WHERE m.queue = one AND m.available <= a_now ORDER BY m.available LIMIT few + 1
        )
        SELECT array_agg(t.id) INTO taken FROM (
          SELECT m.id FROM due_now d JOIN message m ON m.id = d.id
            WHERE m.queue = one AND m.available <= a_now
            ORDER BY d.priority DESC, d.available, d.sent LIMIT a_most - given FOR UPDATE OF m SKIP LOCKED) t;
      ELSE
        SELECT m.priority INTO level FROM message m WHERE m.queue = one AND m.priority < level
          ORDER BY m.priority DESC LIMIT 1;
        EXIT WHEN NOT FOUND;
        SELECT array_agg(t.id) INTO taken FROM (
          SELECT m.id FROM message m WHERE m.queue = one AND m.priority = level AND m.available <= a_now
            ORDER BY m.available, m.sent LIMIT a_most - given FOR UPDATE SKIP LOCKED) t;
      END IF;
      RETURN QUERY UPDATE message m
        SET owner = a_owner, until = a_until, delivery = m.delivery + 1,
            token = convert_to(CASE WHEN given + c.n = 1 THEN a_token ELSE a_token || '-' || given + c.n END, 'UTF8')
        FROM unnest(taken) WITH ORDINALITY c (id, n) WHERE m.id = c.id
        RETURNING given + c.n, m.id, m.queue, m.job, m.visible_at, m.priority, m.body, m.token, m.delivery;
      given := given + coalesce(cardinality(taken), 0);
    END LOOP;
  END LOOP;
END
$$;

-- Up to `a_most` jobs that ended before a moment are forgotten, and what nobody asks for any more; how many jobs.
CREATE FUNCTION sweep_1(a_now bigint, a_before bigint, a_most bigint) RETURNS integer LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  old bytea[];
  mine integer := 1 + pg_backend_pid() % 16;
BEGIN
  SELECT array_agg(t.id) INTO old FROM (
    SELECT j.id FROM job j WHERE j.ended < a_before ORDER BY j.ended LIMIT a_most FOR UPDATE SKIP LOCKED) t;
  IF old IS NOT NULL THEN
    DELETE FROM fact f USING unnest(old) c (id) WHERE f.job = c.id;
    DELETE FROM label l USING unnest(old) c (id) WHERE l.job = c.id;
    WITH gone AS (
      DELETE FROM job j USING unnest(old) c (id) WHERE j.id = c.id RETURNING j.client, j.status
    ), counted AS (
      SELECT g.client, g.status, count(*) AS jobs FROM gone g GROUP BY g.client, g.status
    ), by_client AS (
      INSERT INTO tally AS t (client, status, part, count)
        SELECT c.client, c.status, mine, -c.jobs FROM counted c ORDER BY c.client, c.status
        ON CONFLICT (client, status, part) DO UPDATE SET count = t.count + excluded.count
    )
    INSERT INTO total AS t (status, part, count)
      SELECT c.status, mine, -sum(c.jobs) FROM counted c GROUP BY c.status ORDER BY c.status
      ON CONFLICT (status, part) DO UPDATE SET count = t.count + excluded.count;
  END IF;
  DELETE FROM claim k WHERE k.key IN (
    SELECT c.key FROM claim c WHERE c.expires_at <= a_now FOR UPDATE SKIP LOCKED);
  WITH loose AS MATERIALIZED (
    SELECT t.client, t.status, t.part FROM tally t WHERE t.part <> 0
      ORDER BY t.client, t.status, t.part FOR UPDATE SKIP LOCKED
  ), gone AS (
    DELETE FROM tally t USING loose l WHERE t.client = l.client AND t.status = l.status AND t.part = l.part
      RETURNING t.client, t.status, t.count
  )
  INSERT INTO tally AS t (client, status, part, count)
    SELECT g.client, g.status, 0, sum(g.count) FROM gone g GROUP BY g.client, g.status ORDER BY g.client, g.status
    ON CONFLICT (client, status, part) DO UPDATE SET count = t.count + excluded.count;
  DELETE FROM applied d WHERE d.id IN (
    SELECT a.id FROM applied a WHERE a.at < now() - interval '10 minutes' FOR UPDATE SKIP LOCKED);
  RETURN coalesce(cardinality(old), 0);
END
$$;

-- What time it is here, in milliseconds, and never less than before.
CREATE FUNCTION clock_1() RETURNS bigint LANGUAGE sql AS $$
  UPDATE meta SET value = greatest(value, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
    WHERE key = 'clock_floor' RETURNING value
$$;
