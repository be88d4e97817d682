// How a worker stops (guarantee 8): by signal or through the database, bounded or not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StopMode } from '../../src/store/store.ts';
import {
  type Bench,
  createWorld,
  enqueue,
  full,
  historyOf,
  holdLock,
  jobOf,
  startWorker,
  statesOf,
  type World,
} from '../fixtures/engine.ts';

async function requestStop(
  { client }: World,
  { key }: Bench,
  mode: StopMode,
  stopBy: number | null = null,
): Promise<void> {
  await client.requestStop({ workers: [key], supervisors: [], mode, stopBy });
}

test('a graceful stop lets attempts finish and claims nothing more', async (t) => {
  const world = await createWorld(t);
  const ids = await enqueue(world, 3);
  const { worker, runner, result } = await startWorker(world, { concurrency: 2 });
  worker.stop();
  await world.env.advance(120_000);
  assert.equal(result(), undefined, 'as long as they need');
  assert.deepEqual(runner.at(0).causes, []);
  runner.at(0).exit(0);
  await world.env.settle();
  assert.equal(result(), undefined);
  runner.at(1).exit(1);
  await world.env.settle();
  assert.equal(result(), 'ended');
  assert.deepEqual(await statesOf(world, ids), ['completed', 'failed', 'pending']);
  assert.equal(runner.attempts.length, 2);
});

test('an idle worker that is told to stop ends at once', async (t) => {
  const world = await createWorld(t);
  const { worker, result } = await startWorker(world);
  worker.stop();
  await world.env.settle();
  assert.equal(result(), 'ended');
  assert.deepEqual(world.env.sleeping, [], 'no timer outlives it');
});

test('stop now interrupts, and the jobs are given back uncharged', async (t) => {
  const world = await createWorld(t);
  const ids = await enqueue(world, 2);
  const { worker, runner, result } = await startWorker(world, { concurrency: 2 });
  runner.at(0).obedient = false;
  worker.stopNow();
  worker.stopNow();
  await world.env.settle();
  assert.deepEqual(
    runner.attempts.map(({ causes }) => causes),
    [['interrupted'], ['interrupted']],
  );
  assert.equal(result(), undefined, 'one has not ended yet');
  runner.at(0).finish({ kind: 'interrupted' });
  await world.env.settle();
  assert.equal(result(), 'ended');
  for (const id of ids) {
    const { state, attempts, lastAttempt } = await jobOf(world, id);
    assert.deepEqual(
      { state, attempts, lastAttempt },
      { state: 'pending', attempts: 0, lastAttempt: 1 },
    );
    assert.deepEqual(
      (await historyOf(world, id)).map(({ outcome }) => outcome),
      ['interrupted'],
    );
  }
});

test('what finished by itself keeps its result in a stop', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { worker, runner, result } = await startWorker(world);
  runner.at(0).obedient = false;
  worker.stopNow();
  runner.at(0).exit(0);
  await world.env.settle();
  assert.equal(result(), 'ended');
  assert.equal((await jobOf(world, id)).state, 'completed');
});

test('a stop in the database is obeyed at the next hint', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 2);
  const bench = await startWorker(world);
  await requestStop(world, bench, 'graceful');
  bench.observed.ring();
  await world.env.settle();
  bench.runner.at(0).exit(0);
  await world.env.settle();
  assert.equal(bench.result(), 'ended');
  assert.equal(bench.runner.attempts.length, 1);
});

test('a stop in the database is obeyed within a second where the hint was missed', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 1);
  const bench = await startWorker(world);
  await requestStop(world, bench, 'now');
  await world.env.advance(1000);
  assert.deepEqual(bench.runner.at(0).causes, ['interrupted']);
  assert.equal(bench.result(), 'ended');
});

test('a stop for one worker leaves the other alone', async (t) => {
  const world = await createWorld(t);
  const one = await startWorker(world);
  const two = await startWorker(world);
  await requestStop(world, one, 'graceful');
  await world.env.advance(1000);
  assert.equal(one.result(), 'ended');
  assert.equal(two.result(), undefined);
});

test('a bounded stop interrupts at its bound and not before', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const bench = await startWorker(world);
  await requestStop(world, bench, 'graceful', world.env.boot() + 10_300);
  bench.observed.ring();
  await world.env.advance(10_299);
  assert.deepEqual(bench.runner.at(0).causes, []);
  await world.env.advance(1);
  assert.deepEqual(bench.runner.at(0).causes, ['interrupted']);
  assert.equal(bench.result(), 'ended');
  assert.equal((await jobOf(world, id)).attempts, 0);
});

