// Attempts whose owner is gone or does not renew (guarantees 5, 6 and 7).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ProcessIdentity, selfIdentity } from '../../src/platform/identity.ts';
import type { Claimed, Store } from '../../src/store/store.ts';
import type { Leftovers } from '../../src/worker/leftovers.ts';
import { Reaper } from '../../src/worker/reaper.ts';
import {
  createWorld,
  deadProcess,
  enqueue,
  full,
  historyOf,
  holdLock,
  jobOf,
  livingProcess,
  ObservedStore,
  registerOwner,
  startWorker,
  statesOf,
  type World,
} from '../fixtures/engine.ts';

const LEASE_MS = 30_000;
const RENEW_INTERVAL_MS = LEASE_MS / 3;

interface Rig {
  readonly reaper: Reaper;
  readonly observed: ObservedStore;
  /** What happened, in order: `end 1,2 of w1`, `reap 1`, `endWorker 1`, `forget w1`. */
  readonly order: string[];
  /** Run tokens whose processes cannot be ended. */
  readonly stuck: Set<number>;
  /** The reaper looks by the clock from now on. */
  readonly run: () => void;
  /** A living owner does what it does every third of its lease. */
  readonly look: () => Promise<void>;
  /** What happens while processes are being ended, which takes its time. */
  meanwhile: () => void | Promise<void>;
}

async function createRig(
  world: World,
  { self = selfIdentity(), store }: { self?: ProcessIdentity; store?: Store } = {},
): Promise<Rig> {
  const observed = new ObservedStore(store ?? (await world.connect()));
  const order: string[] = [];
  const stuck = new Set<number>();
  const leftovers: Leftovers = {
    async end(runTokens, workerName) {
      order.push(`end ${runTokens.join()} of ${workerName}`);
      await rig.meanwhile();
      return !runTokens.some((token) => stuck.has(token));
    },
    forget(workerName) {
      order.push(`forget ${workerName}`);
    },
  };
  for (const method of ['reap', 'endWorker', 'endSupervisor'] as const) {
    observed.after.set(method, () => {
      const [argument] = observed.calls.findLast((call) => call.method === method)?.args ?? [];
      const what =
        typeof argument === 'object' && argument !== null && 'attempt' in argument
          ? (argument.attempt as Claimed).runToken
          : argument;
      order.push(`${method} ${String(what)}`);
    });
  }
  const reaper = new Reaper({
    store: observed.store,
    env: world.env,
    log: world.log,
    self,
    leftovers,
  });
  const closing = new AbortController();
  const run = (): void => {
    const done = reaper.run(closing.signal);
    world.atEnd(async () => {
      closing.abort();
      await done;
    });
  };
  const rig: Rig = {
    reaper,
    observed,
    order,
    stuck,
    run,
    look: () => reaper.look(),
    meanwhile: () => Promise.resolve(),
  };
  return rig;
}

async function outcomesOf(world: World, id: string): Promise<(string | null)[]> {
  return (await historyOf(world, id)).map(({ outcome }) => outcome);
}

async function renew(world: World, worker: number, attempts: readonly Claimed[]): Promise<void> {
  const { lost } = await world.client.renew({ worker, attempts, lease: LEASE_MS });
  assert.deepEqual(lost, []);
}

test('a dead owner: its processes first, then lost, then its record', async (t) => {
  const world = await createWorld(t);
  const ids = await enqueue(world, 2);
  const owner = await registerOwner(world, deadProcess());
  await owner.claim(2);
  const { look, order } = await createRig(world);
  await look();
  assert.deepEqual(order, ['end 1,2 of w1', 'reap 1', 'reap 2', 'endWorker 1', 'forget w1']);
  assert.deepEqual(await statesOf(world, ids), ['failed', 'failed']);
  for (const id of ids) {
    const { attempts, runAt } = await jobOf(world, id);
    assert.deepEqual([attempts, runAt], [1, world.env.now() + 2000], 'charged, with its backoff');
    const [attempt] = await historyOf(world, id);
    assert.equal(attempt?.outcome, 'lost');
    assert.match(attempt.error ?? '', /worker w1 \(pid \d+\) died/);
  }
  assert.deepEqual(await world.client.workers(), []);
});

