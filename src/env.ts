// The engine's whole view of the world that is not storage: clocks, chance, timers, and who
// else lives. Tests hand in their own and step the clock; a lint rule forbids Date.now, Math.random
// and bare timers everywhere else in the engine.

import { setTimeout as delay } from 'node:timers/promises';
import { bootClock, liveness, type Liveness, type ProcessIdentity } from './platform/identity.ts';

export interface Env {
  /** Wall clock, whole ms since 1970. Decides when a job is due; may jump either way. */
  now(): number;
  /** Whole ms since this machine booted, sleep included. Judges leases; never jumps. */
  boot(): number;
  /** Uniform in [0, 1). */
  random(): number;
  /** Waits `ms` (at most MAX_TIMER_MS, longer waits return early); rejects only when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** A new job id: a UUIDv7, so that ids sort by arrival, to the millisecond. */
  newId(): string;
  /** Whether that process lives, as far as this one can see; see platform/identity.ts. */
  liveness(identity: ProcessIdentity): Liveness;
}

/** setTimeout fires at once for anything that does not fit in 31 bits. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemEnv: Env = {
  now: () => Date.now(),
  boot: bootClock,
  random: () => Math.random(),
  sleep: async (ms, signal) => {
    await delay(Math.min(Math.max(ms, 0), MAX_TIMER_MS), undefined, signal && { signal });
  },
  newId: () => uuid7(Date.now()),
  liveness,
};

/** Waits `ms`, at most MAX_TIMER_MS; false if `signal` cut it short. */
export async function pause(env: Env, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await env.sleep(ms, signal);
    return true;
  } catch {
    return false;
  }
}

/**
 * RFC 9562 version 7: 48 bits of milliseconds, then the 74 random bits of a version 4. Ours,
 * because the one in node:crypto is missing from Node 24 and loading that module costs
 * `enqueue` 1 ms.
 */
function uuid7(now: number): string {
  const time = now.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${crypto.randomUUID().slice(15)}`;
}
