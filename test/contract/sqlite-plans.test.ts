// How SQLite finds what it is asked for: no statement that runs often may read more with
// every job there is. The statements are those that the store itself prepares.

import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { systemEnv } from '../../src/env.ts';
import type { State } from '../../src/job.ts';
import { NO_FILTER, SORT_ORDERS, type Store } from '../../src/store/store.ts';
import { intercepting, type Place, placeTest, plainJob } from './sqlite-place.ts';
import { names, query, stepOnDead } from './values.ts';

interface Plan {
  readonly sql: string;
  /** Each line of EXPLAIN QUERY PLAN. */
  readonly steps: readonly string[];
}

/** The plans of everything that `use` runs on a store, each statement once. */
async function plansOf(place: Place, use: (store: Store) => Promise<void>): Promise<Plan[]> {
  const seen = new Set<string>();
  await intercepting(
    (_, sql) => seen.add(sql),
    async () => {
      const store = await place.open();
      seen.clear();
      await use(store);
    },
  );
  const handle = place.handle();
  return [...seen]
    .filter((sql) => !sql.startsWith('PRAGMA'))
    .map((sql) => {
      const steps = handle.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
      return { sql, steps: steps.map((step) => String(step['detail'])) };
    });
}

/** The plan of the one statement that contains this. */
function planOf(plans: readonly Plan[], part: string): readonly string[] {
  const found = plans.filter(({ sql }) => sql.includes(part));
  assert.equal(found.length, 1, `one statement with ${part}`);
  return found[0]?.steps ?? [];
}

function has(steps: readonly string[], part: string): void {
  assert.ok(
    steps.some((step) => step.includes(part)),
    `${part} in:\n${steps.join('\n')}`,
  );
}

const GROWING = /\b(job|attempt|ready|delayed|place|worker|supervisor)\b/;
/** Indexes of what runs or lives: a few rows, however long the history. */
const FEW = /\bINDEX (attempt_running|worker_living|supervisor_living)\b/;

function assertNoScan(plans: readonly Plan[], allowed: readonly RegExp[] = []): void {
  for (const { sql, steps } of plans) {
    if (!steps.some((step) => GROWING.test(step)) || steps.some((step) => FEW.test(step))) continue;
    for (const step of steps) {
      if (allowed.some((pattern) => pattern.test(step))) continue;
      assert.ok(!/\bSCAN (?!CONSTANT)/.test(step) || !GROWING.test(step), `${step}\nin ${sql}`);
      assert.ok(!step.includes('TEMP B-TREE'), `${step}\nin ${sql}`);
    }
  }
}

const IDENTITY = { host: 'h', bootId: 'b', pidNamespace: '', pid: 1, startTime: '1' };
const BACKOFF = { base: 2, max: 1000 };

/** Everything that workers and clients do all day. */
async function work(store: Store): Promise<void> {
  const jobs = names('j', 8).map((id) => plainJob({ id, maxRetries: 0 }));
  await store.enqueue([...jobs, plainJob({ id: 'later', delay: 1 })]);
  await store.enqueue([plainJob({ id: 'j0' })], { ifAbsent: true });
  await store.registerSupervisor({ identity: IDENTITY, count: 1 });
  const worker = { identity: IDENTITY, supervisor: null, concurrency: 2 };
  const { key: all } = await store.registerWorker({ ...worker, queues: null });
  const { key: some } = await store.registerWorker({ ...worker, queues: ['default', 'other'] });
  await store.workerReady(all);
  const turn = { ended: [], backoff: BACKOFF, lease: 1000 };
  const { claimed } = await store.turn({ ...turn, worker: all, slots: 3 });
  await store.turn({ ...turn, worker: some, slots: 1 });
  await store.attend(all);
  await store.attend(some);
  await store.renew({ worker: all, attempts: claimed, lease: 1000 });
  await store.cancel(['j7', claimed[0]?.id ?? '']);
  await store.workers();
  await store.supervisors();
  const [running] = await store.running();
  assert.ok(running);
  const { leaseUntil } = running;
  await store.reap({ attempt: running, leaseUntil, reason: 'x', backoff: BACKOFF, random: 0 });
  const ended = claimed.map((attempt) => ({
    attempt,
    outcome: { kind: 'exited', code: 1 } as const,
    logBytes: 0,
    random: 0,
  }));
  await store.turn({ ...turn, worker: all, slots: 0, ended });
  await store.retry(['j1']);
  await stepOnDead(store, 'retryFound', { limit: 1 });
  const unchangedSince = systemEnv.now();
  await stepOnDead(store, 'retryFound', { queue: 'default', unchangedSince, limit: 1 });
  await stepOnDead(store, 'deleteFound', { limit: 1 });
  const found = { keys: [1, 2], filter: NO_FILTER };
  await store.edit(['j1'], { queue: 'other', priority: 1 });
  await store.editFound(found, { runAt: null });
  await store.cancelFound(found);
  await store.delete(['j1']);
  await store.find('j1');
  await store.attempts(1);
  await store.stats();
  await store.settings();
  await store.setSetting('lease', '2s');
  await store.requestStop({ workers: [all], supervisors: null, mode: 'now', stopBy: 1 });
  await store.endWorker(some, 'x');
  await store.probe();
}

