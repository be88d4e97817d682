// What a random history may ask of a store: every writing method of the contract, crashes,
// connections that close, and clocks that jump. Commands are plain data, so that a history
// that found something can be kept as it is (model-kept.ts), whatever becomes of the
// generators here. Numbers choose from what there is at that moment, modulo its count.

import fc from 'fast-check';
import type { Outcome, State } from '../../src/job.ts';
import { DAY, HOUR } from './env.ts';
import { type ModelSetting, SETTING_TEXTS } from './model-workers.ts';
import { FAILURE, INTERRUPTED, LEASE, NO_RESOURCES, SUCCESS } from './values.ts';

export const QUEUES = ['a', 'b', 'c'];
/** Who serves what: the first worker everything. */
export const SERVES: readonly (readonly string[] | null)[] = [null, ['a'], ['b', 'c']];

export const OUTCOMES: readonly Outcome[] = [
  SUCCESS,
  FAILURE,
  INTERRUPTED,
  NO_RESOURCES,
  { kind: 'timed_out' },
  { kind: 'cancelled' },
  { kind: 'signaled', signal: 'SIGSEGV', number: 11 },
  { kind: 'spawn_failed', error: 'no such directory', code: 127, transient: false },
];

const constant = <const T>(value: T): fc.Arbitrary<T> => fc.constant(value);

/** One of the two connections that are open. */
const via = fc.nat(1);
const random = fc.constantFrom(0, 0.5, 0.999);
const lease = fc.constantFrom(LEASE, 10_000);
const backoff = fc.constantFrom(
  { base: 2, max: 20_000 },
  { base: 2, max: 20_000 },
  { base: 1.5, max: HOUR },
  { base: 1, max: 0 },
);
/** One of the three that work now; beyond that one that was replaced: it crashed or ended. */
const worker = fc.oneof({ weight: 6, arbitrary: fc.nat(2) }, fc.integer({ min: 3, max: 60 }));

/**
 * Attempts: mostly one that owns its job, or one that does not (any more) for that reason;
 * now and then a forgery.
 */
const attempt = fc.record({
  of: fc.constantFrom(
    ...Array<'running'>(5).fill('running'),
    ...(['any', 'ended', 'overtaken', 'deleted'] as const),
  ),
  n: fc.nat(60),
  forged: fc.constantFrom(...Array<null>(20).fill(null), 'key', 'number', 'token'),
});
export type DrawnAttempt = typeof attempt extends fc.Arbitrary<infer T> ? T : never;

/** Jobs: one in some state if there is one, or any; null: nobody has that id. */
const job = fc.record({
  in: fc.constantFrom<State | 'any' | 'none'>(
    'pending',
    'failed',
    'processing',
    'completed',
    'dead',
    'cancelled',
    'any',
    'none',
  ),
  n: fc.nat(60),
});
export type DrawnJob = typeof job extends fc.Arbitrary<infer T> ? T : never;

const newJob = fc.record({
  /** null: a new id; otherwise one of thirty, which may be taken. */
  id: fc.option(fc.nat(29), { freq: 3 }),
  queue: fc.nat(QUEUES.length - 1),
  priority: fc.integer({ min: -1, max: 1 }),
  /** `runAt` counts from the moment of the command. */
  when: fc.constantFrom<{ delay: number | null; runAt: number | null }>(
    ...Array.from({ length: 4 }, () => ({ delay: null, runAt: null })),
    { delay: 0, runAt: null },
    { delay: 1000, runAt: null },
    { delay: 5000, runAt: null },
    { delay: null, runAt: -1000 },
    { delay: null, runAt: 0 },
    { delay: null, runAt: 3000 },
    { delay: null, runAt: HOUR },
  ),
  maxRetries: fc.constantFrom(null, 0, 0, 1, 2),
  timeout: fc.constantFrom(null, 0, 5000),
});
export type DrawnNewJob = typeof newJob extends fc.Arbitrary<infer T> ? T : never;

/** `runAt` counts from the moment of the command. */
const changes = fc.record(
  {
    queue: fc.nat(QUEUES.length - 1),
    priority: fc.integer({ min: -1, max: 1 }),
    maxRetries: fc.nat(2),
    timeout: fc.constantFrom(null, 1000),
    runAt: fc.constantFrom(null, -1000, 0, 5000),
  },
  { requiredKeys: [] },
);
export type DrawnChanges = typeof changes extends fc.Arbitrary<infer T> ? T : never;

const settings = Object.entries(SETTING_TEXTS).flatMap(([name, texts]) =>
  [null, ...Object.keys(texts)].map((value) => ({ name: name as ModelSetting, value })),
);

const weighted = <T>(weight: number, arbitrary: fc.Arbitrary<T>): fc.WeightedArbitrary<T> => ({
  weight,
  arbitrary,
});

