// The schema, as numbered migrations. Migration n takes a database from user_version n-1
// to n; all that are missing run in one transaction (migrate.ts), so a database is never
// between two versions. A migration that has been released is never edited.

/** Marks a file as ours in its header: "QCTL" as a big-endian integer. */
export const APPLICATION_ID = 0x5143544c;

const V1 = `
-- One-off facts: database_id (text, made once) and run_token (the last one handed out).
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value ANY  NOT NULL
) STRICT, WITHOUT ROWID;

-- What 'config set' stored; a setting that was never set has no row.
CREATE TABLE setting (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE queue (
  key       INTEGER PRIMARY KEY,
  name      TEXT    NOT NULL UNIQUE,
  log_bytes INTEGER NOT NULL DEFAULT 0  -- output kept of all its jobs; see the triggers below
) STRICT;

-- Where jobs were enqueued from. A million jobs from one shell share one row.
CREATE TABLE place (
  key  INTEGER PRIMARY KEY,
  cwd  TEXT NOT NULL,
  path TEXT              -- PATH of the caller; NULL: it had none
) STRICT;
CREATE INDEX place_by_value ON place (cwd, path);

CREATE TABLE job (
  -- AUTOINCREMENT: a deleted job's key is never given to another one, because it names
  -- log files and is half of what finds an attempt.
  key          INTEGER PRIMARY KEY AUTOINCREMENT,
  id           TEXT    NOT NULL UNIQUE,
  state        TEXT    NOT NULL CHECK (state IN (
    'blocked', 'pending', 'processing', 'completed', 'failed', 'dead', 'cancelled')),
  queue        INTEGER NOT NULL,
  priority     INTEGER NOT NULL,
  kind         INTEGER NOT NULL,  -- 0: command
  spec_version INTEGER NOT NULL,
  command      TEXT    NOT NULL,  -- what people read and search
  spec         TEXT,              -- JSON, the rest of what was asked; NULL: nothing else
  place        INTEGER NOT NULL,
  tags         TEXT,              -- JSON object of strings; NULL: none
  attempts     INTEGER NOT NULL,  -- charged since it was enqueued or last retried
  last_attempt INTEGER NOT NULL,  -- number of the newest attempt over its whole life
  max_retries  INTEGER NOT NULL,
  timeout      INTEGER,           -- ms; NULL: none
  created_at   INTEGER NOT NULL,  -- these three in ms since 1970
  updated_at   INTEGER NOT NULL,
  run_at       INTEGER            -- not before; NULL: never had to wait
) STRICT;
-- For 'list': the rowid, which is the key, is the last column of every index, so that
-- both give the newest jobs of a state without sorting.
CREATE INDEX job_by_state ON job (state);
CREATE INDEX job_by_queue ON job (queue, state);
-- For 'dlq list', which shows the latest to die first. Jobs that are not dead pay nothing.
CREATE INDEX job_dead ON job (state, updated_at) WHERE state = 'dead';
-- For retention: what ended first goes first. It is written once, at its end, in order.
CREATE INDEX job_ended ON job (queue, updated_at) WHERE state IN ('completed', 'cancelled');

-- Jobs that a claim may take now. Narrow, and ordered as claims take them. A lane is what
-- shares one fate in a claim: a queue today (lane = queue.key), a queue and its limits
-- later, so that what waits behind a full limit costs the others nothing.
CREATE TABLE ready (
  lane INTEGER NOT NULL,
  rank INTEGER NOT NULL,  -- minus the priority: smaller goes first
  due  INTEGER NOT NULL,  -- run_at, or created_at where there is none
  job  INTEGER NOT NULL,  -- arrival decides between equals
  PRIMARY KEY (lane, rank, due, job)
) STRICT, WITHOUT ROWID;

-- Jobs that wait for their run_at. A separate table, because one index over priority and
-- due time would read a million future jobs to find the one that is due.
CREATE TABLE delayed (
  due INTEGER NOT NULL,
  job INTEGER NOT NULL,
  PRIMARY KEY (due, job)
) STRICT, WITHOUT ROWID;

-- One row per numbered run. finished_at IS NULL: it runs, and lease_until counts.
CREATE TABLE attempt (
  job              INTEGER NOT NULL,
  number           INTEGER NOT NULL,
  run_token        INTEGER NOT NULL,
  worker           INTEGER NOT NULL,
  started_at       INTEGER NOT NULL,
  lease_until      INTEGER,  -- ms on the boot clock of the worker's machine
  cancel_requested INTEGER,  -- 1: asked for; NULL: not
  finished_at      INTEGER,
  outcome          TEXT CHECK (outcome IN (
    'exited', 'signaled', 'timed_out', 'spawn_failed', 'lost', 'cancelled', 'interrupted')),
  exit_code        INTEGER,
  signal           TEXT,
  error            TEXT,
  log_bytes        INTEGER,  -- of output, kept or not
  log_kept         INTEGER,  -- NULL: all of them
  PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_running ON attempt (worker) WHERE finished_at IS NULL;

CREATE TABLE supervisor (
  key           INTEGER PRIMARY KEY AUTOINCREMENT,
  host          TEXT    NOT NULL,
  boot_id       TEXT    NOT NULL,
  pid_namespace TEXT    NOT NULL,
  pid           INTEGER NOT NULL,
  start_time    TEXT    NOT NULL,
  count         INTEGER NOT NULL,
  started_at    INTEGER NOT NULL,
  stop          TEXT CHECK (stop IN ('graceful', 'now')),
  stop_by       INTEGER,  -- boot clock, ms
  ended_at      INTEGER,
  end_reason    TEXT
) STRICT;

-- Never deleted while attempts name it: 'show' tells which worker ran what.
CREATE TABLE worker (
  key           INTEGER PRIMARY KEY AUTOINCREMENT,
  supervisor    INTEGER,
  host          TEXT    NOT NULL,
  boot_id       TEXT    NOT NULL,
  pid_namespace TEXT    NOT NULL,
  pid           INTEGER NOT NULL,
  start_time    TEXT    NOT NULL,
  queues        TEXT,     -- JSON array of names; NULL: all
  concurrency   INTEGER NOT NULL,
  ready         INTEGER NOT NULL,
  started_at    INTEGER NOT NULL,
  heartbeat_at  INTEGER NOT NULL,
  lease_until   INTEGER NOT NULL,  -- boot clock, ms: how a worker in another container is judged
  stop          TEXT CHECK (stop IN ('graceful', 'now')),
  stop_by       INTEGER,
  ended_at      INTEGER,
  end_reason    TEXT
) STRICT;
-- Living ones are few, dead ones pile up with every restart.
CREATE INDEX supervisor_living ON supervisor (key) WHERE ended_at IS NULL;
CREATE INDEX worker_living ON worker (key) WHERE ended_at IS NULL;

-- Jobs by queue and state, kept in the transaction that changes the job. Triggers do it
-- for everything that moves or deletes one, so that nothing can forget it; the one place
-- that inserts adds up its own (a trigger there made bulk inserts 2.4 times as slow).
CREATE TABLE tally (
  queue INTEGER NOT NULL,
  state TEXT    NOT NULL,
  n     INTEGER NOT NULL,
  PRIMARY KEY (queue, state)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER tally_update AFTER UPDATE OF queue, state ON job BEGIN
  UPDATE tally SET n = n - 1 WHERE queue = old.queue AND state = old.state;
  INSERT INTO tally (queue, state, n) VALUES (new.queue, new.state, 1)
  ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER tally_delete AFTER DELETE ON job BEGIN
  UPDATE tally SET n = n - 1 WHERE queue = old.queue AND state = old.state;
END;

-- Output kept by queue, for retention: all attempts of all its jobs, added up.
CREATE TRIGGER log_bytes_update AFTER UPDATE OF log_bytes ON attempt
WHEN new.log_bytes > 0 BEGIN
  UPDATE queue SET log_bytes = log_bytes + coalesce(new.log_kept, new.log_bytes)
  WHERE key = (SELECT queue FROM job WHERE key = new.job);
END;

-- Attempts are deleted before their job.
CREATE TRIGGER log_bytes_delete AFTER DELETE ON attempt
WHEN old.log_bytes > 0 BEGIN
  UPDATE queue SET log_bytes = log_bytes - coalesce(old.log_kept, old.log_bytes)
  WHERE key = (SELECT queue FROM job WHERE key = old.job);
END;

CREATE TRIGGER log_bytes_move AFTER UPDATE OF queue ON job
WHEN new.queue <> old.queue AND new.last_attempt > 0 BEGIN
  UPDATE queue SET log_bytes = log_bytes - (
    SELECT coalesce(sum(coalesce(log_kept, log_bytes)), 0) FROM attempt WHERE job = new.key)
  WHERE key = old.queue;
  UPDATE queue SET log_bytes = log_bytes + (
    SELECT coalesce(sum(coalesce(log_kept, log_bytes)), 0) FROM attempt WHERE job = new.key)
  WHERE key = new.queue;
END;

-- Attempts that ended, by minute, for the rates in 'status'. Kept for an hour.
CREATE TABLE throughput (
  minute    INTEGER PRIMARY KEY,  -- minutes since 1970
  succeeded INTEGER NOT NULL,
  failed    INTEGER NOT NULL
) STRICT;

INSERT INTO meta (name, value)
VALUES ('database_id', lower(hex(randomblob(16)))), ('run_token', 0);
`;

export const MIGRATIONS: readonly string[] = [V1];

export const SCHEMA_VERSION = MIGRATIONS.length;