placeTest('nothing that runs often reads a table that grows, or sorts', async (place) => {
  const plans = await plansOf(place, work);
  assert.ok(plans.length > 40, `${plans.length} statements were seen`);
  // One row, wherever it stands.
  const first = (sql: string): boolean => sql === 'SELECT 1 FROM ready LIMIT 1';
  assertNoScan(plans.filter(({ sql }) => !first(sql)));
});

/** The store, telling which method is being called. */
function watched(store: Store, onCall: (method: string) => void): Store {
  return new Proxy(store, {
    get(target, name: keyof Store) {
      const member = target[name];
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        onCall(name);
        return Reflect.apply(member, target, args) as unknown;
      };
    },
  });
}

const LOOKS = new Set([
  'attempts',
  'attend',
  'find',
  'list',
  'match',
  'running',
  'settings',
  'stats',
  'supervisors',
  'workers',
]);

placeTest('who writes takes the lock before it reads, who looks never writes', async (place) => {
  /** Method → how it begins its transactions, and what it does in them. */
  const begins = new Map<string, Set<string>>();
  const statements = new Map<string, Set<string>>();
  const note = (map: Map<string, Set<string>>, sql: string): unknown =>
    map.set(method, (map.get(method) ?? new Set()).add(sql));
  let method = 'open';
  const exec: DatabaseSync['exec'] = Reflect.get(DatabaseSync.prototype, 'exec');
  DatabaseSync.prototype.exec = function recorded(sql) {
    if (sql.startsWith('BEGIN')) note(begins, sql);
    exec.call(this, sql);
  };
  try {
    await intercepting(
      (_, sql) => note(statements, sql),
      async () => {
        const store = await place.open();
        begins.clear();
        await work(watched(store, (name) => (method = name)));
      },
    );
  } finally {
    DatabaseSync.prototype.exec = exec;
  }
  assert.ok(begins.size > 20, `${begins.size} methods were seen`);
  for (const [name, ways] of begins) {
    assert.deepEqual([...ways], [LOOKS.has(name) ? 'BEGIN' : 'BEGIN IMMEDIATE'], name);
    if (!LOOKS.has(name)) continue;
    for (const sql of statements.get(name) ?? []) assert.match(sql, /^\s*(SELECT|WITH)\b/, name);
  }
});

placeTest('the head of a lane comes from the ready index, in its order', async (place) => {
  const plans = await plansOf(place, work);
  const steps = planOf(plans, 'SELECT rank, due, job FROM ready WHERE lane = ?');
  assert.deepEqual(steps, ['SEARCH ready USING PRIMARY KEY (lane=?)']);
});

placeTest(
  'promotion reads the delayed index up to now, and finds each job by key',
  async (place) => {
    const plans = await plansOf(place, work);
    const insert = planOf(plans, 'FROM (SELECT due, job FROM delayed');
    has(insert, 'SEARCH delayed USING PRIMARY KEY (due<?)');
    has(insert, 'SEARCH job USING INTEGER PRIMARY KEY');
    const remove = planOf(plans, '(due, job) IN');
    has(remove, 'SEARCH delayed USING PRIMARY KEY (due=? AND job=?)');
    has(remove, 'SEARCH delayed USING PRIMARY KEY (due<?)');
  },
);

placeTest('the lanes with something ready are found by one seek each', async (place) => {
  const plans = await plansOf(place, work);
  const steps = planOf(plans, 'WITH RECURSIVE lanes');
  has(steps, 'SEARCH ready');
  has(steps, 'SEARCH ready USING PRIMARY KEY (lane>?)');
});

placeTest('what runs is read from the partial index', async (place) => {
  const plans = await plansOf(place, work);
  const ofOne = plans.filter(({ sql }) => /attempt[^]*WHERE[^]*worker = \?/.test(sql));
  assert.ok(ofOne.length >= 2);
  for (const { steps } of ofOne) has(steps, 'INDEX attempt_running (worker=?)');
  const ofAll = planOf(plans, 'attempt.lease_until, attempt.cancel_requested');
  has(ofAll, 'SCAN attempt USING INDEX attempt_running');
});

placeTest('the dead of one queue are found without reading those of others', async (place) => {
  const plans = await plansOf(place, async (store) => {
    await stepOnDead(store, 'deleteFound', { queue: 'default' });
    await stepOnDead(store, 'deleteFound');
  });
  const steps = planOf(plans, 'WHERE name = :queue) AND key > :after');
  has(steps, 'INDEX job_by_queue (queue=? AND state=? AND rowid>? AND rowid<?)');
  assertNoScan(plans);
});