test('a dead owner is recovered within a second', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const process = await livingProcess(world);
  const owner = await registerOwner(world, process.identity);
  await owner.claim();
  const { run } = await createRig(world);
  run();
  await world.env.advance(5000);
  assert.equal((await jobOf(world, id)).state, 'processing');
  await process.kill();
  await world.env.advance(1000);
  assert.deepEqual(await outcomesOf(world, id), ['lost']);
});

test('a dead owner without attempts is no more than a record to end', async (t) => {
  const world = await createWorld(t);
  await registerOwner(world, deadProcess());
  const { look, order } = await createRig(world);
  await look();
  assert.deepEqual(order, ['endWorker 1', 'forget w1']);
});

test('retries used up: a lost attempt buries its job', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, [{ maxRetries: 0 }]);
  const owner = await registerOwner(world, deadProcess());
  await owner.claim();
  const { look } = await createRig(world);
  await look();
  assert.equal((await jobOf(world, id)).state, 'dead');
});

test('leftovers that cannot be ended: not reaped, and tried again', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const owner = await registerOwner(world, deadProcess());
  await owner.claim();
  const { run, order, stuck } = await createRig(world);
  stuck.add(1);
  run();
  await world.env.advance(5000);
  assert.equal((await jobOf(world, id)).state, 'processing');
  assert.deepEqual([...new Set(order)], ['end 1 of w1']);
  assert.equal(order.length, 10, 'once a look');
  assert.equal((await world.client.workers()).length, 1);
  stuck.clear();
  await world.env.advance(500);
  assert.deepEqual(order.slice(10), ['end 1 of w1', 'reap 1', 'endWorker 1', 'forget w1']);
});

test('one attempt whose processes hang does not hold up the others of its worker', async (t) => {
  const world = await createWorld(t);
  const ids = await enqueue(world, 3);
  const owner = await registerOwner(world, deadProcess());
  await owner.claim(3);
  const { look, stuck } = await createRig(world);
  stuck.add(2);
  await look();
  assert.deepEqual(await statesOf(world, ids), ['failed', 'processing', 'failed']);
  assert.equal((await world.client.workers()).length, 1, 'its record stays as long as one does');
  stuck.clear();
  await look();
  assert.deepEqual(await statesOf(world, ids), ['failed', 'failed', 'failed']);
  assert.deepEqual(await world.client.workers(), []);
});

test('a worker whose processes hang does not hold up the recovery of others', async (t) => {
  const world = await createWorld(t);
  const ids = await enqueue(world, 2);
  for (let n = 0; n < 2; n += 1) await (await registerOwner(world, deadProcess())).claim();
  const { look, observed } = await createRig(world);
  const held = observed.hold('endWorker', 'before');
  const looking = look();
  await held.arrived;
  await world.env.settle();
  assert.deepEqual(await statesOf(world, ids), ['failed', 'failed']);
  held.release();
  await looking;
  assert.deepEqual(await world.client.workers(), []);
});

test('it never reaps itself', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const owner = await registerOwner(world, selfIdentity());
  await owner.claim();
  const { run, order } = await createRig(world);
  run();
  await world.env.advance(10 * LEASE_MS);
  assert.equal((await jobOf(world, id)).state, 'processing');
  assert.deepEqual(order, []);
});

test('a worker of another container is not itself, even with the same pid and start', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const owner = await registerOwner(world, { ...selfIdentity(), pidNamespace: 'pid:[1]' });
  await owner.claim();
  const { run, reaper } = await createRig(world);
  run();
  await world.env.advance(LEASE_MS + RENEW_INTERVAL_MS + 1000);
  assert.equal((await jobOf(world, id)).state, 'failed');
  // Nor is it the child that a supervisor of ours has seen dying.
  await reaper.recover(selfIdentity(), 'died');
  assert.equal((await world.client.workers()).length, 1);
});

