// What a worker tells the operator about the attempts that it has recorded. Successes are
// not told: a line for each would be all that the log holds.

import type { Ended, Recorded } from '../store/store.ts';
import type { Log } from './log.ts';

interface Result extends Ended {
  readonly job: { readonly id: string; readonly number: number };
}

/** `recorded` in the order of `ended`. */
export function logResults(
  log: Log,
  ended: readonly Result[],
  recorded: readonly Recorded[],
): void {
  for (const [index, { job, outcome }] of ended.entries()) {
    const result = recorded[index];
    const fields = { job: job.id, attempt: job.number, outcome: outcome.kind };
    if (result === undefined || result.stale) {
      log(`${job.id}: attempt ${job.number} was no longer ours; its result is dropped`, {
        level: 'warn',
        ...fields,
      });
    } else if (result.state !== 'completed') {
      log(`${job.id}: attempt ${job.number} ${outcome.kind}, now ${result.state}`, {
        level: result.state === 'failed' || result.state === 'dead' ? 'warn' : 'info',
        ...fields,
        state: result.state,
      });
    }
  }
}
