// The dead letter queue: dead jobs go back to pending, or are deleted.

import type { State } from '../../job.ts';
import type { DeadQuery, RetryAnswer, Step } from '../store.ts';
import type { Connection } from './connection.ts';
import { addWaiting, type Standing, STANDING } from './place.ts';

export function retry(db: Connection, now: number, id: string): RetryAnswer {
  const job = db.get<Standing & { readonly state: State }>(
    `SELECT ${STANDING}, job.state FROM job WHERE id = ?`,
    id,
  );
  if (job === undefined) return 'not_found';
  if (job.state !== 'dead') return 'wrong_state';
  revive(db, now, job);
  return 'retried';
}

/** Dead → pending. Due now: behind those that are waiting already. */
function revive(db: Connection, now: number, job: Standing): void {
  db.run(
    `UPDATE job SET state = 'pending', attempts = 0, updated_at = ?, run_at = ?
     WHERE key = ? AND state = 'dead'`,
    now,
    now,
    job.key,
  );
  addWaiting(db, { ...job, run_at: now }, now);
}

export function retryDead(db: Connection, now: number, query: DeadQuery): Step {
  const jobs = deadJobs(db, query);
  for (const job of jobs) revive(db, now, job);
  return { keys: jobs.map((job) => job.key) };
}

export function purgeDead(db: Connection, query: DeadQuery): Step {
  const jobs = deadJobs(db, query);
  for (const { key } of jobs) {
    db.run('DELETE FROM attempt WHERE job = ?', key);
    db.run("DELETE FROM job WHERE key = ? AND state = 'dead'", key);
  }
  return { keys: jobs.map((job) => job.key) };
}

function deadJobs(db: Connection, query: DeadQuery): Standing[] {
  const { after, upTo, queue, before, limit } = query;
  // The index is named, because left alone the planner takes the one by state, and reads
  // the dead of all other queues to find those of this one.
  const [index, inQueue] =
    queue === null
      ? ['job_by_state', '']
      : ['job_by_queue', 'AND queue = (SELECT key FROM queue WHERE name = ?)'];
  return db.all<Standing>(
    `SELECT ${STANDING}
     FROM job INDEXED BY ${index}
     WHERE state = 'dead'
       ${inQueue}
       AND key > ? AND key <= ?
       AND updated_at < ?  -- a dead job was last written when it died
     ORDER BY key
     LIMIT ?`,
    ...(queue === null ? [] : [queue]),
    after,
    upTo,
    before ?? Number.MAX_SAFE_INTEGER,
    limit,
  );
}
