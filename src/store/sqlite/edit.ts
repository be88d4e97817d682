// Changing what was asked of a job that waits. Once it runs, what was asked is history.

import type { State } from '../../job.ts';
import type { Changes, EditAnswer, Found } from '../store.ts';
import type { Connection } from './connection.ts';
import { queueKeyOf } from './enqueue.ts';
import { stillMatching } from './filter.ts';
import {
  addWaiting,
  isWaiting,
  removeWaiting,
  type Standing,
  STANDING,
  WAITING_STATES,
} from './place.ts';

interface Editable extends Standing {
  readonly state: State;
  readonly max_retries: number;
  readonly attempts: number;
  readonly timeout: number | null;
}

const EDITABLE = `${STANDING}, job.state, job.max_retries, job.attempts, job.timeout`;

export function edit(
  db: Connection,
  now: number,
  ids: readonly string[],
  changes: Changes,
): EditAnswer[] {
  const change = changer(db, now, changes);
  return ids.map((id) => {
    const job = db.get<Editable>(`SELECT ${EDITABLE} FROM job WHERE id = ?`, id);
    if (job === undefined) return 'not_found';
    if (!isWaiting(job.state)) return 'wrong_state';
    change(job);
    return 'edited';
  });
}

export function editFound(db: Connection, now: number, found: Found, changes: Changes): number[] {
  const change = changer(db, now, changes);
  const jobs = stillMatching<Editable>(db, found, EDITABLE, WAITING_STATES);
  for (const job of jobs) change(job);
  return jobs.map(({ key }) => key);
}

/** A retry that waits already still comes, and is then the last: nothing is taken back. */
function retriesAfter({ attempts, max_retries }: Editable, wanted: number | undefined): number {
  return wanted === undefined ? max_retries : Math.max(wanted, attempts);
}

function changer(db: Connection, now: number, changes: Changes): (job: Editable) => void {
  let queue: number | undefined;
  return (job) => {
    if (changes.queue !== undefined) queue ??= queueKeyOf(db, changes.queue);
    const edited = {
      ...job,
      queue: queue ?? job.queue,
      priority: changes.priority ?? job.priority,
      max_retries: retriesAfter(job, changes.maxRetries),
      timeout: changes.timeout === undefined ? job.timeout : changes.timeout,
      run_at: changes.runAt === undefined ? job.run_at : changes.runAt,
    };
    // A blocked one stands in neither table, before and after.
    if (job.state !== 'blocked') removeWaiting(db, job);
    db.run(
      `UPDATE job
       SET queue = ?, priority = ?, max_retries = ?, timeout = ?, run_at = ?, updated_at = ?
       WHERE key = ? AND state IN ('blocked', 'pending', 'failed')`,
      edited.queue,
      edited.priority,
      edited.max_retries,
      edited.timeout,
      edited.run_at,
      now,
      job.key,
    );
    if (job.state !== 'blocked') addWaiting(db, edited, now);
  };
}
