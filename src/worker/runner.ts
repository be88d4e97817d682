// The one interface through which a worker runs an attempt, whatever kind of job it is.
// Commands are the first runner (command.ts); in-process handlers will be a second one.

import type { Outcome } from '../job.ts';
import type { Claimed } from '../store/store.ts';

export interface Runner {
  /**
   * Starts the attempt. Never throws and never rejects: what cannot be started is an
   * attempt that has already ended with `spawn_failed`.
   */
  start(job: Claimed): RunningAttempt;
}

/**
 * Why we end an attempt. The first cause stands as the outcome, except that `lost`
 * (somebody else may own the job by now) always kills at once.
 */
export type EndCause = 'timed_out' | 'cancelled' | 'interrupted' | 'lost';

export interface RunningAttempt {
  /**
   * Resolves when the attempt is over: its own process is gone, its output is on file,
   * and what was left of its group has been ended.
   */
  readonly ended: Promise<AttemptEnd>;
  /** Ends it; returns at once, `ended` tells when. After the end it does nothing. */
  end(cause: EndCause): void;
}

export interface AttemptEnd {
  readonly outcome: Outcome;
  /** Bytes the command wrote, kept or cut; null where nothing could be counted. */
  readonly logBytes: number | null;
  /** How many of them the log holds; absent: all. */
  readonly logKept?: number;
}
