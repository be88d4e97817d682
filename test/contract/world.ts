// One database under test, with everything that a test wants to say in one line.

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { Attempt, Job, NewJob, Outcome, State } from '../../src/job.ts';
import type { OpenOptions } from '../../src/store/open.ts';
import type {
  AttemptRef,
  Attention,
  Claimed,
  Ended,
  Enqueued,
  NewWorker,
  Reaping,
  Recorded,
  RunningAttempt,
  Store,
  Turn,
  TurnResult,
} from '../../src/store/store.ts';
import type { Backend, Database } from './backend.ts';
import { MINUTE, TestEnv } from './env.ts';
import { assertConsistent } from './invariants.ts';
import { Peer } from './peers.ts';
import { BACKOFF, FAILURE, identity, LEASE, one, SUCCESS } from './values.ts';

export type ContractTest = (
  name: string,
  body: (w: World, t: TestContext) => Promise<void>,
  options?: { readonly timeout?: number },
) => void;

export type WorldOptions = Parameters<Backend['create']>[0];

/** A group of tests, each with a database of its own that is checked and removed at its end. */
export function subject(
  backend: Backend,
  name: string,
  declare: (test: ContractTest) => void,
  options: WorldOptions = {},
): void {
  describe(name, () => {
    declare((promise, body, { timeout = 60_000 } = {}) => {
      test(promise, { timeout }, async (t) => {
        const w = await World.create(backend, options);
        try {
          await body(w, t);
          await w.check();
        } finally {
          await w.remove();
        }
      });
    });
  });
}

export class World {
  readonly env: TestEnv;
  readonly backend: Backend;
  readonly database: Database;
  /** The connection of this test; `open` makes more. */
  readonly store: Store;
  readonly #stores: Store[] = [];
  readonly #peers: Peer[] = [];

  private constructor(env: TestEnv, backend: Backend, database: Database, store: Store) {
    this.env = env;
    this.backend = backend;
    this.database = database;
    this.store = store;
  }

  static async create(backend: Backend, options: WorldOptions = {}): Promise<World> {
    const database = await backend.create(options);
    const env = new TestEnv();
    try {
      const store = await backend.open(database.address, { env, patience: MINUTE });
      const w = new World(env, backend, database, store);
      w.#stores.push(store);
      return w;
    } catch (error) {
      await database.remove();
      throw error;
    }
  }

  /** Another connection, closed at the end. */
  async open(options: Partial<OpenOptions> = {}): Promise<Store> {
    const all = { env: this.env, patience: MINUTE, ...options };
    const store = await this.backend.open(this.database.address, all);
    this.#stores.push(store);
    return store;
  }

  /** Another process, with the database open unless told otherwise. */
  async peer({ open = true } = {}): Promise<Peer> {
    const peer = await Peer.start(this.backend, this.database.address);
    this.#peers.push(peer);
    if (open) await peer.open();
    return peer;
  }

  async peers(count: number): Promise<Peer[]> {
    return await Promise.all(Array.from({ length: count }, () => this.peer()));
  }

  /** What must hold at every quiet moment. */
  async check(): Promise<void> {
    // Its own connection: a test may have closed the others.
    const store = await this.open();
    await assertConsistent(store);
    await store.close();
    await this.database.check();
  }

