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
  return db.all<Standing>(
    `SELECT ${STANDING}
     FROM job
     WHERE state = 'dead'
       AND key > ?1 AND key <= ?2
       AND (?3 IS NULL OR queue = (SELECT key FROM queue WHERE name = ?3))
       AND (?4 IS NULL OR updated_at < ?4)  -- a dead job was last written when it died
     ORDER BY key
     LIMIT ?5`,
    query.after,
    query.upTo,
    query.queue,
    query.before,
    query.limit,
  );
}
