// Keeping a worker's leases alive, and what happens when one is lost. Guards guarantee 4:
// an attempt whose lease somebody else ended is killed at once, and how it ends is not
// ours to write.

import { type Env, pause } from '../env.ts';
import type { AttemptRef, Claimed, Store } from '../store/store.ts';
import type { Log } from './log.ts';
import type { RunningAttempt } from './runner.ts';

/** Renewals per lease: two may fail before anybody can call the lease expired. */
export const RENEWALS_PER_LEASE = 3;

/** Waits for the next renewal in steps of this, as the lease may be changed meanwhile. */
const STEP_MS = 1000;

/** An attempt that runs in this worker. */
export interface Slot {
  readonly job: Claimed;
  readonly attempt: RunningAttempt;
  /** False: somebody else may own the job by now, so how it ends is not ours to write. */
  ours: boolean;
}

export interface LeasesOptions {
  readonly store: Store;
  readonly env: Env;
  readonly log: Log;
  /** The worker's key in the store. */
  readonly worker: number;
  /** The setting as it is now, ms. */
  readonly lease: () => number;
  /** What runs, by run token. */
  readonly running: ReadonlyMap<number, Slot>;
  /** Ended but not yet recorded: their leases are still ours and still renewed. */
  readonly ended: () => readonly AttemptRef[];
  /** Told why a renewal failed; it is tried again all the same. */
  readonly onFailure: (error: unknown) => void;
}

export class Leases {
  readonly #options: LeasesOptions;
  /** The shortest lease given since the last renewal, ms. */
  #shortest = Number.POSITIVE_INFINITY;

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  /** To be told before a claim gives leases of `ms`. */
  given(ms: number): void {
    this.#shortest = Math.min(this.#shortest, ms);
  }

  /** Renews in time until `signal` aborts. Never rejects. */
  async keep(signal: AbortSignal): Promise<void> {
    const { env } = this.#options;
    let renewed = env.boot();
    while (!signal.aborted) {
      const shortest = Math.min(this.#shortest, this.#options.lease());
      const wait = renewed + shortest / RENEWALS_PER_LEASE - env.boot();
      if (wait > 0) {
        await pause(env, Math.min(wait, STEP_MS), signal);
        continue;
      }
      renewed = env.boot();
      await this.#renewAll(shortest);
    }
  }

  async #renewAll(shortest: number): Promise<void> {
    const { store, worker, running, ended, onFailure } = this.#options;
    const lease = this.#options.lease();
    const ours = [...running.values()].filter((slot) => slot.ours).map((slot) => slot.job);
    this.#shortest = lease;
    try {
      const { lost } = await store.renew({ worker, attempts: [...ours, ...ended()], lease });
      for (const runToken of lost) this.#lose(runToken);
    } catch (error) {
      // The leases are as short as they were.
      this.#shortest = Math.min(this.#shortest, shortest);
      onFailure(error);
    }
  }

  #lose(runToken: number): void {
    const slot = this.#options.running.get(runToken);
    if (slot === undefined) return; // recorded between the look and the answer
    const { id, number } = slot.job;
    this.#options.log(`${id}: lost the lease of attempt ${number}; ending it`, {
      level: 'warn',
      job: id,
      attempt: number,
    });
    slot.ours = false;
    slot.attempt.end('lost');
  }

  /**
   * Renews what was claimed so long ago that it may be lost, before it starts: a worker
   * that was stopped (SIGSTOP) in between would run it beside another worker. Answers what
   * is still ours; rejects as `Store.renew` does.
   */
  async confirm(claimed: readonly Claimed[]): Promise<readonly Claimed[]> {
    const { store, worker, lease } = this.#options;
    const { lost } = await store.renew({ worker, attempts: claimed, lease: lease() });
    return claimed.filter(({ runToken }) => !lost.includes(runToken));
  }
}
