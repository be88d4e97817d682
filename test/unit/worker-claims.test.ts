// The worker's loop as long as nothing goes wrong: slots, turns, cancel, settings, drain.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createWorld,
  enqueue,
  type Held,
  historyOf,
  jobOf,
  registerOwner,
  startWorker,
  statesOf,
} from '../fixtures/engine.ts';
import { selfIdentity } from '../../src/platform/identity.ts';

test('a worker claims up to its slots and never more', async (t) => {
  const world = await createWorld(t);
  const ids = await enqueue(world, 7);
  const { runner, observed } = await startWorker(world, { concurrency: 3 });
  assert.deepEqual(runner.ids, ids.slice(0, 3));

  // LQ-07: what has no slot is not claimed, so that others may take it.
  await world.env.advance(5000);
  assert.equal(runner.attempts.length, 3);
  assert.deepEqual((await statesOf(world, ids)).slice(3), Array(4).fill('pending'));

  for (let n = 0; n < 7; n += 1) {
    runner.at(n).exit(0);
    await world.env.advance(10);
  }
  assert.deepEqual(runner.ids, ids, 'in order of arrival');
  assert.deepEqual(await statesOf(world, ids), Array(7).fill('completed'));
  assert.equal(runner.most, 3);
  for (const { slots } of observed.turns) assert.ok(slots <= 3);
});

test('a result and the next claim are one transaction', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 5);
  const { runner, observed } = await startWorker(world);
  for (let n = 0; n < 5; n += 1) {
    runner.at(n).exit(0);
    await world.env.settle();
  }
  // One claims the first, five record and claim the next (the last one finds nothing).
  assert.deepEqual(
    observed.turns.map(({ ended, slots }) => [ended.length, slots]),
    [[0, 1], ...Array.from({ length: 5 }, () => [1, 1])],
  );
});

test('results that come at once are one transaction', async (t) => {
  const world = await createWorld(t);
  const ids = await enqueue(world, 8);
  const { runner, observed } = await startWorker(world, { concurrency: 4 });
  for (let n = 0; n < 4; n += 1) runner.at(n).exit(0);
  await world.env.settle();
  assert.deepEqual(
    observed.turns.map(({ ended, slots }) => [ended.length, slots]),
    [
      [0, 4],
      [4, 4],
    ],
  );
  assert.equal(runner.attempts.length, 8);
  assert.deepEqual(await statesOf(world, ids.slice(0, 4)), Array(4).fill('completed'));
});

test('under load a result waits a millisecond for company, alone it waits for nobody', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 4);
  const { runner, observed } = await startWorker(world, { concurrency: 4 });
  const recorded = (): number[] => observed.turns.slice(1).map(({ ended }) => ended.length);
  runner.at(0).exit(0);
  await world.env.settle();
  assert.deepEqual(recorded(), []);
  runner.at(1).exit(0);
  await world.env.advance(1);
  assert.deepEqual(recorded(), [2]);
  runner.at(2).exit(0);
  await world.env.settle();
  assert.deepEqual(recorded(), [2, 1], 'the last but one: as many run as have ended');
  runner.at(3).exit(0);
  await world.env.settle();
  assert.deepEqual(recorded(), [2, 1, 1]);
});

test('a worker is ready when it has seen its settings, not before', async (t) => {
  const world = await createWorld(t);
  let held: Held | undefined;
  const { key, observed } = await startWorker(world, {
    prepare: (store) => {
      held = store.hold('attend', 'before');
    },
  });
  const isReady = async (): Promise<boolean | undefined> =>
    (await world.client.workers()).find((worker) => worker.key === key)?.ready;
  assert.equal(await isReady(), false);
  held?.release();
  await world.env.settle();
  assert.equal(await isReady(), true);
  assert.equal(observed.count('workerReady'), 1);
});

for (const where of ['before', 'after'] as const) {
  test(`results that come during a write (${where} its commit) are in the next, each once`, async (t) => {
    const world = await createWorld(t);
    const ids = await enqueue(world, 4);
    const { runner, observed } = await startWorker(world, { concurrency: 4 });
    const held = observed.hold('turn', where);
    runner.at(0).exit(0);
    await world.env.advance(10);
    await held.arrived;
    runner.at(1).exit(0);
    runner.at(2).exit(3);
    await world.env.settle();
    held.release();
    await world.env.advance(10);
    assert.deepEqual(
      observed.turns.slice(1).map(({ ended }) => ended.map((e) => e.attempt.runToken)),
      [[1], [2, 3]],
    );
    assert.deepEqual(await statesOf(world, ids), [
      'completed',
      'completed',
      'failed',
      'processing',
    ]);
    assert.deepEqual(
      world.lines.filter((line) => line.includes('dropped')),
      [],
    );
    runner.at(3).exit(0);
  });
}

