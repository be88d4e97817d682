// The rules of docs/states.md, written down a second time and as plainly as possible: a map
// of jobs and what each verb makes of them. histories.ts holds the stores to it.

import { isTerminal, type Outcome, type State } from '../../src/job.ts';
import type { CancelAnswer, Claimed, Recorded, RetryAnswer } from '../../src/store/store.ts';
import { INTERRUPTED, NO_RESOURCES, SUCCESS } from './values.ts';

export const BACKOFF = { base: 2, max: 20_000 };
export const STALE: Recorded = { stale: true };

export interface ModelJob {
  readonly id: string;
  readonly key: number;
  readonly queue: string;
  readonly priority: number;
  readonly maxRetries: number;
  readonly createdAt: number;
  state: State;
  attempts: number;
  lastAttempt: number;
  runAt: number | null;
  /** Of the attempt that owns it. */
  runToken: number | null;
  cancelRequested: boolean;
}

export class Model {
  readonly jobs = new Map<string, ModelJob>();

  claimable(queues: readonly string[] | null, now: number): ModelJob[] {
    return [...this.jobs.values()]
      .filter(({ state }) => state === 'pending' || state === 'failed')
      .filter(({ runAt }) => runAt === null || runAt <= now)
      .filter(({ queue }) => queues === null || queues.includes(queue))
      .toSorted(
        (x, y) =>
          y.priority - x.priority ||
          (x.runAt ?? x.createdAt) - (y.runAt ?? y.createdAt) ||
          x.key - y.key,
      );
  }

  claim(job: ModelJob, runToken: number): void {
    job.state = 'processing';
    job.attempts += 1;
    job.lastAttempt += 1;
    job.runToken = runToken;
  }

  end({ id, key, runToken }: Claimed, outcome: Outcome, now: number): Recorded {
    const job = this.jobs.get(id);
    if (job?.key !== key || job.runToken !== runToken) return STALE;
    const [state, wait] = this.#next(job, outcome);
    if (wait !== null) job.runAt = now + wait;
    job.state = state;
    job.runToken = null;
    job.cancelRequested = false;
    return { stale: false, state, runAt: job.runAt };
  }

  #next(job: ModelJob, outcome: Outcome): [State, number | null] {
    if (job.cancelRequested || outcome.kind === 'cancelled') return ['cancelled', null];
    if (outcome === SUCCESS) return ['completed', null];
    if (outcome === INTERRUPTED || outcome === NO_RESOURCES) {
      job.attempts -= 1;
      return ['pending', outcome === INTERRUPTED ? null : 1000];
    }
    if (job.attempts > job.maxRetries) return ['dead', null];
    return ['failed', Math.min(2 ** job.attempts * 1000, BACKOFF.max)];
  }

  cancel(id: string): CancelAnswer {
    const job = this.jobs.get(id);
    if (job === undefined) return 'not_found';
    if (isTerminal(job.state)) return 'already_finished';
    if (job.state === 'processing') {
      job.cancelRequested = true;
      return 'cancel_requested';
    }
    job.state = 'cancelled';
    return 'cancelled';
  }

  retry(id: string, now: number): RetryAnswer {
    const job = this.jobs.get(id);
    if (job === undefined) return 'not_found';
    if (job.state !== 'dead') return 'wrong_state';
    Object.assign(job, { state: 'pending', attempts: 0, runAt: now });
    return 'retried';
  }

  dead(limit: number): ModelJob[] {
    const dead = [...this.jobs.values()].filter(({ state }) => state === 'dead');
    return dead.toSorted((x, y) => x.key - y.key).slice(0, limit);
  }
}
