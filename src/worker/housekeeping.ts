// Keeping house beside the work: finished jobs whose retention is over go with their logs,
// logs of ended attempts are compressed, ended workers that no attempt names are forgotten. Every
// worker does it, in steps so small that no claim notices; each step looks again before it acts,
// so it does not matter how many do, and who finds somebody else at it leaves it to them.
// Guarantee 3: what is not in a terminal state is never touched.

import { resolveRetention } from '../config.ts';
import { type Env, pause } from '../env.ts';
import { messageOf } from '../errors.ts';
import { TERMINAL_STATES } from '../job.ts';
import { type AttemptPage, type AttemptPosition, NO_FILTER, type Store } from '../store/store.ts';
import type { Log } from './log.ts';
import type { LogOwners, LogStore } from './output.ts';

/** Nobody waits for it: often enough that the disk does not fill meanwhile. */
const INTERVAL_MS = 60_000;
/** Everything is looked at so often, what has changed in every round. */
const ROUNDS_PER_SWEEP = 60;
/** Jobs in a transaction: some 1 ms of write lock. */
const STEP = 50;
/**
 * After each step a rest, times as long as the step took: less the lock is felt than the logs
 * being removed, which takes longer on a slow disk, and the rest with it. Measured by `npm run
 * bench -- house`; with a hundred jobs every 20 ms instead the slowest hundredth of all starts
 * took twice as long as with nothing to delete.
 */
const REST = 4;
/** Where somebody waits for the end: as after the batches of other verbs (queue.ts). */
const HURRIED_REST = 1;
const LEAST_HURRIED_REST_MS = 2;
const LEAST_REST_MS = 10;
/** Between two small steps of anything else. */
const STEP_PAUSE_MS = 20;
/** Attempts looked through at a time for the workers that they name: some ms of reading. */
const ATTEMPTS_AT_ONCE = 10_000;
/** An ended worker or supervisor is kept so long: one that it started may register late. */
const FORGET_MS = 24 * 3_600_000;
/** Workers forgotten in a transaction. */
const FORGET_STEP = 500;
/** A client that waits for a job sees its end within a second; this is for one that sleeps. */
const SPARE_MS = 60_000;

export interface HousekeepingOptions {
  readonly store: Store;
  readonly env: Env;
  readonly logs: LogStore;
  readonly log: Log;
}

/** Keeps house until `signal` aborts. Never rejects: what failed is tried in the next round. */
export async function keepHouse(options: HousekeepingOptions, signal: AbortSignal): Promise<void> {
  const { env, log } = options;
  // Workers that started together must not do it together.
  let wait = INTERVAL_MS * env.random();
  for (let round = 0; await pause(env, wait, signal); round += 1) {
    wait = INTERVAL_MS * (0.75 + env.random() / 2);
    try {
      const deleted = await applyRetention(options, signal, { giveWay: true });
      if (deleted > 0) log(`deleted ${deleted} jobs whose retention is over`);
      const all = round % ROUNDS_PER_SWEEP === 0;
      await tidyLogs(options, all, signal);
      if (all) await forgetWorkers(options, signal);
    } catch (error) {
      log(`could not keep house: ${messageOf(error)}`, { level: 'warn' });
    }
  }
}

export interface RetentionOptions {
  /** Somebody waits for it: rest only as long as each step took. */
  readonly hurry?: boolean;
  /** Leave what is left to whoever else is found at it: two would be felt twice as much. */
  readonly giveWay?: boolean;
  /** Called where the signal has ended it before all was done. */
  readonly onStop?: () => void;
  /** Called after each step with the keys deleted, their logs included. */
  readonly onStep?: (keys: readonly number[]) => void | Promise<void>;
}

/** Deletes what retention is over for; answers how many jobs that was. */
export async function applyRetention(
  options: Omit<HousekeepingOptions, 'log'>,
  signal: AbortSignal,
  { hurry = false, giveWay = false, onStep = () => {}, onStop }: RetentionOptions = {},
): Promise<number> {
  const { store, env, logs } = options;
  let deleted = 0;
  for await (const [queue, find] of overdueByQueue(options)) {
    const filter = { ...NO_FILTER, states: TERMINAL_STATES, queue };
    for (;;) {
      const begun = env.boot();
      const keys = await find(STEP);
      if (keys.length === 0) break;
      const gone = await store.deleteFound({ keys, filter });
      await logs.remove(gone);
      deleted += gone.length;
      await onStep(gone);
      // Somebody was quicker: what they leave is for the next round.
      if (giveWay && gone.length < keys.length) return deleted;
      const took = env.boot() - begun;
      const rest = hurry
        ? Math.max(took * HURRIED_REST, LEAST_HURRIED_REST_MS)
        : Math.max(took * REST, LEAST_REST_MS);
      if (!(await pause(env, rest, signal))) {
        onStop?.();
        return deleted;
      }
    }
  }
  return deleted;
}