test('a failed command is retried by its backoff, then dead', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, [{ maxRetries: 1 }]);
  const { runner } = await startWorker(world);
  runner.at(0).exit(1);
  await world.env.settle();
  assert.equal((await jobOf(world, id)).state, 'failed');
  await world.env.advance(1999);
  assert.equal(runner.attempts.length, 1);
  await world.env.advance(1);
  assert.equal(runner.attempts.length, 2);
  runner.at(1).exit(1);
  await world.env.settle();
  assert.equal((await jobOf(world, id)).state, 'dead');
  assert.deepEqual(
    (await historyOf(world, id)).map(({ number, exitCode }) => [number, exitCode]),
    [
      [1, 1],
      [2, 1],
    ],
  );
});

test('with no backoff a retry is claimed by the turn that records the failure', async (t) => {
  const world = await createWorld(t);
  await world.client.setSetting('backoff_max', '0s');
  await enqueue(world, 1);
  const { runner, observed } = await startWorker(world);
  runner.at(0).exit(1);
  await world.env.settle();
  assert.equal(runner.attempts.length, 2);
  assert.equal(observed.turns.length, 2);
});

test('a cancel of a running job ends its attempt, and the job ends cancelled', async (t) => {
  const world = await createWorld(t);
  const [id = '', other = ''] = await enqueue(world, 2);
  const { runner, observed } = await startWorker(world, { concurrency: 2 });
  runner.at(0).obedient = false;
  assert.deepEqual(await world.client.cancel([id]), ['cancel_requested']);
  observed.ring();
  await world.env.settle();
  assert.deepEqual(runner.at(0).causes.slice(0, 1), ['cancelled']);
  assert.deepEqual(runner.at(1).causes, []);
  assert.equal((await jobOf(world, id)).state, 'processing', 'not before its processes are gone');
  runner.at(0).finish({ kind: 'cancelled' });
  await world.env.settle();
  assert.deepEqual(await statesOf(world, [id, other]), ['cancelled', 'processing']);
  assert.deepEqual(
    (await historyOf(world, id)).map(({ outcome }) => outcome),
    ['cancelled'],
  );
});

test('a cancel is seen within a second where the hint was missed', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { runner } = await startWorker(world);
  await world.client.cancel([id]);
  await world.env.advance(1000);
  assert.deepEqual(runner.at(0).causes.slice(0, 1), ['cancelled']);
  assert.equal((await jobOf(world, id)).state, 'cancelled');
});

test('a cancel between claim and start ends the attempt', async (t) => {
  const world = await createWorld(t);
  const { runner, observed } = await startWorker(world);
  const [id = ''] = await enqueue(world, 1);
  const held = observed.hold('turn', 'after');
  observed.ring();
  await held.arrived;
  assert.deepEqual(await world.client.cancel([id]), ['cancel_requested']);
  observed.ring();
  held.release();
  await world.env.settle();
  assert.deepEqual(runner.at(0).causes.slice(0, 1), ['cancelled']);
  assert.equal((await jobOf(world, id)).state, 'cancelled');
});

test('a cancel acknowledged before the result is written wins over a success', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const { runner, observed } = await startWorker(world);
  const held = observed.hold('turn', 'before');
  runner.at(0).exit(0);
  await held.arrived;
  assert.deepEqual(await world.client.cancel([id]), ['cancel_requested']);
  held.release();
  await world.env.settle();
  assert.equal((await jobOf(world, id)).state, 'cancelled');
});

test('an enqueue by another connection starts without any poll', async (t) => {
  const world = await createWorld(t);
  const { runner } = await startWorker(world, { watches: 'real' });
  const started = new Promise<void>((resolve) => {
    runner.onStart = () => {
      resolve();
    };
  });
  // Bun tells only the first of two touches within a millisecond; the second look that
  // makes up for it goes by a clock that stands still here. So does the poll: only the
  // wake file can tell.
  for (const begun = performance.now(); performance.now() < begun + 5;) await world.env.settle();
  const [id = ''] = await enqueue(world, 1);
  await started;
  assert.deepEqual(runner.ids, [id]);
});

test('an enqueue starts within a second where the hint was missed', async (t) => {
  const world = await createWorld(t);
  const { runner } = await startWorker(world);
  await enqueue(world, 1);
  await world.env.advance(1000);
  assert.equal(runner.attempts.length, 1);
});

test('what was enqueued while a turn found nothing is not missed', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 1);
  const { runner, observed } = await startWorker(world);
  const held = observed.hold('turn', 'after');
  runner.at(0).exit(0);
  await held.arrived;
  await enqueue(world, 1);
  observed.ring();
  held.release();
  await world.env.settle();
  assert.equal(runner.attempts.length, 2);
});