placeTest('counts and rates touch no job but the one they name', async (place) => {
  await place.make([{ id: 'j' }, { id: 'later', delay: 1e6 }]);
  const plans = await plansOf(place, async (store) => {
    await store.stats();
  });
  assert.ok(plans.length >= 4);
  assertNoScan(plans);
  for (const { sql, steps } of plans) {
    if (sql === 'SELECT id FROM job WHERE key = ?') continue;
    assert.ok(!steps.some((step) => /\b(job|attempt)\b/.test(step)), sql);
  }
});

const STATES: readonly State[][] = [[], ['dead'], ['pending', 'failed', 'processing']];
for (const sort of ['newest', 'oldest'] as const) {
  for (const queue of [null, 'default']) {
    for (const states of STATES) {
      for (const cursor of [null, 'j5']) {
        const filter = [
          sort,
          queue ?? 'all queues',
          states.join('+') || 'all states',
          cursor ?? 'top',
        ];
        placeTest(`list by ${filter.join(', ')}: no sorting, no reading of all`, async (place) => {
          await place.make(names('j', 9).map((id) => ({ id })));
          const plans = await plansOf(place, async (store) => {
            await store.list(query({ sort, queue, states, cursor, limit: 3 }));
          });
          // Only the newest or oldest of all may be read from the table itself: by its key.
          const all = states.length === 0 && queue === null ? [/^SCAN job$/] : [];
          // The page itself, once found, is some rows: joined and put in order.
          const page = [/^USE TEMP B-TREE FOR ORDER BY$/];
          const lists = plans.filter(({ sql }) => sql.includes('WITH page'));
          const [steps = []] = lists.map((plan) => plan.steps);
          assertNoScan(plans, [...all, ...page]);
          assert.equal(lists.length, 1);
          if (queue !== null) has(steps, 'INDEX job_by_queue (queue=? AND state=?');
          else if (states.length > 0) has(steps, 'INDEX job_by_state (state=?');
        });
      }
    }
  }
}

for (const cursor of [null, 'j5']) {
  const where = cursor ?? 'top';
  placeTest(
    `the dead by when they died, ${where}: from their own index, in its order`,
    async (place) => {
      await place.make(names('j', 9).map((id) => ({ id })));
      const plans = await plansOf(place, async (store) => {
        await store.list(query({ sort: 'updated', states: ['dead'], cursor, limit: 3 }));
      });
      const steps = planOf(plans, 'WITH page');
      // With a cursor it begins behind it; either way nothing but the page itself is sorted.
      has(
        steps,
        cursor === null ? 'INDEX job_dead (state=?)' : 'INDEX job_dead (state=? AND updated_at<?)',
      );
      const sorted = steps.filter((step) => step.includes('TEMP B-TREE'));
      assert.ok(sorted.length <= 1, steps.join('\n'));
      assertNoScan(plans, [/^USE TEMP B-TREE FOR ORDER BY$/]);
    },
  );
}

placeTest('every sort of list has a plan', async (place) => {
  const plans = await plansOf(place, async (store) => {
    for (const sort of SORT_ORDERS) await store.list(query({ sort }));
  });
  assert.equal(plans.length, SORT_ORDERS.length);
});

placeTest('which workers are named is read in one walk over the attempts', async (place) => {
  await place.make([{ id: 'j' }]);
  const plans = await plansOf(place, async (store) => {
    await work(store);
    const { next } = await store.workersNamed(null, 1);
    assert.ok(next !== null);
    await store.workersNamed(next, 1000);
    await store.forgetWorkers(await store.endedWorkers(9e15), 9e15);
  });
  for (const part of ['LIMIT 1 OFFSET', 'DISTINCT worker FROM attempt']) {
    const some = plans.filter(({ sql }) => sql.includes(part));
    assert.ok(some.length > 0);
    for (const { steps } of some)
      has(steps, 'SEARCH attempt USING PRIMARY KEY ((job,number)>(?,?)');
  }
  // Workers are few: all of them are looked at, but none of their attempts that has ended.
  has(planOf(plans, 'DELETE FROM worker'), 'INDEX attempt_running (worker=?)');
  const supervisors = planOf(plans, 'DELETE FROM supervisor');
  has(supervisors, 'LIST SUBQUERY');
  assert.ok(!supervisors.some((step) => step.includes('CORRELATED')), supervisors.join('\n'));
});

placeTest('retention finds what is overdue without reading the rest', async (place) => {
  await place.make([{ id: 'j' }]);
  const plans = await plansOf(place, async (store) => {
    const bounds = { endedBefore: 1, diedBefore: 1, jobs: 0, logBytes: 0 };
    await store.cancel(['j']);
    await store.overdue({ queue: 'default', ...bounds, spareFrom: 9e15, limit: 10 });
  });
  const ended = plans.filter(({ sql }) => /'completed', 'cancelled'\)[^]*ORDER BY/.test(sql));
  assert.ok(ended.length > 0);
  for (const { steps } of ended) has(steps, 'INDEX job_ended (queue=? AND updated_at<?)');
  has(
    planOf(plans, "state = 'dead' AND updated_at <"),
    'INDEX job_dead (state=? AND updated_at<?)',
  );
  assertNoScan(plans);
});