test('an owner that nobody can see: after its lease, and a second look', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const owner = await registerOwner(world, { ...deadProcess(), pidNamespace: 'pid:[1]' });
  await owner.claim();
  const { run, order } = await createRig(world);
  run();
  await world.env.advance(LEASE_MS + RENEW_INTERVAL_MS - 1000);
  assert.equal((await jobOf(world, id)).state, 'processing');
  assert.deepEqual(order, []);
  await world.env.advance(2000);
  assert.deepEqual(order, ['end 1 of w1', 'reap 1']);
  assert.deepEqual(await outcomesOf(world, id), ['lost']);
  // It owns nothing any more: then its record ends too, as patiently.
  assert.equal((await world.client.workers()).length, 1);
  await world.env.advance(RENEW_INTERVAL_MS + 1000);
  assert.deepEqual(await world.client.workers(), []);
});

test('an owner that nobody can see and that renews keeps its attempt', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const owner = await registerOwner(world, { ...deadProcess(), host: 'elsewhere' });
  const claimed = await owner.claim();
  const { run, order } = await createRig(world);
  run();
  for (let n = 0; n < 20; n += 1) {
    await world.env.advance(RENEW_INTERVAL_MS);
    await renew(world, owner.key, claimed);
  }
  assert.equal((await jobOf(world, id)).state, 'processing');
  assert.deepEqual(order, []);
});

test('a worker of another boot is gone at once, whatever its lease says', async (t) => {
  const world = await createWorld(t);
  const [id = '', other = ''] = await enqueue(world, 2);
  const here = await registerOwner(world, { ...selfIdentity(), bootId: 'before' });
  // The host was renamed, or the container has a new name: still this machine's database.
  const renamed = await registerOwner(world, { ...selfIdentity(), bootId: 'x', host: 'y' });
  await here.claim();
  await renamed.claim();
  const { look } = await createRig(world);
  await look();
  assert.deepEqual(await statesOf(world, [id, other]), ['failed', 'failed']);
  assert.deepEqual(await world.client.workers(), []);
});

test('a living owner that does not renew is reaped one renew interval after its lease', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { identity } = await livingProcess(world);
  const owner = await registerOwner(world, identity);
  await owner.claim();
  const { run, order } = await createRig(world);
  run();
  await world.env.advance(LEASE_MS + RENEW_INTERVAL_MS - 1);
  assert.deepEqual(order, []);
  await world.env.advance(1001);
  assert.deepEqual(order, ['end 1 of w1', 'reap 1'], 'its own record stays: it lives');
  assert.deepEqual(await outcomesOf(world, id), ['lost']);
  assert.equal((await world.client.workers()).length, 1);
});

test('a living owner that renews at the last moment keeps its attempt', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { identity } = await livingProcess(world);
  const owner = await registerOwner(world, identity);
  const claimed = await owner.claim();
  const { run, order } = await createRig(world);
  run();
  await world.env.advance(LEASE_MS + RENEW_INTERVAL_MS - 1000);
  await renew(world, owner.key, claimed);
  await world.env.advance(LEASE_MS - 1000);
  assert.deepEqual(order, []);
  assert.equal((await jobOf(world, id)).state, 'processing');
});

test('an owner that renews while its processes are being ended is not reaped', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { identity } = await livingProcess(world);
  const owner = await registerOwner(world, identity);
  const claimed = await owner.claim();
  const rig = await createRig(world);
  rig.meanwhile = () => renew(world, owner.key, claimed);
  rig.run();
  await world.env.advance(LEASE_MS + RENEW_INTERVAL_MS + 1000);
  assert.equal(rig.observed.count('reap'), 1);
  assert.equal((await jobOf(world, id)).state, 'processing');
});

test('an owner that renews as soon as it can write keeps its processes too', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { identity } = await livingProcess(world);
  const owner = await registerOwner(world, identity);
  const claimed = await owner.claim();
  const { run, observed, order } = await createRig(world);
  run();
  await world.env.advance(LEASE_MS + RENEW_INTERVAL_MS - 100);
  // It waits for the same lock as the reaper does, and gets it first.
  observed.before.set('probe', () => renew(world, owner.key, claimed));
  await world.env.advance(2000);
  assert.deepEqual(order, []);
  assert.equal((await jobOf(world, id)).state, 'processing');
});