test('an earlier bound, and then now, replace a later bound', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 2);
  const bench = await startWorker(world, { concurrency: 2 });
  const begun = world.env.boot();
  await requestStop(world, bench, 'graceful');
  await world.env.advance(1000);
  await requestStop(world, bench, 'graceful', begun + 100_000);
  await world.env.advance(1000);
  await requestStop(world, bench, 'graceful', begun + 20_000);
  await world.env.advance(17_999);
  assert.deepEqual(bench.runner.at(0).causes, []);
  await world.env.advance(1);
  assert.deepEqual(bench.runner.at(0).causes, ['interrupted']);
});

test('a bound that passed while the machine was asleep is obeyed when it wakes', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 1);
  const bench = await startWorker(world);
  await requestStop(world, bench, 'graceful', world.env.boot() + 3_600_000);
  await world.env.advance(1000);
  world.env.freeze(7_200_000);
  await world.env.advance(1000);
  assert.deepEqual(bench.runner.at(0).causes, ['interrupted']);
});

test('a bound of a hundred days is one', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 1);
  const bench = await startWorker(world);
  await requestStop(world, bench, 'graceful', world.env.boot() + 100 * 86_400_000);
  await world.env.advance(5000);
  assert.deepEqual(bench.runner.at(0).causes, []);
  assert.ok(Math.max(...world.env.sleeping) <= 10_000, 'no timer that does not fit');
});

test('waiting for a bounded stop in a busy database piles up no timers', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 1);
  const bench = await startWorker(world);
  await requestStop(world, bench, 'graceful', world.env.boot() + 600_000);
  await world.env.advance(1000);
  const before = world.env.sleeping.length;
  for (let n = 0; n < 30; n += 1) {
    await enqueue(world, 1);
    bench.observed.ring();
    await world.env.settle();
  }
  assert.ok(world.env.sleeping.length <= before + 1, `${world.env.sleeping.length} timers`);
});

test('a worker told to stop before it ran claims nothing', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 1);
  const { runner, result } = await startWorker(world, {
    prepare: async (_observed, key) => {
      await world.client.requestStop({
        workers: [key],
        supervisors: [],
        mode: 'graceful',
        stopBy: null,
      });
    },
  });
  assert.equal(result(), 'ended');
  assert.equal(runner.attempts.length, 0);
});

test('what a claim under way brings after a stop is given back, not started', async (t) => {
  const world = await createWorld(t);
  const bench = await startWorker(world);
  const [id = ''] = await enqueue(world, 1);
  const held = bench.observed.hold('turn', 'before');
  bench.observed.ring();
  await held.arrived;
  bench.worker.stop();
  held.release();
  await world.env.settle();
  assert.equal(bench.runner.attempts.length, 0);
  assert.equal(bench.result(), 'ended');
  const { state, attempts } = await jobOf(world, id);
  assert.deepEqual({ state, attempts }, { state: 'pending', attempts: 0 });
});

test('a claim under way at stop now is given back', async (t) => {
  const world = await createWorld(t);
  const bench = await startWorker(world);
  const [id = ''] = await enqueue(world, 1);
  const held = bench.observed.hold('turn', 'after');
  bench.observed.ring();
  await held.arrived;
  bench.worker.stopNow();
  held.release();
  await world.env.settle();
  assert.equal(bench.result(), 'ended');
  const { state, attempts } = await jobOf(world, id);
  assert.deepEqual({ state, attempts }, { state: 'pending', attempts: 0 });
});

test('a stop ends only when what ended is committed', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { worker, runner, observed, result } = await startWorker(world);
  observed.before.set('turn', () => {
    throw full();
  });
  worker.stop();
  runner.at(0).exit(0);
  await world.env.advance(10_000);
  assert.equal(result(), undefined);
  observed.before.clear();
  await world.env.advance(1000);
  assert.equal(result(), 'ended');
  assert.equal((await jobOf(world, id)).state, 'completed');
});

test('a stop while another process holds the lock waits for it and loses nothing', async (t) => {
  const world = await createWorld(t);
  world.env.chance = 0.999;
  const [id = ''] = await enqueue(world, 1);
  const { worker, runner, result } = await startWorker(world);
  const lock = holdLock(world);
  worker.stop();
  runner.at(0).exit(0);
  await world.env.advance(2000);
  assert.equal(result(), undefined);
  lock.release();
  await world.env.advance(100);
  assert.equal(result(), 'ended');
  assert.equal((await jobOf(world, id)).state, 'completed');
});

test('nothing outlives run(): no timer, no watch, no late write', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, [{}, { delay: 500 }]);
  const bench = await startWorker(world);
  await requestStop(world, bench, 'graceful', world.env.boot() + 900);
  await world.env.advance(0);
  bench.observed.ring();
  await world.env.settle();
  bench.runner.at(0).exit(0);
  await world.env.settle();
  assert.equal(bench.result(), 'ended');
  assert.deepEqual(world.env.sleeping, []);
  assert.equal(bench.observed.watchers, 0);
  const { length } = bench.observed.calls;
  await world.env.advance(60_000);
  assert.equal(bench.observed.calls.length, length);
});