export const COMMAND = fc.oneof(
  weighted(
    14,
    fc.record({
      do: constant('enqueue'),
      via,
      jobs: fc.array(newJob, { minLength: 1, maxLength: 3 }),
      ifAbsent: fc.boolean(),
    }),
  ),
  weighted(
    24,
    fc.record({
      do: constant('turn'),
      worker,
      ended: fc.array(
        fc.record({ attempt, outcome: fc.nat(OUTCOMES.length - 1), random, logBytes: fc.nat(9) }),
        { maxLength: 3 },
      ),
      slots: fc.nat(3),
      lease,
      backoff,
    }),
  ),
  weighted(5, fc.record({ do: constant('cancel'), via, jobs: fc.array(job, { maxLength: 2 }) })),
  weighted(5, fc.record({ do: constant('retry'), via, jobs: fc.array(job, { maxLength: 2 }) })),
  weighted(3, fc.record({ do: constant('delete'), via, jobs: fc.array(job, { maxLength: 2 }) })),
  weighted(
    5,
    fc.record({ do: constant('edit'), via, jobs: fc.array(job, { maxLength: 2 }), changes }),
  ),
  // By filter: finds, and acts on what it has found.
  weighted(
    8,
    fc.record({
      do: fc.constantFrom('retryFound', 'retryFound', 'deleteFound', 'cancelFound', 'editFound'),
      via,
      limit: fc.integer({ min: 1, max: 3 }),
      states: fc.constantFrom<State[]>(
        ['dead'],
        ['dead'],
        ['dead'],
        ['pending', 'failed'],
        ['completed', 'cancelled'],
        ['processing'],
        [],
      ),
      queue: fc.option(fc.nat(QUEUES.length - 1), { freq: 2 }),
      /** Only what has not changed for this long. */
      age: fc.constantFrom(null, null, 0, 1000, 30_000),
      /** Only what was stored in this time before now; null: whenever. */
      since: fc.constantFrom(null, null, null, 1000, 70_000),
      until: fc.constantFrom(null, null, null, 0, 4000),
      /** Above and up to the key of one of them; null: all. */
      after: fc.option(fc.nat(9), { freq: 2 }),
      upTo: fc.option(fc.nat(9), { freq: 2 }),
      changes,
    }),
  ),
  weighted(
    5,
    fc.record({
      do: constant('renew'),
      worker,
      attempts: fc.array(attempt, { maxLength: 3 }),
      lease,
    }),
  ),
  // A reaper looks, and acts on what it has seen: at once, or after whatever happens between.
  weighted(3, fc.record({ do: constant('look for the lost'), via })),
  weighted(
    7,
    fc.record({
      do: constant('reap'),
      via,
      attempt,
      seen: fc.constantFrom('now', 'then'),
      random,
      backoff,
    }),
  ),
  weighted(2, fc.record({ do: constant('reap what has expired'), via, random, backoff })),
  weighted(2, fc.record({ do: constant('recover from crashes'), via, random, backoff })),
  // It vanishes, with its connection and without a word; what it ran goes on in the records.
  weighted(3, fc.record({ do: constant('crash'), worker: fc.nat(2), supervised: fc.boolean() })),
  weighted(2, fc.record({ do: constant('end worker'), worker, via })),
  weighted(3, fc.record({ do: constant('replace'), worker: fc.nat(2), supervised: fc.boolean() })),
  weighted(
    2,
    fc.record({
      do: constant('request stop'),
      via,
      /** null: everybody. */
      workers: fc.option(fc.array(worker, { maxLength: 2 }), { freq: 6 }),
      supervisors: fc.boolean(),
      mode: fc.constantFrom('graceful', 'now'),
      stopBy: fc.constantFrom(null, 5000, 90_000),
    }),
  ),
  weighted(1, fc.record({ do: constant('new supervisor'), via })),
  weighted(1, fc.record({ do: constant('end supervisor'), via })),
  weighted(2, fc.record({ do: constant('set'), via, setting: fc.constantFrom(...settings) })),
  weighted(1, fc.record({ do: constant('probe'), via })),
  // One connection, or all of them: then SQLite for one cleans up behind the last.
  weighted(2, fc.record({ do: constant('reopen'), via, all: fc.boolean() })),
  weighted(
    9,
    fc.record({
      do: constant('time goes by'),
      ms: fc.constantFrom(1, 999, 1000, 4000, 30_000, 70_000),
    }),
  ),
  weighted(
    3,
    fc.record({
      do: constant('wall clock jumps'),
      ms: fc.constantFrom(-DAY, -HOUR, -10_000, -1000, 1000, 10_000, HOUR),
    }),
  ),
  weighted(
    2,
    fc.record({
      do: constant('boot clock jumps'),
      ms: fc.constantFrom(-HOUR, -10_000, 10_000, HOUR),
    }),
  ),
  weighted(3, fc.record({ do: constant('attend'), worker })),
  weighted(2, fc.record({ do: constant('look at everything'), via })),
);
export type Command = typeof COMMAND extends fc.Arbitrary<infer T> ? T : never;
export type Do<Name extends Command['do']> = Extract<Command, { do: Name }>;

export const LONGEST_HISTORY = 250;

export const HISTORY: fc.Arbitrary<readonly Command[]> = fc.array(COMMAND, {
  maxLength: LONGEST_HISTORY,
  size: 'max',
});
