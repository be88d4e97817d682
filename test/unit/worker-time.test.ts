// Jobs that have to wait for their time (guarantee 7), and clocks that are set.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createWorld,
  enqueue,
  jobOf,
  registerOwner,
  startWorker,
  statesOf,
} from '../fixtures/engine.ts';
import { selfIdentity } from '../../src/platform/identity.ts';

const DAY = 86_400_000;

test('a delayed job starts when its time comes and not a millisecond before', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, [{ runAt: world.env.now() + 4321 }]);
  const { runner } = await startWorker(world);
  await world.env.advance(4320);
  assert.equal(runner.attempts.length, 0);
  await world.env.advance(1);
  assert.equal(runner.attempts.length, 1);
});

test('a job delayed while the worker is idle starts at its time', async (t) => {
  const world = await createWorld(t);
  const { runner, observed } = await startWorker(world);
  await world.env.advance(12_345);
  await enqueue(world, [{ delay: 700 }]);
  observed.ring();
  await world.env.advance(699);
  assert.equal(runner.attempts.length, 0);
  await world.env.advance(1);
  assert.equal(runner.attempts.length, 1);
});

test('the earliest of several is waited for, also one that comes later', async (t) => {
  const world = await createWorld(t);
  const [late = ''] = await enqueue(world, [{ delay: 9000 }]);
  const { runner } = await startWorker(world, { concurrency: 2 });
  await world.env.advance(1000);
  const [early = ''] = await enqueue(world, [{ delay: 3000 }]);
  await world.env.advance(3000);
  assert.deepEqual(runner.ids, [early]);
  await world.env.advance(5000);
  assert.deepEqual(runner.ids, [early, late]);
});

test('what becomes due while all slots are busy starts when one is free', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, [{}, { delay: 500 }]);
  const { runner, observed } = await startWorker(world);
  await world.env.advance(10_000);
  const { length } = observed.turns;
  runner.at(0).exit(0);
  await world.env.settle();
  assert.equal(runner.attempts.length, 2);
  assert.equal(observed.turns.length, length + 1);
});

test('a job due in 30 days sets no timer over a second, and spins nothing', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, [{ runAt: world.env.now() + 30 * DAY }]);
  const { observed } = await startWorker(world);
  await world.env.advance(1500);
  observed.calls.length = 0;
  assert.ok(Math.max(...world.env.sleeping) <= 1000, String(world.env.sleeping));
  await world.env.advance(5000);
  assert.equal(observed.count('turn'), 0);
});

test('the clock is set forward: due jobs start within a second', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, [{ runAt: world.env.now() + 30 * DAY }]);
  const { runner } = await startWorker(world);
  await world.env.advance(5000);
  world.env.jump(31 * DAY);
  await world.env.advance(1000);
  assert.equal(runner.attempts.length, 1);
});

test('the clock is set back: nothing starts early, and everything in the end', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, [{ runAt: world.env.now() + 1500 }]);
  const { runner } = await startWorker(world);
  await world.env.advance(1000);
  // Half a second before it is due, and a timer is set for that.
  world.env.jump(-3_600_000);
  await world.env.advance(3_600_000 + 499);
  assert.equal(runner.attempts.length, 0);
  await world.env.advance(1);
  assert.equal(runner.attempts.length, 1);
});

test('the clock is set back: what had become due and was not claimed waits again', async (t) => {
  const world = await createWorld(t);
  const [running = '', waiting = ''] = await enqueue(world, [{}, { delay: 1000 }]);
  const { runner } = await startWorker(world);
  // Somebody else's claim has moved it to what is ready.
  await world.env.advance(2000);
  const other = await registerOwner(world, selfIdentity(), { queues: ['none'] });
  await other.claim(0);
  world.env.jump(-60_000);
  runner.at(0).exit(0);
  await world.env.settle();
  assert.deepEqual(await statesOf(world, [running, waiting]), ['completed', 'pending']);
  await world.env.advance(58_999);
  assert.equal(runner.attempts.length, 1);
  await world.env.advance(1);
  assert.equal(runner.attempts.length, 2);
});

test('clock set back with a crowd before it: what is due starts all the same', async (t) => {
  const world = await createWorld(t);
  await enqueue(
    world,
    Array.from({ length: 100 }, () => ({ delay: 1000, priority: 1 })),
  );
  await world.env.advance(2000);
  const other = await registerOwner(world, selfIdentity(), { queues: ['none'] });
  await other.claim(0);
  world.env.jump(-3_600_000);
  const [due = ''] = await enqueue(world, [{}]);
  const { runner } = await startWorker(world);
  // A claim that finds only what is not due any more must not be the last one.
  await world.env.advance(5000);
  assert.deepEqual(runner.ids, [due]);
});

test('100,000 jobs of another queue that are due at once do not hold mine up', async (t) => {
  const world = await createWorld(t);
  const when = world.env.now() + 1000;
  const crowd = Array.from({ length: 5000 }, () => ({ queue: 'crowd', runAt: when }));
  await enqueue(world, crowd);
  const [mine = ''] = await enqueue(world, [{ runAt: when + 1 }]);
  const { runner, observed } = await startWorker(world, { queues: ['default'] });
  await world.env.advance(1200);
  assert.deepEqual(runner.ids, [mine]);
  assert.ok(observed.turns.length < 12, `${observed.turns.length} turns`);
});

test('an attempt given back for lack of a resource is tried again a second later', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { runner } = await startWorker(world);
  runner.at(0).finish({ kind: 'spawn_failed', error: 'EAGAIN', code: 126, transient: true });
  await world.env.settle();
  const { state, attempts } = await jobOf(world, id);
  assert.deepEqual({ state, attempts }, { state: 'pending', attempts: 0 });
  await world.env.advance(999);
  assert.equal(runner.attempts.length, 1);
  await world.env.advance(1);
  assert.equal(runner.attempts.length, 2);
});
