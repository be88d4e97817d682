// Where a waiting job stands: in `ready` if a claim may take it now, in `delayed` until
// its due time otherwise, in neither if it does not wait. Every transition into or out of
// a waiting state goes through here, so the two tables never disagree with job.state.

import type { State } from '../../job.ts';
import type { Connection } from './connection.ts';

/** States of jobs that have not started, or wait to start again. */
export const WAITING_STATES = ['blocked', 'pending', 'failed'] as const satisfies State[];

export function isWaiting(state: State): boolean {
  return WAITING_STATES.some((waiting) => waiting === state);
}

/** What decides a job's place in the order of claims. */
export interface Standing {
  readonly key: number;
  /** queue.key, which is the lane; see schema.ts. */
  readonly queue: number;
  readonly priority: number;
  readonly created_at: number;
  readonly run_at: number | null;
}

/** The columns of `job` that make a Standing. */
export const STANDING = 'job.key, job.queue, job.priority, job.created_at, job.run_at';

export function addWaiting(db: Connection, job: Standing, now: number): void {
  if (job.run_at !== null && job.run_at > now) {
    db.run('INSERT INTO delayed (due, job) VALUES (?, ?)', job.run_at, job.key);
  } else {
    db.run(
      'INSERT INTO ready (lane, rank, due, job) VALUES (?, ?, ?, ?)',
      job.queue,
      -job.priority,
      dueTime(job),
      job.key,
    );
  }
}

/** A due job may stand in either table: promotion comes in batches. */
export function removeWaiting(db: Connection, job: Standing): void {
  db.run(
    'DELETE FROM ready WHERE lane = ? AND rank = ? AND due = ? AND job = ?',
    job.queue,
    -job.priority,
    dueTime(job),
    job.key,
  );
  if (job.run_at !== null) {
    db.run('DELETE FROM delayed WHERE due = ? AND job = ?', job.run_at, job.key);
  }
}

function dueTime(job: Standing): number {
  return job.run_at ?? job.created_at;
}

/**
 * Moves up to `limit` jobs whose time has come into `ready`. Bounded, so that a crowd due
 * at the same second costs each claim some milliseconds instead of one claim seconds.
 */
export function promoteDue(db: Connection, now: number, limit: number): void {
  const moved = db.run(
    `INSERT INTO ready (lane, rank, due, job)
     SELECT job.queue, -job.priority, due.due, due.job
     FROM (SELECT due, job FROM delayed WHERE due <= ? ORDER BY due, job LIMIT ?) AS due
     JOIN job ON job.key = due.job`,
    now,
    limit,
  );
  if (moved === 0) return;
  // The same rows: same order, same limit, same transaction.
  db.run(
    `DELETE FROM delayed
     WHERE (due, job) IN (SELECT due, job FROM delayed WHERE due <= ? ORDER BY due, job LIMIT ?)`,
    now,
    limit,
  );
}