test('a result that comes between look and write stands (LQ-02)', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const owner = await registerOwner(world, deadProcess());
  const [claimed] = await owner.claim();
  assert.ok(claimed);
  const { look, observed } = await createRig(world);
  observed.before.set('reap', async () => {
    await world.client.turn({
      worker: owner.key,
      ended: [{ attempt: claimed, outcome: { kind: 'exited', code: 0 }, logBytes: 0, random: 0 }],
      backoff: { base: 2, max: 3_600_000 },
      slots: 0,
      lease: LEASE_MS,
    });
  });
  await look();
  assert.equal((await jobOf(world, id)).state, 'completed');
  assert.deepEqual(await outcomesOf(world, id), ['exited']);
});

test('where nobody could write, a living owner gets its renew interval from then on', async (t) => {
  const world = await createWorld(t);
  world.env.chance = 0.999;
  // Each wait for the lock blocks for 5 real ms: short leases keep this test short.
  await world.client.setSetting('lease', '3s');
  const [id = ''] = await enqueue(world, 1);
  const { identity } = await livingProcess(world);
  const owner = await registerOwner(world, identity);
  const claimed = await owner.claim();
  const { run, order } = await createRig(world);
  run();
  await world.env.advance(LEASE_MS - 200);
  const lock = holdLock(world);
  await world.env.advance(3000);
  assert.deepEqual(order, [], 'held: not reaped');
  lock.release();
  await world.env.advance(950);
  assert.deepEqual(order, [], 'it had no interval of its own yet');
  await renew(world, owner.key, claimed);
  await world.env.advance(5000);
  assert.deepEqual(order, [], 'renewed meanwhile');
  assert.equal((await jobOf(world, id)).state, 'processing');
});

test('where nobody could write, and then nobody renewed, it is reaped', async (t) => {
  const world = await createWorld(t);
  world.env.chance = 0.999;
  await world.client.setSetting('lease', '3s');
  const [id = ''] = await enqueue(world, 1);
  const { identity } = await livingProcess(world);
  const owner = await registerOwner(world, identity);
  await owner.claim();
  const { run } = await createRig(world);
  run();
  await world.env.advance(LEASE_MS - 200);
  const lock = holdLock(world);
  await world.env.advance(2000);
  lock.release();
  await world.env.advance(1800);
  assert.equal((await jobOf(world, id)).state, 'failed');
});

test('a lock taken between suspicion and reaping gives the owner its time once more', async (t) => {
  const world = await createWorld(t);
  world.env.chance = 0.999;
  await world.client.setSetting('lease', '6s');
  const [id = ''] = await enqueue(world, 1);
  const { identity } = await livingProcess(world);
  const owner = await registerOwner(world, identity);
  await owner.claim();
  const { run, order } = await createRig(world);
  run();
  await world.env.advance(LEASE_MS + 1700);
  const lock = holdLock(world);
  await world.env.advance(1500);
  lock.release();
  await world.env.advance(1900);
  assert.deepEqual(order, []);
  await world.env.advance(1200);
  assert.equal((await jobOf(world, id)).state, 'failed');
});

test('after sleep or SIGSTOP of its own it begins anew to suspect', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { identity } = await livingProcess(world);
  const owner = await registerOwner(world, identity);
  const claimed = await owner.claim();
  const { run, order } = await createRig(world);
  run();
  // Expired and suspected; then the machine sleeps for a day.
  await world.env.advance(LEASE_MS + 5000);
  world.env.freeze(86_400_000);
  await world.env.advance(RENEW_INTERVAL_MS - 1000);
  assert.deepEqual(order, [], 'the owner did not get to run either');
  await renew(world, owner.key, claimed);
  await world.env.advance(20_000);
  assert.deepEqual(order, []);
  assert.equal((await jobOf(world, id)).state, 'processing');
});