test('settings changed by another connection reach the runner', async (t) => {
  const world = await createWorld(t);
  const { runner, observed } = await startWorker(world);
  assert.equal(runner.settings.killAfter, 5000);
  await world.client.setSetting('kill_after', '9s');
  observed.ring();
  await world.env.settle();
  assert.equal(runner.settings.killAfter, 9000);
  await world.client.setSetting('kill_after', null);
  await world.env.advance(1000);
  assert.equal(runner.settings.killAfter, 5000);
});

test('settings stored before the start hold from the first claim on', async (t) => {
  const world = await createWorld(t);
  await world.client.setSetting('lease', '5s');
  await enqueue(world, 1);
  const { runner, observed } = await startWorker(world);
  assert.equal(runner.settings.lease, 5000);
  assert.deepEqual(
    observed.turns.map(({ lease }) => lease),
    [5000],
  );
});

test('an idle worker writes nothing but heartbeats', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, [{ queue: 'elsewhere' }, { runAt: world.env.now() + 3_600_000 }]);
  const { observed } = await startWorker(world, { queues: ['default'] });
  await world.env.advance(1000);
  observed.calls.length = 0;
  await world.env.advance(60_000);
  // A lease of 30 s is renewed every 10.
  assert.deepEqual(observed.writes, Array(6).fill('renew'));
});

test('a worker that is rung for nothing writes nothing', async (t) => {
  const world = await createWorld(t);
  const { observed } = await startWorker(world);
  await world.env.advance(1000);
  observed.calls.length = 0;
  for (let n = 0; n < 20; n += 1) {
    observed.ring();
    await world.env.settle();
  }
  assert.deepEqual(observed.writes, []);
});

test('a bell never rings itself: a standing clock means standing still', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 3);
  const { runner, observed } = await startWorker(world, { concurrency: 2, watches: 'real' });
  runner.at(0).exit(0);
  await world.env.settle();
  const before = observed.calls.length;
  // Its own touch of the wake file comes back to it; that is all that may come.
  for (let n = 0; n < 50; n += 1) await world.env.settle();
  assert.ok(observed.calls.length - before < 20, `${observed.calls.length - before} calls`);
});

test('drain ends when nothing is pending, failed or processing, and not before', async (t) => {
  const world = await createWorld(t);
  const [first = '', second = ''] = await enqueue(world, [{}, { delay: 4000 }]);
  const { runner, result } = await startWorker(world, { drain: true });
  runner.at(0).exit(1);
  await world.env.advance(1999);
  assert.equal(result(), undefined, 'one is failed, one is delayed');
  await world.env.advance(1);
  runner.at(1).exit(0);
  await world.env.settle();
  assert.equal(result(), undefined, 'one is delayed');
  await world.env.advance(2000);
  assert.equal(result(), undefined, 'one is processing');
  runner.at(2).exit(0);
  await world.env.advance(1000);
  assert.equal(result(), 'ended');
  assert.deepEqual(await statesOf(world, [first, second]), ['completed', 'completed']);
});

test('drain waits for what other workers run: it may fail and come back', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, 1);
  const other = await registerOwner(world, selfIdentity());
  const [claimed] = await other.claim();
  assert.ok(claimed);
  const { runner, result } = await startWorker(world, { drain: true });
  await world.env.advance(5000);
  assert.equal(result(), undefined);
  await world.client.turn({
    worker: other.key,
    ended: [{ attempt: claimed, outcome: { kind: 'exited', code: 1 }, logBytes: 0, random: 0 }],
    backoff: { base: 2, max: 3_600_000 },
    slots: 0,
    lease: 30_000,
  });
  await world.env.advance(2000);
  runner.at(0).exit(0);
  await world.env.advance(1000);
  assert.equal(result(), 'ended');
});

test('drain ends at once where there is nothing, and looks at its own queues only', async (t) => {
  const world = await createWorld(t);
  await enqueue(world, [{ queue: 'elsewhere' }]);
  const { result, runner } = await startWorker(world, { drain: true, queues: ['default'] });
  await world.env.settle();
  assert.equal(result(), 'ended');
  assert.equal(runner.attempts.length, 0);
});

test('two workers share the work, each job once', async (t) => {
  const world = await createWorld(t);
  const ids = await enqueue(world, 40);
  const one = await startWorker(world, { concurrency: 3 });
  const two = await startWorker(world, { concurrency: 3 });
  for (const { runner } of [one, two]) {
    runner.onStart = (attempt) => {
      attempt.exit(0);
    };
  }
  for (const { runner } of [one, two]) for (const attempt of runner.attempts) attempt.exit(0);
  await world.env.advance(1000);
  assert.deepEqual(await statesOf(world, ids), Array(40).fill('completed'));
  const started = [...one.runner.ids, ...two.runner.ids];
  assert.equal(started.length, 40);
  assert.equal(new Set(started).size, 40);
});
