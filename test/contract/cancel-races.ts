// Guarantee 9 under races: a cancel, by id or by filter, meets the claim, the result and the
// reaper in every order, twice: stepped through connections of this process, in an order that
// the seed decides; and between real processes, let go at the same moment.

import assert from 'node:assert/strict';
import type { Outcome } from '../../src/job.ts';
import {
  type AttemptRef,
  NO_FILTER,
  type Reaping,
  type RunningAttempt,
  type Store,
} from '../../src/store/store.ts';
import { type Event, isKept, SWEPT, swept, Tally, told } from './cancel-story.ts';
import { shuffled, TestEnv } from './env.ts';
import type { Peer } from './peers.ts';
import { FAILURE, identity, INTERRUPTED, LEASE, NO_RESOURCES, SUCCESS } from './values.ts';
import type { ContractTest, World } from './world.ts';

const SEEDS = 1000;
/** Between processes: how far apart they are let go at most. */
const MOST_APART_MS = 0.3;

const OUTCOMES: readonly Outcome[] = [
  SUCCESS,
  SUCCESS,
  SUCCESS,
  SUCCESS,
  FAILURE,
  INTERRUPTED,
  NO_RESOURCES,
  { kind: 'timed_out' },
];
const LOST: Outcome = { kind: 'lost' };
/** A retry is due at once. */
const BACKOFF = { base: 1, max: 0 };

const RACED = [
  'cancelled',
  'cancel_requested',
  'already_finished',
  'ended cancelled',
  'filter: cancelled',
  'filter: cancel_requested',
  'filter: left_alone',
];

/** A worker, a reaper and somebody who cancels; each step is one commit at most. */
class Stepped {
  readonly events: Event[] = [];
  readonly id: string;
  readonly #env: TestEnv;
  readonly #clock: TestEnv;

  constructor(w: World, seed: number) {
    this.id = `s${seed}`;
    this.#env = new TestEnv(seed);
    this.#clock = w.env;
  }

