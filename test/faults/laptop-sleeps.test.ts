// Fault 34: the laptop sleeps: nobody runs, and both clocks are hours further on when they
// wake. All leases have run out. Whoever wakes first finds that, but nobody is called dead
// for it, and a worker checks its leases before it starts or writes anything (guarantees 4, 7).

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  createWorld,
  deadProcess,
  enqueue,
  type Held,
  historyOf,
  registerOwner,
  startWorker,
  statesOf,
} from '../fixtures/engine.ts';
import { selfIdentity } from '../../src/platform/identity.ts';
import { createWorlds } from '../simulation/simulate.ts';
import { startReaper } from './kit/stepped.ts';

const NIGHT = 8 * 3_600_000;
const LEASE = 30_000;

suite('the laptop sleeps for a night', () => {
  test('its workers go on with what they had, and renew before any other write', async (t) => {
    const world = await createWorld(t);
    const ids = await enqueue(world, 2);
    const workers = [await startWorker(world), await startWorker(world)];
    startReaper(world, deadProcess());
    await world.env.advance(1000);
    for (const { observed } of workers) observed.calls.length = 0;

    world.env.freeze(NIGHT);
    await world.env.advance(3 * LEASE);
    for (const { observed } of workers) assert.equal(observed.writes[0], 'renew');
    assert.deepEqual(await statesOf(world, ids), ['processing', 'processing']);
    for (const { runner } of workers) runner.at(0).exit(0);
    await world.env.advance(1000);
    assert.deepEqual(await statesOf(world, ids), ['completed', 'completed']);
    for (const id of ids) assert.equal((await historyOf(world, id)).length, 1);
  });

  test('a job claimed just before it fell asleep starts only if it is still its own', async (t) => {
    for (const taken of [false, true]) {
      let held: Held | undefined;
      const world = await createWorld(t);
      const [id = ''] = await enqueue(world, [{ maxRetries: 0 }]);
      const { runner, observed } = await startWorker(world, {
        prepare: (early) => {
          // The answer to its claim is on its way while it falls asleep.
          held = early.hold('turn', 'after');
        },
      });
      await held?.arrived;
      assert.equal(runner.attempts.length, 0);
      world.env.freeze(NIGHT);
      if (taken) {
        const [attempt] = await world.client.running();
        assert.ok(attempt);
        const backoff = { base: 2, max: 0 };
        const { leaseUntil } = attempt;
        await world.client.reap({ attempt, leaseUntil, reason: 'test', backoff, random: 0 });
      }
      observed.calls.length = 0;
      held?.release();
      await world.env.advance(2000);
      assert.equal(observed.writes[0], 'renew', 'asks before it starts');
      assert.equal(runner.attempts.length, taken ? 0 : 1);
      assert.deepEqual(await statesOf(world, [id]), [taken ? 'dead' : 'processing']);
    }
  });

  test('who does not come back is given up all the same', async (t) => {
    const world = await createWorld(t);
    const [id = ''] = await enqueue(world, 1);
    const owner = await registerOwner(world, selfIdentity());
    await owner.claim();
    startReaper(world, deadProcess());
    await world.env.advance(1000);
    world.env.freeze(NIGHT);
    await world.env.advance(LEASE / 3 + 1500);
    assert.deepEqual(await statesOf(world, [id]), ['failed']);
  });

  test('in 40 simulated worlds that sleep again and again, nobody loses a lease', async () => {
    const worlds = await createWorlds();
    try {
      for (let seed = 1; seed <= 40; seed += 1) {
        const { findings, figures } = await worlds.simulate(seed, SLEEPY);
        assert.deepEqual(findings, [], `seed ${seed}`);
        assert.ok((figures['sleeps'] ?? 0) > 0);
      }
    } finally {
      worlds.remove();
    }
  });
});

/** The only thing that happens to these. */
const SLEEPY = {
  workers: 2,
  lease: 1,
  longest: 6000,
  storm: 6000,
  sleeps: 500,
  kills: 0,
  pauses: 0,
  jumps: 0,
  killedAfterTurn: 0,
  stoppedAfterTurn: 0,
  failsBefore: 0,
  failsAfter: 0,
  late: 0,
};