test('after sleep an owner that does not renew is reaped all the same', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { identity } = await livingProcess(world);
  const owner = await registerOwner(world, identity);
  await owner.claim();
  const { run } = await createRig(world);
  run();
  await world.env.advance(1000);
  world.env.freeze(86_400_000);
  await world.env.advance(RENEW_INTERVAL_MS + 1500);
  assert.equal((await jobOf(world, id)).state, 'failed');
});

test('ending what hangs takes seconds; expired leases are judged meanwhile', async (t) => {
  const world = await createWorld(t);
  const ids = await enqueue(world, 2);
  const dead = await registerOwner(world, deadProcess());
  await dead.claim();
  const { identity } = await livingProcess(world);
  const living = await registerOwner(world, identity);
  await living.claim();
  const observed = new ObservedStore(await world.connect());
  const closing = new AbortController();
  const reaper = new Reaper({
    store: observed.store,
    env: world.env,
    log: world.log,
    self: selfIdentity(),
    leftovers: {
      async end([token]) {
        if (token !== 1) return true;
        await world.env.sleep(5000);
        return false;
      },
      forget: () => {
        // Nothing was written down.
      },
    },
  });
  const done = reaper.run(closing.signal);
  world.atEnd(async () => {
    closing.abort();
    await world.env.advance(5000);
    await done;
  });
  await world.env.advance(LEASE_MS + 2 * RENEW_INTERVAL_MS);
  assert.deepEqual(await statesOf(world, ids), ['processing', 'failed']);
});

test('orphans of a worker whose record was ended are reaped when it is gone', async (t) => {
  const world = await createWorld(t);
  const [id = '', other = ''] = await enqueue(world, 2);
  const process = await livingProcess(world);
  const dead = await registerOwner(world, deadProcess());
  const living = await registerOwner(world, process.identity);
  await dead.claim();
  await living.claim();
  await world.client.endWorker(dead.key, 'by hand');
  await world.client.endWorker(living.key, 'by hand');
  const { look, order } = await createRig(world);
  await look();
  assert.deepEqual(order, ['end 1 of w1', 'reap 1']);
  assert.deepEqual(await statesOf(world, [id, other]), ['failed', 'processing']);
  await process.kill();
  await look();
  assert.deepEqual(await statesOf(world, [id, other]), ['failed', 'failed']);
});

test('two reapers at once: one lost attempt', async (t) => {
  const world = await createWorld(t);
  const ids = await enqueue(world, 3);
  const owner = await registerOwner(world, deadProcess());
  await owner.claim(3);
  const one = await createRig(world);
  const two = await createRig(world);
  await Promise.all([one.look(), two.look()]);
  for (const id of ids) {
    assert.deepEqual(await outcomesOf(world, id), ['lost']);
    assert.equal((await jobOf(world, id)).attempts, 1);
  }
  const reaped = world.lines.filter((line) => line.includes('lost, now'));
  assert.equal(reaped.length, 3, 'the other one says nothing');
});

test('a second reaper that comes late does not touch the next attempt', async (t) => {
  const world = await createWorld(t);
  await world.client.setSetting('backoff_max', '0s');
  const [id = ''] = await enqueue(world, 1);
  const owner = await registerOwner(world, deadProcess());
  await owner.claim();
  const slow = await createRig(world);
  const held = slow.observed.hold('reap', 'before');
  const looking = slow.look();
  await held.arrived;
  const { look } = await createRig(world);
  await look();
  const { runner } = await startWorker(world);
  assert.deepEqual(runner.ids, [id]);
  held.release();
  await looking;
  assert.equal((await jobOf(world, id)).state, 'processing');
  assert.deepEqual(await outcomesOf(world, id), ['lost', null]);
});

test('a look and a recovery of the same worker do it once', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 1);
  const owner = await registerOwner(world, deadProcess());
  await owner.claim();
  const { reaper, order } = await createRig(world);
  await Promise.all([reaper.look(), reaper.recover(deadProcess(), 'died with exit code 1')]);
  assert.deepEqual(order, ['end 1 of w1', 'reap 1', 'endWorker 1', 'forget w1']);
});

