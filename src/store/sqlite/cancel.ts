// Cancelling: what waits never starts, what runs is flagged for its worker (guarantee 9).

import { isTerminal, type State } from '../../job.ts';
import type { CancelAnswer, Found } from '../store.ts';
import type { Connection } from './connection.ts';
import { stillMatching } from './filter.ts';
import { removeWaiting, type Standing, STANDING, WAITING_STATES } from './place.ts';

type Row = Standing & { readonly state: State };

export function cancel(db: Connection, now: number, id: string): CancelAnswer {
  const job = db.get<Row>(`SELECT ${STANDING}, job.state FROM job WHERE id = ?`, id);
  if (job === undefined) return 'not_found';
  return isTerminal(job.state) ? 'already_finished' : cancelUnfinished(db, now, job);
}

export function cancelFound(
  db: Connection,
  now: number,
  found: Found,
): { cancelled: number[]; requested: number[] } {
  const states = [...WAITING_STATES, 'processing'] as const;
  const answers = { cancelled: [] as number[], requested: [] as number[] };
  for (const job of stillMatching<Row>(db, found, `${STANDING}, job.state`, states)) {
    const answer = cancelUnfinished(db, now, job);
    answers[answer === 'cancelled' ? 'cancelled' : 'requested'].push(job.key);
  }
  return answers;
}

function cancelUnfinished(db: Connection, now: number, job: Row): 'cancelled' | 'cancel_requested' {
  if (job.state === 'processing') {
    // Whatever commits next about this attempt finds the flag; see settle().
    db.run(
      'UPDATE attempt SET cancel_requested = 1 WHERE job = ? AND finished_at IS NULL',
      job.key,
    );
    return 'cancel_requested';
  }
  removeWaiting(db, job);
  db.run(
    `UPDATE job SET state = 'cancelled', updated_at = ?
     WHERE key = ? AND state IN ('blocked', 'pending', 'failed')`,
    now,
    job.key,
  );
  return 'cancelled';
}
