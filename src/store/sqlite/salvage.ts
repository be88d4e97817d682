// What can still be read of the jobs in a damaged database. Guards guarantee 12: the file is
// only read. A page that is gone costs the jobs on it and no others.

import { DatabaseSync } from 'node:sqlite';
import type { Job } from '../../job.ts';
import { explain } from './explain.ts';
import { jobOf, type JobRow, SELECT_JOBS } from './rows.ts';

export interface Salvaged {
  readonly jobs: number;
  /** Ranges of keys in which nothing could be read. */
  readonly gaps: number;
}

/** Jobs to a read while nothing is wrong; a range that fails is halved until one job is left. */
const RANGE = 1000;
/** What a job needs at the least, where the tables beside it cannot be read. */
const BARE = `
  SELECT key, id, kind, command, spec, NULL AS cwd, NULL AS path, 'default' AS queue_name, priority,
    state, attempts, last_attempt, max_retries, timeout, tags, created_at, updated_at, run_at,
    NULL AS cancel_requested, NULL AS number, NULL AS run_token, NULL AS worker, NULL AS host,
    NULL AS pid, NULL AS started_at, NULL AS finished_at, NULL AS outcome, NULL AS exit_code,
    NULL AS signal, NULL AS error, NULL AS log_bytes
  FROM job`;

/** Hands over each job that can be read, oldest first. Throws where nothing at all can be. */
export function salvage(path: string, onJob: (job: Job) => void): Salvaged {
  let db: DatabaseSync;
  try {
    db = new DatabaseSync(path, { readOnly: true });
  } catch (error) {
    throw explain(error, path);
  }
  try {
    return readAll(db, onJob);
  } catch (error) {
    throw explain(error, path);
  } finally {
    db.close();
  }
}

function readAll(db: DatabaseSync, onJob: (job: Job) => void): Salvaged {
  let jobs = 0;
  let gaps = 0;
  const read = (first: number, last: number): void => {
    const rows = rowsBetween(db, first, last);
    if (rows === null) {
      if (first === last) {
        gaps += 1;
        return;
      }
      const middle = Math.floor((first + last) / 2);
      read(first, middle);
      read(middle + 1, last);
      return;
    }
    for (const row of rows) {
      const job = jobFrom(row);
      if (job === null) gaps += 1;
      else {
        jobs += 1;
        onJob(job);
      }
    }
  };
  const last = lastKey(db);
  for (let first = 1; first <= last; first += RANGE) read(first, Math.min(first + RANGE - 1, last));
  return { jobs, gaps };
}

/** Null where the range cannot be read. */
function rowsBetween(db: DatabaseSync, first: number, last: number): JobRow[] | null {
  for (const select of [SELECT_JOBS, BARE]) {
    try {
      // The shape is that of our own tables; a value that is not is found out in jobFrom.
      return rowsOf<JobRow>(
        db.prepare(`${select} WHERE job.key BETWEEN ? AND ? ORDER BY job.key`).all(first, last),
      );
    } catch {
      // The next one asks for less.
    }
  }
  return null;
}

function rowsOf<Row extends object>(rows: object[]): Row[] {
  return rows as Row[];
}

function jobFrom(row: JobRow): Job | null {
  try {
    return jobOf(row);
  } catch {
    return null;
  }
}

/** AUTOINCREMENT writes it down; a damaged table may have a false end. */
function lastKey(db: DatabaseSync): number {
  const keys = [
    "SELECT seq AS last FROM sqlite_sequence WHERE name = 'job'",
    'SELECT max(key) AS last FROM job',
  ];
  let found: number | null = null;
  let failure: unknown;
  for (const sql of keys) {
    try {
      const row = db.prepare(sql).get();
      found = Math.max(found ?? 0, Number(row?.['last'] ?? 0));
    } catch (error) {
      failure = error;
    }
  }
  if (found === null) throw failure;
  return found;
}