  async remove(): Promise<void> {
    await Promise.all(this.#peers.map((peer) => peer.kill()));
    await Promise.all(this.#stores.map((store) => store.close()));
    await this.database.remove();
  }

  /** Stores jobs in one call; what is not said is as plain as can be. */
  async add(...jobs: readonly Partial<NewJob>[]): Promise<Enqueued[]> {
    return await this.store.enqueue(jobs.map((job) => this.newJob(job)));
  }

  newJob(job: Partial<NewJob> = {}): NewJob {
    return {
      id: job.id ?? this.env.newId(),
      kind: 'command',
      command: 'true',
      spec: {},
      cwd: '/srv',
      path: '/usr/bin:/bin',
      queue: 'default',
      priority: 0,
      maxRetries: 3,
      timeout: 0,
      runAt: null,
      delay: null,
      tags: null,
      ...job,
    };
  }

  /** The job with this id, which must be there. */
  async job(id: string): Promise<Job> {
    const job = await this.store.find(id);
    assert.ok(job, `there is no job ${id}`);
    return job;
  }

  async state(id: string): Promise<State | undefined> {
    return (await this.store.find(id))?.state;
  }

  async history(id: string): Promise<Attempt[]> {
    return await this.store.attempts((await this.job(id)).key);
  }

  /** A worker that may claim. */
  async hand(worker: Partial<NewWorker> = {}, store = this.store): Promise<Hand> {
    const { key, name } = await store.registerWorker({
      identity: identity(),
      supervisor: null,
      queues: null,
      concurrency: 1,
      ...worker,
    });
    await store.workerReady(key);
    return new Hand(store, key, name);
  }

  /** A new job that one attempt owns, and the worker that runs it. */
  async running(id: string, job: Partial<NewJob> = {}): Promise<{ hand: Hand; claimed: Claimed }> {
    const queue = job.queue ?? `only-${id}`;
    await this.add({ ...job, id, queue });
    const hand = await this.hand({ queues: [queue] });
    return { hand, claimed: await hand.claimOne() };
  }

  /** A new job that has come into this state in the ordinary way. */
  async bring(
    id: string,
    state: Exclude<State, 'blocked'>,
    job: Partial<NewJob> = {},
  ): Promise<Job> {
    if (state === 'pending' || state === 'cancelled') {
      await this.add({ ...job, id });
      if (state === 'cancelled') await this.store.cancel([id]);
    } else {
      const maxRetries = state === 'dead' ? 0 : 3;
      const { hand, claimed } = await this.running(id, { maxRetries, ...job });
      if (state !== 'processing')
        await hand.end(claimed, state === 'completed' ? SUCCESS : FAILURE);
    }
    const brought = await this.job(id);
    assert.equal(brought.state, state);
    return brought;
  }

  /** Dead jobs by the thousand, in order of arrival. */
  async bury(ids: readonly string[], job: Partial<NewJob> = {}): Promise<void> {
    await this.add(...ids.map((id) => ({ ...job, id, maxRetries: 0 })));
    const hand = await this.hand();
    const claimed = await hand.claim(ids.length);
    assert.equal(claimed.length, ids.length);
    await hand.endAll(claimed, FAILURE);
    await this.store.endWorker(hand.key, 'done');
  }

  /** As a reaper has read it a moment ago. */
  async seen(runToken: number): Promise<RunningAttempt> {
    const running = await this.store.running();
    return one(running.filter((attempt) => attempt.runToken === runToken));
  }

  reap(attempt: RunningAttempt, options: Partial<Reaping> = {}): Promise<Recorded> {
    const { leaseUntil } = attempt;
    const reason = 'worker died';
    const reaping = { attempt, leaseUntil, reason, backoff: BACKOFF, random: 0, ...options };
    return this.store.reap(reaping);
  }
}

/** A registered worker, moved by the test instead of by its loop. */
export class Hand {
  readonly key: number;
  readonly name: string;
  readonly #store: Store;

  constructor(store: Store, key: number, name: string) {
    this.#store = store;
    this.key = key;
    this.name = name;
  }

  turn(turn: Partial<Turn> = {}): Promise<TurnResult> {
    return this.#store.turn({
      worker: this.key,
      ended: [],
      backoff: BACKOFF,
      slots: 0,
      lease: LEASE,
      ...turn,
    });
  }

  async claim(slots = 1): Promise<readonly Claimed[]> {
    return (await this.turn({ slots })).claimed;
  }

  async claimOne(): Promise<Claimed> {
    return one(await this.claim(1));
  }

  /** Ids in the order claimed, one claim a job, until there is nothing more to have. */
  async claimAll(): Promise<string[]> {
    const claimed: string[] = [];
    for (;;) {
      const [job] = await this.claim(1);
      if (job === undefined) return claimed;
      claimed.push(job.id);
    }
  }

  async end(attempt: AttemptRef, outcome: Outcome, end: Partial<Ended> = {}): Promise<Recorded> {
    const ended = [{ attempt, outcome, logBytes: 0, random: 0, ...end }];
    return one((await this.turn({ ended })).recorded);
  }

  async endAll(attempts: readonly AttemptRef[], outcome: Outcome): Promise<void> {
    const ended = attempts.map((attempt) => ({ attempt, outcome, logBytes: 0, random: 0 }));
    const { recorded } = await this.turn({ ended });
    assert.ok(recorded.every(({ stale }) => !stale));
  }

  async renew(attempts: readonly AttemptRef[], lease = LEASE): Promise<number[]> {
    return (await this.#store.renew({ worker: this.key, attempts, lease })).lost;
  }

  attend(): Promise<Attention> {
    return this.#store.attend(this.key);
  }
}
