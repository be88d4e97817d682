// A worker whose storage refuses writes for a while, or is lost for good.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QueuectlError } from '../../src/errors.ts';
import {
  createWorld,
  enqueue,
  full,
  historyOf,
  holdLock,
  startWorker,
  statesOf,
} from '../fixtures/engine.ts';

const damaged = new QueuectlError('damaged', 'the database is damaged');

test('full once: the result is kept and written later, nothing is lost', async (t) => {
  const world = await createWorld(t);
  const ids = await enqueue(world, 2);
  const { runner, observed } = await startWorker(world);
  observed.failOnce('turn', full());
  runner.at(0).exit(0);
  await world.env.settle();
  assert.deepEqual(await statesOf(world, ids), ['processing', 'pending']);
  await world.env.advance(1000);
  assert.deepEqual(await statesOf(world, ids), ['completed', 'processing']);
  runner.at(1).exit(0);
  await world.env.settle();
  assert.deepEqual(await statesOf(world, ids), ['completed', 'completed']);
  assert.equal((await historyOf(world, ids[0] ?? '')).length, 1);
});

test('results that come while writing is refused are all written, each once', async (t) => {
  const world = await createWorld(t);
  const ids = await enqueue(world, 3);
  const { runner, observed } = await startWorker(world, { concurrency: 3 });
  observed.before.set('turn', () => {
    throw full();
  });
  for (let n = 0; n < 3; n += 1) {
    runner.at(n).exit(0);
    await world.env.advance(1500);
  }
  observed.before.clear();
  await world.env.advance(1000);
  assert.deepEqual(await statesOf(world, ids), Array(3).fill('completed'));
  for (const id of ids) assert.equal((await historyOf(world, id)).length, 1);
});

test('a disk that stays full is asked about once a second, not ever more often', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 1);
  const { runner, observed } = await startWorker(world);
  observed.before.set('turn', () => {
    throw full();
  });
  runner.at(0).exit(0);
  // Whatever rings meanwhile may cause one more try, and no series of them.
  for (let n = 0; n < 30; n += 1) {
    observed.ring();
    await world.env.advance(37);
  }
  await world.env.advance(60_000);
  const tried = observed.count('turn');
  await world.env.advance(60_000);
  const again = observed.count('turn') - tried;
  assert.ok(again >= 59 && again <= 62, `${again} tries in a minute`);
});

test('a look that fails is repeated: what was asked meanwhile is not missed', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { runner, observed } = await startWorker(world);
  for (const method of ['attend', 'settings', 'version'] as const) {
    observed.failOnce(method, full());
  }
  await world.client.cancel([id]);
  await world.env.advance(4000);
  assert.equal(runner.at(0).causes[0], 'cancelled');
});

for (const method of ['turn', 'renew', 'attend', 'version'] as const) {
  test(`damage found by ${method} ends the attempts, and the worker rejects`, async (t) => {
    const world = await createWorld(t);
    await enqueue(world, 2);
    const { runner, observed, result } = await startWorker(world, { concurrency: 2 });
    runner.at(1).obedient = false;
    observed.failOnce(method, damaged);
    if (method === 'turn') runner.at(0).exit(0);
    else await world.env.advance(method === 'renew' ? 10_000 : 1000);
    await world.env.settle();
    assert.deepEqual(runner.at(1).causes, ['lost']);
    assert.equal(result(), undefined, 'not before they have ended');
    runner.at(1).finish({ kind: 'lost' });
    await world.env.advance(0);
    await world.env.settle();
    assert.equal(result(), damaged);
    assert.deepEqual(world.env.sleeping, []);
  });
}

test('damage found while it stops ends it too', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 1);
  const { worker, runner, observed, result } = await startWorker(world);
  observed.before.set('turn', () => {
    throw damaged;
  });
  worker.stop();
  runner.at(0).exit(0);
  await world.env.settle();
  assert.equal(result(), damaged);
});

test('damage found between claim and start starts nothing', async (t) => {
  const world = await createWorld(t);
  const { runner, observed, result } = await startWorker(world);
  await enqueue(world, 1);
  const held = observed.hold('turn', 'after');
  observed.ring();
  await held.arrived;
  observed.failOnce('renew', damaged);
  await world.env.advance(10_000);
  held.release();
  await world.env.settle();
  assert.equal(runner.attempts.length, 0);
  assert.equal(result(), damaged);
});

test('an error that nobody expected ends the attempts and the worker, not silently', async (t) => {
  for (const method of ['turn', 'renew'] as const) {
    const world = await createWorld(t);
    await enqueue(world, 2);
    const { runner, observed, result } = await startWorker(world, { concurrency: 2 });
    observed.failOnce(method, new TypeError('a bug'));
    if (method === 'turn') runner.at(0).exit(0);
    else await world.env.advance(10_000);
    await world.env.settle();
    assert.deepEqual(runner.at(1).causes, ['lost']);
    const error = result();
    assert.ok(error instanceof QueuectlError);
    assert.equal(error.code, 'internal');
    assert.match(error.message, /a bug/);
  }
});

test('a runner that throws ends the worker, and what it runs besides', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 1);
  const { runner, observed, result } = await startWorker(world, { concurrency: 2 });
  runner.onStart = () => {
    throw new TypeError('a bug');
  };
  await enqueue(world, 1);
  observed.ring();
  await world.env.settle();
  assert.deepEqual(runner.at(0).causes, ['lost']);
  assert.ok(result() instanceof Error);
});

test('a runner that rejects frees the slot, and its result is not ours to write', async (t) => {
  const world = await createWorld(t);
  const ids = await enqueue(world, 2);
  const { runner, observed, result } = await startWorker(world);
  runner.at(0).reject(new TypeError('a bug'));
  await world.env.settle();
  assert.equal(result(), undefined);
  assert.deepEqual(runner.ids, ids);
  assert.deepEqual(
    observed.turns.filter(({ ended }) => ended.length > 0),
    [],
  );
  // Not renewed any more: others reap it, after ending whatever there is of it.
  await world.env.advance(30_000);
  const running = await world.client.running();
  assert.deepEqual(
    running.map(({ leaseUntil }) => leaseUntil > world.env.boot()),
    [false, true],
  );
});

test('a lock held for long costs nothing but time, and renewals go on after it', async (t) => {
  const world = await createWorld(t);
  world.env.chance = 0.999;
  const ids = await enqueue(world, 2);
  const { runner } = await startWorker(world);
  await world.env.advance(9000);
  const lock = holdLock(world);
  runner.at(0).exit(0);
  await world.env.advance(2000);
  assert.deepEqual(await statesOf(world, ids), ['processing', 'pending']);
  lock.release();
  await world.env.advance(50);
  assert.deepEqual(await statesOf(world, ids), ['completed', 'processing']);
  const [running] = await world.client.running();
  assert.ok((running?.leaseUntil ?? 0) > world.env.boot() + 29_000);
});

test('a store that cannot be read at the start rejects at once', async (t) => {
  const world = await createWorld(t);
  const { result } = await startWorker(world, {
    prepare: (observed) => {
      observed.failOnce('attend', damaged);
    },
  });
  assert.equal(result(), damaged);
  assert.deepEqual(world.env.sleeping, []);
});

test('a store that refuses writes at the start rejects, and leaves nothing behind', async (t) => {
  const world = await createWorld(t);
  const { result } = await startWorker(world, {
    prepare: (observed) => {
      observed.failOnce('workerReady', full());
    },
  });
  const error = result();
  assert.ok(error instanceof QueuectlError);
  assert.equal(error.code, 'full');
  assert.deepEqual(world.env.sleeping, []);
});
