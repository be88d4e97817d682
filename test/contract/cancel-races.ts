// Guarantee 9 under races: a cancel meets the claim, the result and the reaper in every
// order, twice: stepped through connections of this process, in an order that the seed
// decides; and between real processes, let go at the same moment.

import assert from 'node:assert/strict';
import type { Job, Outcome, State } from '../../src/job.ts';
import type {
  AttemptRef,
  CancelAnswer,
  Reaping,
  Recorded,
  RunningAttempt,
  Store,
} from '../../src/store/store.ts';
import { shuffled, TestEnv } from './env.ts';
import type { Peer } from './peers.ts';
import { FAILURE, identity, INTERRUPTED, LEASE, NO_RESOURCES, SUCCESS } from './values.ts';
import type { ContractTest, World } from './world.ts';

const SEEDS = 1000;
/** Between processes: how far apart they are let go at most. */
const MOST_APART_MS = 0.3;
/** Each answer must have been given this often, or there was no race. */
const OFTEN = 20;

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

/** What was answered about one job. */
type Event =
  | { readonly what: 'claimed' }
  | { readonly what: 'ended'; readonly outcome: Outcome; readonly recorded: Recorded }
  | { readonly what: 'cancel'; readonly answer: CancelAnswer };

const ANSWER: Record<State, CancelAnswer> = {
  blocked: 'cancelled',
  pending: 'cancelled',
  failed: 'cancelled',
  processing: 'cancel_requested',
  completed: 'already_finished',
  dead: 'already_finished',
  cancelled: 'already_finished',
};

/** Whether guarantee 9 allows these answers, in this order, about a job that is now `job`. */
function isKept(events: readonly Event[], job: Job): boolean {
  let state: State = 'pending';
  let flagged = false;
  for (const event of events) {
    if (event.what === 'claimed') {
      if (state !== 'pending' && state !== 'failed') return false;
      state = 'processing';
    } else if (event.what === 'cancel') {
      if (event.answer !== ANSWER[state]) return false;
      if (event.answer === 'cancelled') state = 'cancelled';
      flagged = event.answer === 'cancel_requested';
    } else if (!event.recorded.stale) {
      const succeeded = event.outcome === SUCCESS;
      const next: State = event.recorded.state;
      if (state !== 'processing') return false;
      if (flagged !== (next === 'cancelled')) return false;
      if (!flagged && succeeded !== (next === 'completed')) return false;
      state = next;
      flagged = false;
    }
  }
  return job.state === state && (state === 'completed' || state === 'cancelled');
}

function told(seed: number, events: readonly Event[], { state }: Job): string {
  const all = events.map((event) => JSON.stringify(event));
  return `seed ${seed}: ${all.join(', ')}, at last ${state}`;
}

/** Counts what a job's story was, in short. */
class Tally {
  readonly #counts = new Map<string, number>();

  add(events: readonly Event[]): void {
    for (const event of events) {
      if (event.what === 'cancel') this.#one(event.answer);
      else if (event.what === 'ended') {
        this.#one(event.recorded.stale ? 'stale' : `ended ${event.recorded.state}`);
      }
    }
  }

  #one(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  assertAll(names: readonly string[]): void {
    for (const name of names) assert.ok((this.#counts.get(name) ?? 0) >= OFTEN, this.toString());
  }

  toString(): string {
    return [...this.#counts].map(([name, n]) => `${n} ${name}`).join(', ');
  }
}

const RACED = ['cancelled', 'cancel_requested', 'already_finished', 'ended cancelled'];

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

  /** Once or twice, at any time. */
  async *#cancel(store: Store): AsyncGenerator<void> {
    for (let waits = this.#draw(10); waits > 0; waits -= 1) yield;
    for (let rounds = 1 + this.#draw(2); rounds > 0; rounds -= 1) {
      yield;
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
    const answers = await this.#peers.client.call('cancel', [this.#id]);
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
    }
    t.diagnostic(String(tally));
    tally.assertAll(RACED);
  });
}
