// What a worker owns and for how long: renewals, run tokens that are no longer its own
// (guarantee 4), and being declared dead while it lives.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QueuectlError } from '../../src/errors.ts';
import type { Renewal } from '../../src/store/store.ts';
import {
  createWorld,
  enqueue,
  full,
  historyOf,
  jobOf,
  type ObservedStore,
  startWorker,
  statesOf,
  type World,
} from '../fixtures/engine.ts';

/** Somebody else records the only running attempt `lost`. */
async function reapBehindItsBack({ client }: World): Promise<void> {
  const [attempt] = await client.running();
  assert.ok(attempt);
  const { leaseUntil } = attempt;
  const backoff = { base: 2, max: 3_600_000 };
  const answer = await client.reap({ attempt, leaseUntil, reason: 'a test', backoff, random: 0 });
  assert.equal(answer.stale, false);
}

function renewals(observed: ObservedStore): Renewal[] {
  return observed.calls
    .filter(({ method }) => method === 'renew')
    .map(({ args }) => args[0] as Renewal);
}

/** Ms that the shortest lease in the database still has. */
async function leaseLeft({ client, env }: World): Promise<number> {
  const running = await client.running();
  return Math.min(...running.map(({ leaseUntil }) => leaseUntil)) - env.boot();
}

test('a lease is renewed for as long as the attempt runs', async (t) => {
  const world = await createWorld(t);
  const ids = await enqueue(world, 2);
  const { runner } = await startWorker(world, { concurrency: 2 });
  for (let n = 0; n < 100; n += 1) {
    await world.env.advance(1000);
    assert.ok((await leaseLeft(world)) >= 20_000);
  }
  runner.at(0).exit(0);
  runner.at(1).exit(0);
  await world.env.settle();
  assert.deepEqual(await statesOf(world, ids), ['completed', 'completed']);
});

test('a short lease that was stored before the start is renewed in time', async (t) => {
  const world = await createWorld(t);
  await world.client.setSetting('lease', '2s');
  await enqueue(world, 1);
  await startWorker(world);
  for (let n = 0; n < 200; n += 1) {
    await world.env.advance(100);
    assert.ok((await leaseLeft(world)) > 1000);
  }
});

test('a lease made shorter is renewed in time', async (t) => {
  const world = await createWorld(t);
  await world.client.setSetting('lease', '1h');
  const { observed } = await startWorker(world);
  await world.env.advance(5000);
  await world.client.setSetting('lease', '2s');
  await enqueue(world, 1);
  observed.ring();
  await world.env.settle();
  for (let n = 0; n < 200; n += 1) {
    await world.env.advance(100);
    assert.ok((await leaseLeft(world)) > 500);
  }
});

test('a lease made longer is renewed before the short one has run out', async (t) => {
  const world = await createWorld(t);
  await world.client.setSetting('lease', '2s');
  await enqueue(world, 1);
  const { observed } = await startWorker(world);
  await world.env.advance(600);
  await world.client.setSetting('lease', '1h');
  observed.ring();
  for (let n = 0; n < 100; n += 1) {
    await world.env.advance(100);
    assert.ok((await leaseLeft(world)) > 500);
  }
  assert.ok((await leaseLeft(world)) > 1_000_000);
});

test('a run token that is no longer its own: result dropped, slot free, work goes on', async (t) => {
  const world = await createWorld(t);
  const [stolen = '', next = ''] = await enqueue(world, 2);
  const { runner, result } = await startWorker(world);
  await reapBehindItsBack(world);
  runner.at(0).exit(0);
  await world.env.settle();
  assert.equal((await jobOf(world, stolen)).state, 'failed', 'as the reaper left it');
  assert.deepEqual(
    (await historyOf(world, stolen)).map(({ outcome }) => outcome),
    ['lost'],
  );
  assert.deepEqual(runner.ids, [stolen, next]);
  assert.equal(world.lines.filter((line) => line.includes('dropped')).length, 1);
  assert.equal(result(), undefined);
});

test('a renewal that answers lost kills the attempt, and nothing is recorded', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { runner, observed, result } = await startWorker(world);
  await reapBehindItsBack(world);
  await world.env.advance(1000);
  const before = observed.turns.filter(({ ended }) => ended.length > 0).length;
  assert.deepEqual(runner.at(0).causes, []);
  await world.env.advance(9000);
  assert.deepEqual(runner.at(0).causes, ['lost']);
  assert.equal(observed.turns.filter(({ ended }) => ended.length > 0).length, before);
  assert.deepEqual((await historyOf(world, id)).map(({ outcome }) => outcome).slice(0, 1), [
    'lost',
  ]);
  assert.equal(runner.attempts.length, 2, 'its slot is free: the retry runs in it');
  assert.equal(result(), undefined);
});

test('a lost attempt that takes its time to die keeps its slot', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 2);
  const { runner } = await startWorker(world);
  runner.at(0).obedient = false;
  await reapBehindItsBack(world);
  await world.env.advance(15_000);
  assert.equal(runner.attempts.length, 1);
  runner.at(0).finish({ kind: 'lost' });
  await world.env.settle();
  assert.equal(runner.attempts.length, 2);
});

test('an attempt that ends by itself after its lease was lost is not recorded either', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { runner, observed } = await startWorker(world);
  runner.at(0).obedient = false;
  await reapBehindItsBack(world);
  await world.env.advance(10_000);
  assert.deepEqual(runner.at(0).causes, ['lost']);
  runner.at(0).exit(0);
  await world.env.settle();
  assert.deepEqual(
    observed.turns.filter(({ ended }) => ended.length > 0),
    [],
  );
  assert.equal((await historyOf(world, id))[0]?.outcome, 'lost');
});

