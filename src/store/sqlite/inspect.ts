// What `doctor` asks about a database, also one that cannot be opened for work any more.
// Invariant: it reads only; a file that is damaged stays as it was found.

import { accessSync, constants, lstatSync, type Stats } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { messageOf, QueuectlError, systemCode } from '../../errors.ts';
import type { Finding, Inspection, QueueRecords } from '../inspection.ts';
import { isSafeVersion, OLDEST_SAFE_SQLITE } from './connection.ts';
import { explain, isMisfit } from './explain.ts';
import { headOf, isSqlite } from './file.ts';
import { openToLook, unreadable } from './look.ts';
import { APPLICATION_ID, SCHEMA_VERSION } from './schema.ts';
import { workers } from './workers.ts';

/** SQLite's default is to list a hundred; the first few tell what there is to tell. */
const MOST_PROBLEMS = 5;
/** A checkpoint leaves some MiB; far more means that somebody keeps it from working. */
const LARGE_WAL_BYTES = 64 * 1024 * 1024;

const RESTORE =
  'keep the file; restore a backup, or save what can be read: queuectl doctor --export FILE';

/** `onLong` is told the size before all of it is read. */
export function inspectDatabase(path: string, onLong?: (bytes: number) => void): Inspection {
  const findings: Finding[] = [];
  let records: QueueRecords | null = null;
  const isFine = (more: Iterable<Finding>): boolean => {
    let fine = true;
    for (const finding of more) {
      findings.push(finding);
      // What cannot be written can be read all the same.
      fine &&= finding.level !== 'failure' || finding.code === 'read_only';
    }
    return fine;
  };
  try {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) {
      findings.push(absent(path));
    } else if (isFine(fileFindings(path, stat))) {
      const db = openToLook(path);
      try {
        onLong?.(stat.size);
        // What an older schema says would be migrated first by whoever opens it.
        if (isFine(contentFindings(db, path)) && versionOf(db) === SCHEMA_VERSION) {
          records = recordsOf(db);
        }
      } finally {
        db.close();
      }
    }
  } catch (error) {
    const refused = systemCode(error) === 'EACCES';
    findings.push(refused ? failed('database', unreadable(path, error)) : whatIsWrong(path, error));
  }
  return { findings, records };
}

function absent(path: string): Finding {
  if (lstatSync(`${path}-wal`, { throwIfNoEntry: false }) === undefined) {
    return { check: 'database', level: 'ok', text: `none yet: ${path} is made at first use` };
  }
  return {
    check: 'database',
    level: 'failure',
    code: 'damaged',
    text: `${path} is gone, but its ${path}-wal is still there`,
    hint: 'put the database back beside it; move both away to begin with an empty queue',
  };
}

function* fileFindings(path: string, stat: Stats): Generator<Finding> {
  const check = 'database';
  if (!stat.isFile()) {
    const hint = 'give the path of the database itself with --db';
    const text = `${path} is not a regular file`;
    yield { check, level: 'failure', code: 'foreign', text, hint };
    return;
  }
  if (stat.size === 0) {
    const text = `${path} is empty: its content was lost`;
    yield { check, level: 'failure', code: 'damaged', text, hint: RESTORE };
    return;
  }
  yield* ownerAndMode(path);
  if (!isSqlite(headOf(path))) {
    const text = `${path} is not a SQLite database, or its beginning is destroyed`;
    yield { check, level: 'failure', code: 'foreign', text, hint: RESTORE };
    return;
  }
  yield* walFindings(path);
}

function* ownerAndMode(path: string): Generator<Finding> {
  const me = process.geteuid?.();
  for (const suffix of ['', '-wal', '-shm']) {
    const file = path + suffix;
    const one = lstatSync(file, { throwIfNoEntry: false });
    if (one === undefined || me === undefined) continue;
    const refused = whyNot(file, constants.W_OK);
    if (one.uid !== me) {
      const text = `${file} belongs to another user (uid ${one.uid}, you are ${me})`;
      const hint = 'run queuectl as that user';
      yield { check: 'owner', level: 'failure', code: 'foreign_owner', text, hint };
    } else if (refused !== null) {
      const text = `${file} cannot be written: ${refused.text}`;
      yield { check: 'mode', level: 'failure', ...refused, text };
    } else if ((one.mode & 0o077) !== 0) {
      const text = `${file} can be read by others: it may hold secrets`;
      yield { check: 'mode', level: 'warning', text, hint: `chmod 600 ${file}` };
    }
  }
}

