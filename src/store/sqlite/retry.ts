// Out of the dead letter queue: dead jobs go back to pending.

import type { State } from '../../job.ts';
import type { Found, RetryAnswer } from '../store.ts';
import type { Connection } from './connection.ts';
import { stillMatching } from './filter.ts';
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

export function retryFound(
  db: Connection,
  now: number,
  found: Found,
  notRunSince?: number,
): number[] {
  const jobs = stillMatching<Standing>(db, found, STANDING, ['dead'], notRunSince);
  for (const job of jobs) revive(db, now, job);
  return jobs.map(({ key }) => key);
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
