// The world as the tests want it: clocks that stand still until they are moved, chance
// that repeats itself, and waits that are over at once.

import { setImmediate } from 'node:timers/promises';
import type { Env } from '../../src/env.ts';
import { liveness } from '../../src/platform/identity.ts';
import { seeded } from '../fixtures/random.ts';

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export class TestEnv implements Env {
  #wall = Date.UTC(2027, 2, 1, 12);
  #boot = 5 * DAY;
  #ids = 0;
  readonly random: () => number;
  readonly liveness = liveness;

  constructor(seed = 1) {
    this.random = seeded(seed);
  }

  now(): number {
    return this.#wall;
  }

  boot(): number {
    return this.#boot;
  }

  /** Time goes by, on both clocks; they count whole milliseconds. */
  advance(ms: number): void {
    this.#wall += Math.ceil(ms);
    this.#boot += Math.ceil(ms);
  }

  /** Somebody sets the wall clock, forward or back; the boot clock knows nothing of it. */
  setWall(ms: number): void {
    this.#wall = ms;
  }

  /** It should not do that; where it does, nothing may break. */
  setBoot(ms: number): void {
    this.#boot = ms;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await setImmediate();
    signal?.throwIfAborted();
    this.advance(ms);
  }

  newId(): string {
    this.#ids += 1;
    return `job-${this.#ids}`;
  }
}

/** The same items in an order drawn from `env`. */
export function shuffled<T>(items: readonly T[], env: Env): T[] {
  return items
    .map((item) => ({ item, at: env.random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
