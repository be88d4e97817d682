// Random histories on a store and on the model of it (model.ts). What the store answers,
// and what it then shows, must be what the model says.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Outcome } from '../../src/job.ts';
import type { Claimed } from '../../src/store/store.ts';
import { allJobs } from './invariants.ts';
import { BACKOFF, Model, STALE } from './model.ts';
import { FAILURE, ids, INTERRUPTED, NO_RESOURCES, refusal, SUCCESS } from './values.ts';
import { type ContractTest, type Hand, World } from './world.ts';

const QUEUES = ['a', 'b', 'c'];
/** Who serves what: the first worker everything. */
const SERVES = [null, ['a'], ['b', 'c']] as const;
const OUTCOMES: readonly Outcome[] = [
  SUCCESS,
  SUCCESS,
  FAILURE,
  FAILURE,
  INTERRUPTED,
  NO_RESOURCES,
  { kind: 'timed_out' },
  { kind: 'cancelled' },
];

/** An attempt, counted back from the newest: mostly one that runs, now and then a stale one. */
const ATTEMPT = fc.oneof({ weight: 3, arbitrary: fc.nat(3) }, fc.nat(99));

const OP = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('enqueue' as const),
      id: fc.nat(29),
      queue: fc.nat(2),
      priority: fc.integer({ min: -1, max: 1 }),
      delay: fc.constantFrom(null, null, null, 0, 1000, 5000),
      maxRetries: fc.nat(2),
      ifAbsent: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('turn' as const),
      worker: fc.nat(2),
      ended: fc.array(fc.record({ attempt: ATTEMPT, outcome: fc.nat(OUTCOMES.length - 1) }), {
        maxLength: 3,
      }),
      slots: fc.nat(3),
    }),
  },
  fc.record({ op: fc.constant('cancel' as const), ids: fc.array(fc.nat(29), { maxLength: 2 }) }),
  fc.record({ op: fc.constant('retry' as const), ids: fc.array(fc.nat(29), { maxLength: 2 }) }),
  fc.record({
    op: fc.constantFrom('retryDead' as const, 'purgeDead' as const),
    limit: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ op: fc.constant('reap' as const), attempt: ATTEMPT, renewed: fc.boolean() }),
  fc.record({ op: fc.constant('renew' as const), attempt: ATTEMPT }),
  fc.record({ op: fc.constant('replace' as const), worker: fc.nat(2), stop: fc.boolean() }),
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('advance' as const),
      ms: fc.constantFrom(1, 999, 1000, 4000, 30_000),
    }),
  },
  fc.record({ op: fc.constant('setBack' as const), ms: fc.constantFrom(1000, 10_000) }),
);
type Op = typeof OP extends fc.Arbitrary<infer T> ? T : never;

/** The store and its model, moved together. */
class Pair {
  readonly #w: World;
  readonly #model = new Model();
  readonly #hands: Hand[] = [];
  /** Every attempt ever claimed: most of their tokens are stale. */
  readonly #attempts: Claimed[] = [];

  constructor(w: World) {
    this.#w = w;
  }

  async run(ops: readonly Op[]): Promise<void> {
    for (const queues of SERVES) {
      this.#hands.push(await this.#w.hand({ queues }));
    }
    for (const op of ops) await this.#step(op);
    await this.#compare();
    await this.#w.check();
  }

