// Attempt number → how long to wait. Pure. Never earlier than the formula says, never
// infinite, for any attempt number: 2 ** 1100 is Infinity, so the cap is applied to the
// exponential first and the jitter is added to what is already in range.

export interface BackoffPolicy {
  /** Seconds to the power of the attempt number; at least 1. */
  readonly base: number;
  /** Upper bound of the exponential, ms, before jitter. */
  readonly max: number;
}

/** Jitter goes on top, so that jobs that failed together do not come back together. */
const JITTER = 0.1;

/**
 * The delay after a failed attempt, in whole ms: `base ^ attempts` seconds, capped by
 * `max`, plus 0 to 10 %. `attempts` is 1 for the first; `random` is uniform in [0, 1).
 */
export function backoffDelay(attempts: number, policy: BackoffPolicy, random: number): number {
  const exponential = Math.min(policy.base ** attempts * 1000, policy.max);
  return Math.ceil(exponential * (1 + JITTER * random));
}