  async run(stores: readonly Store[]): Promise<void> {
    const [first, second, third] = shuffled(stores, this.#env);
    assert.ok(first && second && third);
    const actors = [this.#work(first), this.#reap(second), this.#cancel(third)];
    while (actors.length > 0) {
      const at = this.#draw(actors.length);
      const step = await actors[at]?.next();
      if (step?.done !== false) actors.splice(at, 1);
    }
  }

  #draw(below: number): number {
    return Math.floor(this.#env.random() * below);
  }

  /** Claims, looks whether it is to stop, records how the command ended; then once more. */
  async *#work(store: Store): AsyncGenerator<void> {
    const who = { identity: identity(), supervisor: null, queues: [this.id], concurrency: 1 };
    const { key: worker } = await store.registerWorker(who);
    const turn = { worker, backoff: BACKOFF, lease: LEASE };
    for (let round = 0; round < 2; round += 1) {
      yield;
      const { claimed } = await store.turn({ ...turn, ended: [], slots: 1 });
      for (const attempt of claimed) {
        this.events.push({ what: 'claimed' });
        yield;
        const { cancelRequested } = await store.attend(worker);
        yield;
        // Told to end it; or it ended by itself a moment before that.
        const ends = cancelRequested.length > 0 && this.#draw(2) === 0;
        const drawn = OUTCOMES[this.#draw(OUTCOMES.length)] ?? SUCCESS;
        const outcome: Outcome = ends ? { kind: 'cancelled' } : drawn;
        const ended = [{ attempt, outcome, logBytes: 0, random: 0 }];
        const { recorded } = await store.turn({ ...turn, ended, slots: 0 });
        this.events.push(
          ...recorded.map((one) => ({ what: 'ended', outcome, recorded: one }) as const),
        );
      }
      // What was given back for lack of resources waits a second.
      this.#clock.advance(1000);
    }
  }

  /** Takes whatever runs for lost, every other time. */
  async *#reap(store: Store): AsyncGenerator<void> {
    for (let waits = this.#draw(12); waits > 0; waits -= 1) yield;
    const running = (await store.running()).filter(({ jobId }) => jobId === this.id);
    yield;
    if (this.#draw(2) === 0) return;
    for (const attempt of running) {
      const recorded = await store.reap(reaping(attempt));
      this.events.push({ what: 'ended', outcome: LOST, recorded });
    }
  }

  /** Once or twice, at any time; every other time by filter: finds, and acts a step later. */
  async *#cancel(store: Store): AsyncGenerator<void> {
    for (let waits = this.#draw(10); waits > 0; waits -= 1) yield;
    for (let rounds = 1 + this.#draw(2); rounds > 0; rounds -= 1) {
      yield;
      if (this.#draw(2) === 0) {
        const filter = { ...NO_FILTER, queue: this.id, states: SWEPT[this.#draw(2)] ?? [] };
        const { key: upTo } = await store.horizon();
        const keys = await store.match({ ...filter, after: 0, upTo, limit: 9 });
        if (keys.length === 0) continue;
        for (let waits = this.#draw(4); waits > 0; waits -= 1) yield;
        const found = { keys, filter };
        this.events.push(swept(found, await store.cancelFound(found)));
        continue;
      }
      const answers = await store.cancel([this.id]);
      this.events.push(...answers.map((answer) => ({ what: 'cancel', answer }) as const));
    }
  }
}

function reaping(attempt: RunningAttempt): Reaping {
  const { leaseUntil } = attempt;
  return { attempt, leaseUntil, reason: 'x', backoff: BACKOFF, random: 0 };
}

/** The same between processes: what they do at the same moment is drawn for each job. */
class Raced {
  /** In the order of the commits. */
  readonly before: Event[] = [];
  /** In whatever order they were committed. */
  readonly race: Event[] = [];
  readonly after: Event[] = [];
  readonly #w: World;
  readonly #env: TestEnv;
  readonly #id: string;
  readonly #worker: number;
  readonly #peers: Peers;
  #key = 0;
  #attempt: AttemptRef | null = null;

  constructor(w: World, seed: number, worker: number, peers: Peers) {
    this.#w = w;
    this.#env = new TestEnv(seed);
    this.#id = `r${seed}`;
    this.#worker = worker;
    this.#peers = peers;
  }

  async run(): Promise<void> {
    await this.#w.add({ id: this.#id });
    this.#key = (await this.#w.job(this.#id)).key;
    const against = this.#env.random();
    if (against < 0.4) {
      this.race.push(...(await this.#atOnce([() => this.#claim(), () => this.#cancel()])));
    } else {
      this.before.push(...(await this.#claim()));
      const acts = [() => this.#end(), () => this.#cancel()];
      // Now and then somebody takes the worker for dead, at the same moment.
      if (against > 0.8) {
        const running = await this.#w.store.running();
        acts.push(...running.map((attempt) => () => this.#reap(attempt)));
      }
      this.race.push(...(await this.#atOnce(acts)));
    }
    this.after.push(...(await this.#end()));
  }

  /** Lets all of them go, in an order and microseconds apart as the seed says. */
  async #atOnce(acts: readonly (() => Promise<Event[]>)[]): Promise<Event[]> {
    const events: Promise<Event[]>[] = [];
    for (const act of shuffled(acts, this.#env)) {
      events.push(act());
      const until = performance.now() + this.#env.random() * MOST_APART_MS;
      while (performance.now() < until);
    }
    return (await Promise.all(events)).flat();
  }

  async #claim(): Promise<Event[]> {
    const turn = { worker: this.#worker, ended: [], slots: 1, backoff: BACKOFF, lease: LEASE };
    const { claimed } = await this.#peers.worker.call('turn', turn);
    this.#attempt = claimed[0] ?? null;
    return claimed.map(() => ({ what: 'claimed' }));
  }

  /** What runs, if anything does. */
  async #end(): Promise<Event[]> {
    if (this.#attempt === null) return [];
    const outcome = OUTCOMES[Math.floor(this.#env.random() * OUTCOMES.length)] ?? SUCCESS;
    const ended = [{ attempt: this.#attempt, outcome, logBytes: 0, random: 0 }];
    this.#attempt = null;
    const turn = { worker: this.#worker, ended, slots: 0, backoff: BACKOFF, lease: LEASE };
    const { recorded } = await this.#peers.worker.call('turn', turn);
    return recorded.map((one) => ({ what: 'ended', outcome, recorded: one }));
  }

  async #cancel(): Promise<Event[]> {
    const { client } = this.#peers;
    if (this.#env.random() < 0.5) {
      const states = SWEPT[Math.floor(this.#env.random() * SWEPT.length)] ?? [];
      const found = { keys: [this.#key], filter: { ...NO_FILTER, states } };
      return [swept(found, await client.call('cancelFound', found))];
    }
    const answers = await client.call('cancel', [this.#id]);
    return answers.map((answer) => ({ what: 'cancel', answer }));
  }

  async #reap(attempt: RunningAttempt): Promise<Event[]> {
    const recorded = await this.#peers.reaper.call('reap', reaping(attempt));
    return [{ what: 'ended', outcome: LOST, recorded }];
  }
}

interface Peers {
  readonly worker: Peer;
  readonly reaper: Peer;
  readonly client: Peer;
}

function orders<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, at) => orders(items.toSpliced(at, 1)).map((rest) => [item, ...rest]));
}

export function cancelRaces(test: ContractTest): void {
  test(`cancel in ${SEEDS} orders with claims, results and reapers (guarantee 9)`, async (w, t) => {
    const stores = [w.store, await w.open(), await w.open()];
    const tally = new Tally();
    for (let seed = 0; seed < SEEDS; seed += 1) {
      const stepped = new Stepped(w, seed);
      await w.add({ id: stepped.id, queue: stepped.id, maxRetries: 9 });
      await stepped.run(stores);
      const { events } = stepped;
      // What nobody ended is lost at last.
      for (const attempt of await w.store.running()) {
        events.push({ what: 'ended', outcome: LOST, recorded: await w.reap(attempt) });
      }
      const job = await w.job(stepped.id);
      assert.ok(isKept(events, job), told(seed, events, job));
      tally.add(events);
    }
    t.diagnostic(String(tally));
    tally.assertAll([...RACED, 'stale', 'ended completed', 'ended failed', 'ended pending']);
  });

  test(`cancel races claim, result and reaper ${SEEDS} times between processes (guarantee 9)`, async (w, t) => {
    const [worker, reaper, client] = await w.peers(3);
    assert.ok(worker && reaper && client);
    const { key } = await w.hand();
    const tally = new Tally();
    for (let seed = 0; seed < SEEDS; seed += 1) {
      const raced = new Raced(w, seed, key, { worker, reaper, client });
      await raced.run();
      const { before, race, after } = raced;
      const job = await w.job(`r${seed}`);
      const possible = orders(race).map((order) => [...before, ...order, ...after]);
      assert.ok(
        possible.some((events) => isKept(events, job)),
        told(seed, [...before, ...race, ...after], job),
      );
      tally.add([...race, ...after]);
      // What a filter has left alone is none for the next race to claim.
      await w.store.cancel([job.id]);
    }
    t.diagnostic(String(tally));
    tally.assertAll(RACED);
  });
}
