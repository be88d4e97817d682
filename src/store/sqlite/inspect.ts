// What `doctor` asks about a database, also one that cannot be opened for work any more.
// Invariant: it reads only; a file that is damaged stays as it was found.

import { lstatSync, type Stats } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { messageOf, QueuectlError } from '../../errors.ts';
import type { Finding } from '../inspection.ts';
import { isSafeVersion, OLDEST_SAFE_SQLITE } from './connection.ts';
import { explain } from './explain.ts';
import { APPLICATION_ID, SCHEMA_VERSION } from './schema.ts';

const BUSY_TIMEOUT_MS = 5000;
/** SQLite's default is to list a hundred; the first few tell what there is to tell. */
const MOST_PROBLEMS = 5;
/** A checkpoint leaves some MiB; far more means that somebody keeps it from working. */
const LARGE_WAL_BYTES = 64 * 1024 * 1024;

const RESTORE =
  'keep the file; restore a backup, or save what can be read: queuectl doctor --export FILE';

export function inspectDatabase(path: string): Finding[] {
  let stat: Stats | undefined;
  try {
    stat = lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    return [failed('database', explain(error, path))];
  }
  if (stat === undefined) {
    return [{ check: 'database', level: 'ok', text: `none yet: ${path} is made at first use` }];
  }
  const findings = [...fileFindings(path, stat)];
  if (findings.some(({ level }) => level === 'failure')) return findings;
  let db: DatabaseSync;
  try {
    db = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  } catch (error) {
    return [...findings, failed('database', explain(error, path))];
  }
  try {
    return [...findings, ...contentFindings(db, path)];
  } finally {
    db.close();
  }
}

function* fileFindings(path: string, stat: Stats): Generator<Finding> {
  if (!stat.isFile()) {
    yield {
      check: 'database',
      level: 'failure',
      code: 'foreign',
      text: `${path} is not a regular file`,
    };
    return;
  }
  if (stat.size === 0) {
    const text = `${path} is empty: its content was lost`;
    yield { check: 'database', level: 'failure', code: 'damaged', text, hint: RESTORE };
    return;
  }
  for (const suffix of ['', '-wal', '-shm']) {
    const file = path + suffix;
    const one = lstatSync(file, { throwIfNoEntry: false });
    if (one === undefined || process.geteuid === undefined) continue;
    if (one.uid !== process.geteuid()) {
      const text = `${file} belongs to another user (uid ${one.uid})`;
      yield { check: 'owner', level: 'failure', code: 'foreign_owner', text };
    } else if ((one.mode & 0o077) !== 0) {
      const text = `${file} can be read by others: it may hold secrets`;
      yield { check: 'mode', level: 'warning', text, hint: `chmod 600 ${file}` };
    }
  }
  const wal = lstatSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  if (wal > LARGE_WAL_BYTES) {
    yield {
      check: 'write-ahead log',
      level: 'warning',
      text: `${path}-wal has ${Math.round(wal / 1024 / 1024)} MiB: somebody keeps a transaction open`,
      hint: `find who: fuser -v ${path}`,
    };
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
      yield failed('database', explain(error, path));
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
    return { check, level: 'failure', code: 'foreign', text };
  }
  const found = Number(scalar(db, 'PRAGMA user_version'));
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
      `SELECT count(*) FROM (
         SELECT queue, state, n FROM tally WHERE n <> 0
         EXCEPT SELECT queue, state, count(*) FROM job GROUP BY queue, state)`,
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

function scalar(db: DatabaseSync, sql: string): unknown {
  return Object.values(db.prepare(sql).get() ?? {})[0];
}

function failed(check: string, error: unknown): Finding {
  const known = error instanceof QueuectlError;
  return {
    check,
    level: 'failure',
    code: known ? error.code : 'internal',
    text: messageOf(error),
    ...(known && error.code === 'damaged' && { hint: RESTORE }),
  };
}
