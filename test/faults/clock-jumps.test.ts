// Fault 33: the wall clock jumps an hour or a day, either way. Nothing starts early by the
// clock that is set, and leases, which count on the boot clock, do not expire for it
// (guarantee 7). By stepped clocks: the real one belongs to everybody on the machine.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { selfIdentity } from '../../src/platform/identity.ts';
import {
  createWorld,
  deadProcess,
  enqueue,
  historyOf,
  jobOf,
  registerOwner,
  startWorker,
  statesOf,
} from '../fixtures/engine.ts';
import { createWorlds } from '../simulation/simulate.ts';
import { startReaper } from './kit/stepped.ts';

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;
/** Of the attempts that run meanwhile. */
const LEASE = 30 * SECOND;
const RENEW_INTERVAL = LEASE / 3;

suite('the wall clock jumps', () => {
  for (const [what, ms] of [
    ['an hour forward', HOUR],
    ['a day forward', DAY],
    ['an hour back', -HOUR],
    ['a day back', -DAY],
  ] as const) {
    test(`${what}: what runs goes on, and what waits starts at its time`, async (t) => {
      const world = await createWorld(t);
      const { env } = world;
      const running = await enqueue(world, 3);
      const worker = await startWorker(world, { concurrency: 5 });
      // It would reap them, and takes nobody for dead.
      startReaper(world, deadProcess());
      const [failing = ''] = await enqueue(world, 1);
      const [later = ''] = await enqueue(world, [{ runAt: env.now() + 20 * SECOND }]);
      worker.observed.ring();
      await env.settle();
      worker.runner.at(3).exit(1);
      await env.advance(SECOND);
      const { runAt: again } = await jobOf(world, failing);
      const { runAt: due } = await jobOf(world, later);
      assert.ok(again !== null && due !== null);

      const started: { id: string; at: number }[] = [];
      worker.runner.onStart = ({ job }) => started.push({ id: job.id, at: env.now() });
      env.jump(ms);
      await env.advance(3 * LEASE);
      assert.deepEqual(
        await statesOf(world, running),
        running.map(() => 'processing'),
      );
      for (const id of running) {
        assert.equal((await historyOf(world, id)).length, 1, 'no lease has expired');
      }
      if (ms < 0) {
        assert.deepEqual(started, [], 'both would be early by the clock as it is now');
        // Somebody sets it right.
        env.jump(-ms);
        await env.advance(SECOND);
      }
      assert.deepEqual(started.map(({ id }) => id).toSorted(), [failing, later].toSorted());
      for (const { id, at } of started) assert.ok(at >= (id === later ? due : again), id);
    });

    test(`${what}: who does not renew keeps its lease, and no longer than that`, async (t) => {
      const world = await createWorld(t);
      const { env } = world;
      const ids = await enqueue(world, 2);
      startReaper(world, deadProcess());
      // Both live, and neither does anything any more.
      await (await registerOwner(world, selfIdentity())).claim();
      env.jump(ms);
      await (await registerOwner(world, selfIdentity())).claim();
      await env.advance(LEASE + RENEW_INTERVAL - SECOND);
      assert.deepEqual(await statesOf(world, ids), ['processing', 'processing']);
      await env.advance(3 * SECOND);
      assert.deepEqual(await statesOf(world, ids), ['failed', 'failed']);
    });
  }

  test('again and again, in 40 simulated worlds: nothing early, no lease lost', async () => {
    const worlds = await createWorlds();
    try {
      for (let seed = 1; seed <= 40; seed += 1) {
        const { findings, figures } = await worlds.simulate(seed, CLOCKS);
        assert.deepEqual(findings, [], `seed ${seed}`);
        assert.ok((figures['jumps'] ?? 0) > 0);
      }
    } finally {
      worlds.remove();
    }
  });
});

/** The only thing that happens to these. */
const CLOCKS = {
  workers: 2,
  lease: 1,
  longest: 6000,
  storm: 6000,
  jumps: 500,
  kills: 0,
  pauses: 0,
  sleeps: 0,
  killedAfterTurn: 0,
  stoppedAfterTurn: 0,
  failsBefore: 0,
  failsAfter: 0,
  late: 0,
  unstartable: 0,
};
