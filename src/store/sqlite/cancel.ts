// Cancelling: what waits never starts, what runs is flagged for its worker (guarantee 9).

import type { State } from '../../job.ts';
import type { CancelAnswer } from '../store.ts';
import type { Connection } from './connection.ts';
import { removeWaiting, type Standing, STANDING } from './place.ts';

export function cancel(db: Connection, now: number, id: string): CancelAnswer {
  const job = db.get<Standing & { readonly state: State }>(
    `SELECT ${STANDING}, job.state FROM job WHERE id = ?`,
    id,
  );
  switch (job?.state) {
    case undefined:
      return 'not_found';
    case 'blocked':
    case 'pending':
    case 'failed':
      removeWaiting(db, job);
      db.run(
        `UPDATE job SET state = 'cancelled', updated_at = ?
         WHERE key = ? AND state IN ('blocked', 'pending', 'failed')`,
        now,
        job.key,
      );
      return 'cancelled';
    case 'processing':
      // Whatever commits next about this attempt finds the flag; see settle().
      db.run(
        'UPDATE attempt SET cancel_requested = 1 WHERE job = ? AND finished_at IS NULL',
        job.key,
      );
      return 'cancel_requested';
    case 'completed':
    case 'dead':
    case 'cancelled':
      return 'already_finished';
  }
}