test('results that cannot be written yet keep their leases', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { runner, observed } = await startWorker(world);
  observed.before.set('turn', () => {
    throw full();
  });
  runner.at(0).exit(0);
  await world.env.advance(100_000);
  assert.ok((await leaseLeft(world)) >= 20_000);
  assert.ok(renewals(observed).every(({ attempts }) => attempts.length === 1));
  observed.before.clear();
  await world.env.advance(1000);
  assert.equal((await jobOf(world, id)).state, 'completed');
});

test('a result recorded while a renewal waits does not look lost', async (t) => {
  const world = await createWorld(t);
  const [first = '', second = ''] = await enqueue(world, 2);
  const { runner, observed } = await startWorker(world);
  const held = observed.hold('renew', 'before');
  const advancing = world.env.advance(10_000);
  await held.arrived;
  runner.at(0).exit(0);
  await world.env.settle();
  held.release();
  await advancing;
  assert.deepEqual(await statesOf(world, [first, second]), ['completed', 'processing']);
  assert.deepEqual(runner.at(1).causes, []);
});

test('a renewal that fails is tried again before the lease is over', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 1);
  const { observed, runner } = await startWorker(world);
  // Two in a row may fail: three are made within a lease.
  let failures = 0;
  observed.before.set('renew', () => {
    failures += 1;
    if (failures <= 2) throw full();
  });
  await world.env.advance(35_000);
  assert.ok(failures > 2);
  assert.ok((await leaseLeft(world)) > 0);
  assert.deepEqual(runner.at(0).causes, []);
});

test('a claim that comes back after its lease is not started if somebody else has it', async (t) => {
  const world = await createWorld(t);
  const { runner, observed } = await startWorker(world);
  const [id = ''] = await enqueue(world, 1);
  // Stopped (SIGSTOP) between the commit of its claim and the start of the command.
  const held = observed.hold('turn', 'after');
  observed.ring();
  await held.arrived;
  world.env.freeze(60_000);
  await reapBehindItsBack(world);
  held.release();
  await world.env.settle();
  assert.equal(runner.attempts.length, 0);
  await world.env.advance(2000);
  assert.deepEqual(runner.ids, [id], 'the retry');
  assert.deepEqual(
    (await historyOf(world, id)).map(({ outcome }) => outcome),
    ['lost', null],
  );
});

test('a claim that comes back late and is still its own starts', async (t) => {
  const world = await createWorld(t);
  const { runner, observed } = await startWorker(world);
  await enqueue(world, 1);
  const held = observed.hold('turn', 'after');
  observed.ring();
  await held.arrived;
  world.env.freeze(60_000);
  held.release();
  await world.env.settle();
  assert.equal(runner.attempts.length, 1);
  assert.ok((await leaseLeft(world)) > 0);
});

test('a worker that was declared dead ends its attempts, records them and stops with an error', async (t) => {
  const world = await createWorld(t);
  const [id = '', waiting = ''] = await enqueue(world, 2);
  const { runner, key, observed, result } = await startWorker(world);
  await world.client.endWorker(key, 'a test');
  observed.ring();
  await world.env.settle();
  assert.deepEqual(runner.at(0).causes, ['lost']);
  const error = result();
  assert.ok(error instanceof QueuectlError);
  assert.equal(error.code, 'unavailable');
  // Its processes are gone, and nobody has reaped it: it must not wait for that.
  assert.deepEqual(await statesOf(world, [id, waiting]), ['failed', 'pending']);
  assert.equal(runner.attempts.length, 1);
});

test('LQ-06: the record of a living worker is deleted: its job goes on elsewhere', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { key, result } = await startWorker(world);
  const { DatabaseSync } = await import('node:sqlite');
  const db = new DatabaseSync(world.database);
  db.prepare('DELETE FROM worker WHERE key = ?').run(key);
  db.close();
  await world.env.advance(1000);
  assert.ok(result() instanceof Error);
  const other = await startWorker(world);
  await world.env.advance(2000);
  assert.deepEqual(other.runner.ids, [id]);
});

test('a worker that was declared dead and reaped records nothing', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { runner, key, observed, result } = await startWorker(world);
  await reapBehindItsBack(world);
  await world.client.endWorker(key, 'a test');
  runner.at(0).obedient = false;
  observed.ring();
  await world.env.settle();
  runner.at(0).exit(0);
  await world.env.settle();
  assert.ok(result() instanceof QueuectlError);
  assert.deepEqual(
    (await historyOf(world, id)).map(({ outcome }) => outcome),
    ['lost'],
  );
});

test('a claim that comes back late in a database that refuses the renewal is given back', async (t) => {
  const world = await createWorld(t);
  const { runner, observed } = await startWorker(world);
  const [id = ''] = await enqueue(world, 1);
  const held = observed.hold('turn', 'after');
  observed.ring();
  await held.arrived;
  world.env.freeze(60_000);
  observed.before.set('renew', () => {
    throw full();
  });
  held.release();
  await world.env.advance(2000);
  assert.deepEqual(runner.ids, [id]);
  assert.deepEqual(
    (await historyOf(world, id)).map(({ outcome }) => outcome),
    ['interrupted', null],
  );
  assert.equal((await jobOf(world, id)).attempts, 1);
});

test('a lease made longer, and a renewal that fails just then', async (t) => {
  const world = await createWorld(t);
  await world.client.setSetting('lease', '6s');
  await enqueue(world, 1);
  const { observed } = await startWorker(world);
  await world.client.setSetting('lease', '1h');
  observed.failOnce('renew', full());
  for (let n = 0; n < 100; n += 1) {
    await world.env.advance(100);
    assert.ok((await leaseLeft(world)) > 0);
  }
});