  async #step(op: Op): Promise<void> {
    const { store, env } = this.#w;
    const model = this.#model;
    switch (op.op) {
      case 'enqueue':
        await this.#enqueue(op);
        break;
      case 'turn':
        await this.#turn(op);
        break;
      case 'cancel': {
        const asked = op.ids.map(String);
        const right = asked.map((id) => model.cancel(id));
        assert.deepEqual(await store.cancel(asked), right);
        break;
      }
      case 'retry': {
        const asked = op.ids.map(String);
        const right = asked.map((id) => model.retry(id, env.now()));
        assert.deepEqual(await store.retry(asked), right);
        break;
      }
      case 'retryDead':
      case 'purgeDead': {
        const dead = model.dead(op.limit);
        for (const { id } of dead) {
          if (op.op === 'retryDead') model.retry(id, env.now());
          else model.jobs.delete(id);
        }
        const everyone = { after: 0, upTo: 1e9, queue: null, before: null };
        const { keys } = await store[op.op]({ ...everyone, limit: op.limit });
        assert.deepEqual(
          keys,
          dead.map(({ key }) => key),
        );
        break;
      }
      case 'reap':
        await this.#reap(op);
        break;
      case 'renew': {
        const attempt = this.#attempt(op.attempt);
        if (attempt === undefined) break;
        const owned = model.jobs.get(attempt.id)?.runToken === attempt.runToken;
        const lost = await this.#hand(0).renew([attempt]);
        assert.deepEqual(lost, owned ? [] : [attempt.runToken]);
        break;
      }
      case 'replace': {
        const hand = this.#hand(op.worker);
        const workers = [hand.key];
        if (op.stop) {
          await store.requestStop({ workers, supervisors: [], mode: 'graceful', stopBy: null });
        } else {
          await store.endWorker(hand.key, 'replaced');
        }
        assert.deepEqual(await hand.claim(3), [], 'it gets nothing any more');
        const queues = SERVES[op.worker] ?? null;
        this.#hands[op.worker] = await this.#w.hand({ queues });
        break;
      }
      case 'advance':
        env.advance(op.ms);
        break;
      case 'setBack':
        env.setWall(env.now() - op.ms);
        break;
    }
  }

  async #enqueue(op: Extract<Op, { op: 'enqueue' }>): Promise<void> {
    const { store, env } = this.#w;
    const { priority, maxRetries, delay, ifAbsent } = op;
    const id = String(op.id);
    const queue = QUEUES[op.queue] ?? '';
    const job = this.#w.newJob({ id, queue, priority, maxRetries, delay });
    const known = this.#model.jobs.get(id);
    if (known !== undefined && !ifAbsent) {
      await assert.rejects(store.enqueue([job]), refusal('id_taken'));
      return;
    }
    const [answer] = await store.enqueue([job], { ifAbsent });
    assert.ok(answer);
    const { key } = known ?? answer;
    assert.deepEqual(answer, {
      id,
      key,
      state: known?.state ?? 'pending',
      created: known === undefined,
    });
    if (known !== undefined) return;
    this.#model.jobs.set(id, {
      id,
      key,
      queue,
      priority,
      maxRetries,
      createdAt: env.now(),
      state: 'pending',
      attempts: 0,
      lastAttempt: 0,
      runAt: delay === null ? null : env.now() + delay,
      runToken: null,
      cancelRequested: false,
    });
  }

  async #turn(op: Extract<Op, { op: 'turn' }>): Promise<void> {
    const now = this.#w.env.now();
    const ended = op.ended.flatMap(({ attempt, outcome }) => {
      const claimed = this.#attempt(attempt);
      const value = OUTCOMES[outcome] ?? SUCCESS;
      return claimed === undefined
        ? []
        : [{ attempt: claimed, outcome: value, logBytes: 1, random: 0 }];
    });
    const recorded = ended.map(({ attempt, outcome }) => this.#model.end(attempt, outcome, now));
    const due = this.#model.claimable(SERVES[op.worker] ?? null, now).slice(0, op.slots);
    const turn = await this.#hand(op.worker).turn({ ended, slots: op.slots, backoff: BACKOFF });
    assert.deepEqual(turn.recorded, recorded);
    assert.deepEqual(ids(turn.claimed), ids(due));
    for (const [index, job] of due.entries()) {
      const claimed = turn.claimed[index];
      assert.ok(claimed);
      const newest = this.#attempts.at(-1)?.runToken ?? 0;
      assert.ok(claimed.runToken > newest, 'run tokens grow');
      this.#model.claim(job, claimed.runToken);
      assert.deepEqual([claimed.number, claimed.attempts], [job.lastAttempt, job.attempts]);
      this.#attempts.push(claimed);
    }
  }

  async #reap(op: Extract<Op, { op: 'reap' }>): Promise<void> {
    const attempt = this.#attempt(op.attempt);
    if (attempt === undefined) return;
    const seen = (await this.#w.store.running()).find(
      ({ runToken }) => runToken === attempt.runToken,
    );
    const leaseUntil = seen?.leaseUntil ?? 0;
    const reaping = { attempt, leaseUntil, reason: 'gone', backoff: BACKOFF, random: 0 };
    let right = STALE;
    if (op.renewed && seen !== undefined) {
      this.#w.env.advance(1);
      await this.#hand(0).renew([attempt]);
    } else {
      right = this.#model.end(attempt, { kind: 'lost' }, this.#w.env.now());
    }
    assert.deepEqual(await this.#w.store.reap(reaping), right);
  }

  #hand(worker: number): Hand {
    const found = this.#hands[worker];
    assert.ok(found);
    return found;
  }

  #attempt(drawn: number): Claimed | undefined {
    return this.#attempts.at(-1 - (drawn % Math.max(this.#attempts.length, 1)));
  }

  async #compare(): Promise<void> {
    const shown = (await allJobs(this.#w.store)).map(
      ({ id, key, queue, state, attempts, lastAttempt, runAt, cancelRequested }) => ({
        id,
        key,
        queue,
        state,
        attempts,
        lastAttempt,
        runAt,
        cancelRequested,
      }),
    );
    const right = [...this.#model.jobs.values()].map(
      ({ id, key, queue, state, attempts, lastAttempt, runAt, cancelRequested }) => ({
        id,
        key,
        queue,
        state,
        attempts,
        lastAttempt,
        runAt,
        cancelRequested,
      }),
    );
    assert.deepEqual(
      shown,
      right.toSorted((x, y) => x.key - y.key),
    );
  }
}

export function histories(test: ContractTest): void {
  test(
    'the store does what the model says, whatever is asked of it',
    async (w) => {
      const history = fc.asyncProperty(
        fc.array(OP, { maxLength: 200, size: 'max' }),
        async (ops) => {
          const own = await World.create(w.backend);
          try {
            await new Pair(own).run(ops);
          } finally {
            await own.remove();
          }
        },
      );
      await fc.assert(history, { numRuns: 100 });
    },
    { timeout: 120_000 },
  );
}