/** How many jobs `applyRetention` would delete. */
export async function countOverdue(
  options: Pick<HousekeepingOptions, 'store' | 'env'>,
): Promise<number> {
  let n = 0;
  for await (const [, find] of overdueByQueue(options)) {
    n += (await find(Number.MAX_SAFE_INTEGER)).length;
  }
  return n;
}

type FindOverdue = (limit: number) => Promise<number[]>;

/** Each queue with a way to find what retention is over for in it. */
async function* overdueByQueue({
  store,
  env,
}: Pick<HousekeepingOptions, 'store' | 'env'>): AsyncGenerator<[string, FindOverdue]> {
  const stored = await store.settings();
  const { counts } = await store.stats();
  const terminal: readonly string[] = TERMINAL_STATES;
  const queues = counts.filter(({ state }) => terminal.includes(state)).map((row) => row.queue);
  for (const queue of new Set(queues)) {
    const { finished, dead, jobs, logBytes } = resolveRetention(stored, queue);
    if ([finished, dead, jobs, logBytes].every((bound) => bound === null)) continue;
    yield [
      queue,
      async (limit) => {
        const now = env.now();
        return await store.overdue({
          queue,
          endedBefore: finished === null ? null : now - finished,
          diedBefore: dead === null ? null : now - dead,
          jobs,
          logBytes,
          spareFrom: now - SPARE_MS,
          limit,
        });
      },
    ];
  }
}

/** Removes the logs of jobs that are gone, which somebody who was killed has left behind. */
export async function sweepLogs(
  options: Omit<HousekeepingOptions, 'log'>,
  signal: AbortSignal,
): Promise<void> {
  // It reads only, so it needs no more rest than it takes to notice a signal.
  await options.logs.sweep(ownersIn(options, () => pause(options.env, 0, signal)));
}

/**
 * Removes the records of workers that have ended and that no attempt names any more. Reads every
 * attempt once; whoever has ended gets no new one, so what was not seen by then is not there.
 */
export async function forgetWorkers(
  { store, env }: Pick<HousekeepingOptions, 'store' | 'env'>,
  signal: AbortSignal,
): Promise<number> {
  const endedBefore = env.now() - FORGET_MS;
  const unnamed = new Set(await store.endedWorkers(endedBefore));
  let after: AttemptPosition | null = null;
  while (unnamed.size > 0) {
    const page: AttemptPage = await store.workersNamed(after, ATTEMPTS_AT_ONCE);
    for (const worker of page.workers) unnamed.delete(worker);
    after = page.next;
    if (after === null) break;
    if (!(await pause(env, STEP_PAUSE_MS, signal))) return 0;
  }
  let forgotten = 0;
  for (const keys = [...unnamed]; keys.length > 0;) {
    forgotten += await store.forgetWorkers(keys.splice(0, FORGET_STEP), endedBefore);
    if (!(await pause(env, STEP_PAUSE_MS, signal))) break;
  }
  return forgotten;
}

async function tidyLogs(
  options: HousekeepingOptions,
  all: boolean,
  signal: AbortSignal,
): Promise<void> {
  const owners = ownersIn(options, () => pause(options.env, STEP_PAUSE_MS, signal));
  await options.logs.tidy(owners, all);
}

function ownersIn(
  { store, env }: Pick<HousekeepingOptions, 'store' | 'env'>,
  rest: () => Promise<boolean>,
): LogOwners {
  return {
    existing: async (first: number, last: number): Promise<ReadonlySet<number>> =>
      new Set(
        await store.match({ ...NO_FILTER, after: first - 1, upTo: last, limit: last - first + 1 }),
      ),
    running: async (): Promise<ReadonlySet<string>> =>
      new Set((await store.running()).map(({ key, number }) => `${key}.${number}`)),
    now: () => env.now(),
    pause: rest,
  };
}