/** Why it may not be read or written, and what to do; null where it may. */
function whyNot(file: string, mode: number): Pick<Finding, 'text' | 'hint' | 'code'> | null {
  try {
    accessSync(file, mode);
    return null;
  } catch (error) {
    return systemCode(error) === 'EROFS'
      ? { code: 'read_only', text: 'its file system is read-only', hint: 'look into dmesg and df' }
      : { code: 'read_only', text: 'permission denied', hint: `chmod 600 ${file}` };
  }
}

/** The two ways in which a WAL begins: 0x377f0682 and 0x377f0683. */
const WAL_MAGIC = ['377f0682', '377f0683'];

function* walFindings(path: string): Generator<Finding> {
  const check = 'write-ahead log';
  const wal = `${path}-wal`;
  const size = lstatSync(wal, { throwIfNoEntry: false })?.size ?? 0;
  if (size > 0 && !WAL_MAGIC.includes(Buffer.from(headOf(wal)).toString('hex', 0, 4))) {
    const text = `${wal} is none: what was in it alone is lost, the file itself is served`;
    yield { check, level: 'warning', text, hint: 'keep a copy of it, or restore a backup' };
  }
  if (size > LARGE_WAL_BYTES) {
    const text = `${wal} has ${Math.round(size / 1024 / 1024)} MiB: somebody keeps a transaction open`;
    yield { check, level: 'warning', text, hint: `find who: fuser -v ${path}` };
  }
}

function* contentFindings(db: DatabaseSync, path: string): Generator<Finding> {
  const checks = [checkSqlite, checkIdentity, checkIntegrity, checkCounts];
  for (const check of checks) {
    try {
      const finding = check(db, path);
      yield finding;
      // What follows would only repeat it, or fail because of it.
      if (finding.level === 'failure') return;
    } catch (error) {
      yield whatIsWrong(path, error);
      return;
    }
  }
}

function checkSqlite(db: DatabaseSync): Finding {
  const version = String(scalar(db, 'SELECT sqlite_version()'));
  if (isSafeVersion(version)) return { check: 'SQLite', level: 'ok', text: version };
  return {
    check: 'SQLite',
    level: 'failure',
    code: 'unsafe_sqlite',
    text: `${version} can corrupt a database that several processes write`,
    hint: `use a runtime with SQLite ${OLDEST_SAFE_SQLITE.join('.')} or later`,
  };
}

function checkIdentity(db: DatabaseSync, path: string): Finding {
  const check = 'schema';
  if (scalar(db, 'PRAGMA application_id') !== APPLICATION_ID) {
    const text = `${path} is not a queuectl database`;
    const hint = 'give another path with --db';
    return { check, level: 'failure', code: 'foreign', text, hint };
  }
  const found = versionOf(db);
  if (found === SCHEMA_VERSION) return { check, level: 'ok', text: `version ${found}` };
  if (found < SCHEMA_VERSION) {
    const text = `version ${found}: the next use brings it to ${SCHEMA_VERSION}`;
    return {
      check,
      level: 'warning',
      text,
      hint: 'stop older workers first; they would stop then',
    };
  }
  const text = `version ${found}, this queuectl knows ${SCHEMA_VERSION}`;
  return { check, level: 'failure', code: 'newer_schema', text, hint: 'use the newer queuectl' };
}

function checkIntegrity(db: DatabaseSync): Finding {
  const rows = db.prepare(`PRAGMA integrity_check(${MOST_PROBLEMS})`).all();
  const problems = rows
    .flatMap((row) => Object.values(row).map(String).join().split('\n'))
    .filter((line) => !line.startsWith('*** in database'));
  const check = 'integrity';
  if (problems.join() === 'ok')
    return { check, level: 'ok', text: 'every page and index is sound' };
  return { check, level: 'failure', code: 'damaged', text: problems.join('; '), hint: RESTORE };
}

/**
 * Whether our own tables agree with each other: counts with jobs, waiting jobs with their
 * places, running ones with their attempts.
 */