test('recovery tells how the worker died, and knows only its own child', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const process = await livingProcess(world);
  const owner = await registerOwner(world, process.identity);
  await owner.claim();
  const { reaper } = await createRig(world);
  await reaper.recover({ ...process.identity, startTime: '1' }, 'died');
  assert.equal((await jobOf(world, id)).state, 'processing');
  await process.kill();
  await reaper.recover(process.identity, 'was killed by SIGKILL');
  const [attempt] = await historyOf(world, id);
  assert.match(attempt?.error ?? '', /^worker w1 \(pid \d+\) was killed by SIGKILL$/);
});

test('a cancelled running job of a dead worker ends cancelled', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const owner = await registerOwner(world, deadProcess());
  await owner.claim();
  assert.deepEqual(await world.client.cancel([id]), ['cancel_requested']);
  const { look } = await createRig(world);
  await look();
  assert.equal((await jobOf(world, id)).state, 'cancelled');
});

test('a dead supervisor is recorded, and its workers go on', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const key = await world.client.registerSupervisor({ identity: deadProcess(), count: 1 });
  const { identity } = await livingProcess(world);
  const owner = await registerOwner(world, identity, { supervisor: key });
  await owner.claim();
  const { look, order } = await createRig(world);
  await look();
  assert.deepEqual(order, [`endSupervisor ${key}`]);
  assert.deepEqual(await world.client.supervisors(), []);
  assert.equal((await jobOf(world, id)).state, 'processing');
});

test('a look that fails is followed by another, and nothing is done twice', async (t) => {
  const world = await createWorld(t);
  const ids = await enqueue(world, 2);
  const owner = await registerOwner(world, deadProcess());
  await owner.claim(2);
  const { run, observed } = await createRig(world);
  observed.failOnce('reap', full());
  run();
  await world.env.advance(500);
  assert.deepEqual(await statesOf(world, ids), ['processing', 'processing']);
  await world.env.advance(500);
  assert.deepEqual(await statesOf(world, ids), ['failed', 'failed']);
  for (const id of ids) assert.deepEqual(await outcomesOf(world, id), ['lost']);
});

test('the backoff is the one that is set now, not at the start of the reaper', async (t) => {
  const world = await createWorld(t);
  const { look } = await createRig(world);
  await look();
  await world.client.setSetting('backoff_base', '7');
  const [id = ''] = await enqueue(world, 1);
  const owner = await registerOwner(world, deadProcess());
  await owner.claim();
  await look();
  assert.equal((await jobOf(world, id)).runAt, world.env.now() + 7000);
});

test('where nothing is to be done it only reads', async (t) => {
  const world = await createWorld(t);
  const { identity } = await livingProcess(world);
  await enqueue(world, 1);
  const owner = await registerOwner(world, identity);
  await owner.claim();
  const { run, observed } = await createRig(world);
  run();
  await world.env.advance(LEASE_MS - 1000);
  assert.deepEqual(observed.writes, []);
});

test('many expired leases cost one write lock a look', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 20);
  const { identity } = await livingProcess(world);
  const owner = await registerOwner(world, identity);
  await owner.claim(20);
  const { look, observed } = await createRig(world);
  world.env.freeze(LEASE_MS);
  await look();
  assert.deepEqual(observed.writes, ['probe']);
});

test('a job that its own worker reaped is claimed by it when its backoff is over', async (t) => {
  const world = await createWorld(t);
  // The reaper of a worker writes through the worker's own connection, whose version does
  // not tell of that; and nobody else is there to commit anything.
  const { runner, observed } = await startWorker(world, { watches: 'real' });
  await enqueue(world, 1);
  const owner = await registerOwner(world, deadProcess());
  await owner.claim();
  await world.env.advance(1000);
  const { look } = await createRig(world, { store: observed.store });
  await look();
  await world.env.advance(1999);
  assert.equal(runner.attempts.length, 0);
  await world.env.advance(1);
  assert.equal(runner.attempts.length, 1);
});

test('nothing outlives run()', async (t) => {
  const world = await createWorld(t);
  const { reaper } = await createRig(world);
  const closing = new AbortController();
  const done = reaper.run(closing.signal);
  await world.env.advance(2000);
  closing.abort();
  await done;
  assert.deepEqual(world.env.sleeping, []);
});