function checkCounts(db: DatabaseSync): Finding {
  const wrong: string[] = [];
  const count = (what: string, sql: string): void => {
    const n = Number(scalar(db, sql));
    if (n > 0) wrong.push(`${n} ${what}`);
  };
  db.exec('BEGIN');
  try {
    count(
      'counts that are off',
      // Both ways: a count that is missing, and one of what is not there.
      `WITH counted AS (SELECT queue, state, n FROM tally WHERE n <> 0),
         there AS (SELECT queue, state, count(*) AS n FROM job GROUP BY queue, state)
       SELECT count(*) FROM (
         SELECT queue, state FROM (SELECT * FROM counted EXCEPT SELECT * FROM there)
         UNION
         SELECT queue, state FROM (SELECT * FROM there EXCEPT SELECT * FROM counted))`,
    );
    count(
      'waiting jobs without a place in line',
      `SELECT count(*) FROM job
       WHERE state IN ('pending', 'failed')
         AND NOT EXISTS (
           SELECT 1 FROM ready
           WHERE lane = job.queue AND rank = -job.priority
             AND due = coalesce(job.run_at, job.created_at) AND ready.job = job.key)
         AND NOT EXISTS (SELECT 1 FROM delayed WHERE due = job.run_at AND delayed.job = job.key)`,
    );
    count(
      'running jobs without an attempt',
      `SELECT count(*) FROM job
       WHERE state = 'processing'
         AND NOT EXISTS (
           SELECT 1 FROM attempt
           WHERE job = job.key AND number = job.last_attempt AND finished_at IS NULL)`,
    );
    count(
      'attempts without their job',
      `SELECT count(*) FROM attempt WHERE NOT EXISTS (SELECT 1 FROM job WHERE key = attempt.job)`,
    );
    count(
      'attempts without their worker',
      `SELECT count(*) FROM attempt
       WHERE NOT EXISTS (SELECT 1 FROM worker WHERE key = attempt.worker)`,
    );
    count(
      'queues whose bytes of output are off',
      `WITH kept AS (
         SELECT job.queue, sum(coalesce(log_kept, log_bytes)) AS bytes
         FROM attempt JOIN job ON job.key = attempt.job
         WHERE log_bytes > 0
         GROUP BY job.queue)
       SELECT count(*) FROM queue LEFT JOIN kept ON kept.queue = queue.key
       WHERE log_bytes <> coalesce(bytes, 0)`,
    );
  } finally {
    db.exec('ROLLBACK');
  }
  if (wrong.length === 0)
    return { check: 'consistency', level: 'ok', text: 'jobs, counts and places agree' };
  return {
    check: 'consistency',
    level: 'failure',
    code: 'damaged',
    text: wrong.join(', '),
    hint: RESTORE,
  };
}

function recordsOf(db: DatabaseSync): QueueRecords {
  // The shape is that of our own tables.
  const all = <Row extends object>(sql: string, ...values: (string | number)[]): Row[] =>
    db.prepare(sql).all(...values) as Row[];
  const [newest] = all<{ at: number | null }>('SELECT max(updated_at) AS at FROM job');
  const waiting = all<{ name: string }>(
    `SELECT name FROM queue WHERE EXISTS (
       SELECT 1 FROM tally WHERE queue = queue.key AND state IN ('pending', 'failed') AND n > 0)`,
  );
  return {
    oneMachine: true,
    workers: workers({ all }),
    waiting: waiting.map(({ name }) => name),
    newestChange: newest?.at ?? null,
  };
}

function versionOf(db: DatabaseSync): number {
  return Number(scalar(db, 'PRAGMA user_version'));
}

function scalar(db: DatabaseSync, sql: string): unknown {
  return Object.values(db.prepare(sql).get() ?? {})[0];
}

function whatIsWrong(path: string, error: unknown): Finding {
  if (!isMisfit(error)) return failed('database', explain(error, path));
  // Their version says that they fit: somebody changed them, or no released queuectl made them.
  const text = `${path} has other tables than version ${SCHEMA_VERSION}: ${messageOf(error)}`;
  const hint = 'use the queuectl that made it, or move it away to begin with an empty queue';
  return { check: 'schema', level: 'failure', code: 'foreign', text, hint };
}

function failed(check: string, error: unknown): Finding {
  const known = error instanceof QueuectlError;
  return {
    check,
    level: 'failure',
    code: known ? error.code : 'internal',
    text: messageOf(error),
    ...(known && error.hint !== undefined && { hint: error.hint }),
    ...(known && error.code === 'damaged' && { hint: RESTORE }),
  };
}
