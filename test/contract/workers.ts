import assert from 'node:assert/strict';
import type { NewWorker } from '../../src/store/store.ts';
import { HOUR, MINUTE } from './env.ts';
import { FAILURE, identity, ids, one, settled, SUCCESS } from './values.ts';
import type { ContractTest } from './world.ts';

export function workers(test: ContractTest): void {
  test('a worker is shown as it registered', async (w) => {
    const supervisor = await w.store.registerSupervisor({ identity: identity(), count: 2 });
    const asked: NewWorker = {
      identity: identity(),
      supervisor,
      queues: ['b', '__proto__', 'with "quotes"'],
      concurrency: 8,
    };
    const { key, name } = await w.store.registerWorker(asked);
    assert.deepEqual(one(await w.store.workers()), {
      ...asked,
      key,
      name,
      ready: false,
      startedAt: w.env.now(),
      heartbeatAt: w.env.now(),
      // The default lease, by the boot clock.
      leaseUntil: w.env.boot() + 30_000,
      stop: null,
      jobs: [],
    });
  });

  test('a worker whose supervisor was told to stop meanwhile is told so as it registers', async (w) => {
    const supervisor = await w.store.registerSupervisor({ identity: identity(), count: 1 });
    await w.store.requestStop({
      workers: [],
      supervisors: [supervisor],
      mode: 'graceful',
      stopBy: 77,
    });
    const late = { identity: identity(), supervisor, queues: null, concurrency: 1 };
    const { key } = await w.store.registerWorker(late);
    const { stop, stopBy } = await w.store.attend(key);
    assert.deepEqual([stop, stopBy], ['graceful', 77]);
  });

  test('a renewal moves the lease of the worker itself', async (w) => {
    const hand = await w.hand();
    w.env.advance(10_000);
    await w.store.renew({ worker: hand.key, attempts: [], lease: 5000 });
    assert.equal(one(await w.store.workers()).leaseUntil, w.env.boot() + 5000);
  });

  test('a worker is ready once it has said so', async (w) => {
    const hand = await w.hand();
    const { key } = await w.store.registerWorker({
      identity: identity(),
      supervisor: null,
      queues: null,
      concurrency: 1,
    });
    const ready = (await w.store.workers()).map((worker) => [worker.key, worker.ready]);
    assert.deepEqual(ready, [
      [hand.key, true],
      [key, false],
    ]);
  });

  test('workers show the jobs they run, oldest claim first', async (w) => {
    await w.add({ id: 'z' }, { id: 'b', priority: 1 }, { id: 'a', priority: -1 });
    const hand = await w.hand({ concurrency: 3 });
    const idle = await w.hand();
    const claimed = await hand.claim(2);
    await hand.claim(1);
    const jobs = async (): Promise<(readonly string[])[]> =>
      (await w.store.workers()).map((worker) => worker.jobs);
    assert.deepEqual(await jobs(), [['b', 'z', 'a'], []]);
    await hand.endAll(claimed, SUCCESS);
    assert.deepEqual(await jobs(), [['a'], []]);
    assert.deepEqual(await idle.claim(), []);
  });

  test('workers and supervisors are listed oldest first, and go when they end', async (w) => {
    const supervisors: number[] = [];
    for (const count of [3, 1, 2]) {
      supervisors.push(await w.store.registerSupervisor({ identity: identity(), count }));
    }
    const hands = [await w.hand(), await w.hand(), await w.hand()];
    const keys = hands.map(({ key }) => key);
    assert.deepEqual(
      (await w.store.workers()).map(({ key }) => key),
      keys,
    );
    await w.store.endWorker(keys[1] ?? 0, 'stopped');
    await w.store.endSupervisor(supervisors[0] ?? 0, 'stopped');
    assert.deepEqual(
      (await w.store.workers()).map(({ key }) => key),
      [keys[0], keys[2]],
    );
    assert.deepEqual(
      (await w.store.supervisors()).map(({ key, count }) => [key, count]),
      [
        [supervisors[1], 1],
        [supervisors[2], 2],
      ],
    );
  });

  test('a supervisor is shown as it registered', async (w) => {
    const asked = { identity: identity(), count: 4 };
    const key = await w.store.registerSupervisor(asked);
    const shown = one(await w.store.supervisors());
    assert.deepEqual(shown, { ...asked, key, startedAt: w.env.now(), stop: null });
  });

  test('ending twice, or what never was, is fine', async (w) => {
    const hand = await w.hand();
    const supervisor = await w.store.registerSupervisor({ identity: identity(), count: 1 });
    for (const reason of ['stopped', 'died']) {
      await w.store.endWorker(hand.key, reason);
      await w.store.endWorker(hand.key + 1, reason);
      await w.store.endSupervisor(supervisor, reason);
      await w.store.endSupervisor(supervisor + 1, reason);
    }
    assert.deepEqual(await w.store.workers(), []);
    assert.deepEqual(await w.store.supervisors(), []);
  });

  test('keys and names are never used twice', async (w) => {
    const keys = new Set<number>();
    const known = new Set<string>();
    const supervisors = new Set<number>();
    for (let round = 0; round < 5; round += 1) {
      const hand = await w.hand();
      const supervisor = await w.store.registerSupervisor({ identity: identity(), count: 1 });
      keys.add(hand.key);
      known.add(hand.name);
      supervisors.add(supervisor);
      await w.store.endWorker(hand.key, 'done');
      await w.store.endSupervisor(supervisor, 'done');
    }
    assert.deepEqual([keys.size, known.size, supervisors.size], [5, 5, 5]);
  });

  test('a worker that was declared dead learns it and gets nothing', async (w) => {
    const { hand, claimed } = await w.running('j');
    await w.add({ id: 'next', queue: 'only-j' });
    assert.equal((await hand.attend()).registered, true);
    await w.store.endWorker(hand.key, 'took for dead');
    assert.equal((await hand.attend()).registered, false);
    assert.deepEqual(await hand.claim(), []);
    // Nobody has reaped its attempt: the result is still its own to record.
    assert.equal(settled(await hand.end(claimed, SUCCESS)).state, 'completed');
  });

  test('who never registered is told so', async (w) => {
    const attention = await w.store.attend(4711);
    assert.equal(attention.registered, false);
    assert.deepEqual(attention.cancelRequested, []);
    assert.equal(attention.stop, null);
  });

  test('attend tells whether something may be claimable now', async (w) => {
    const all = await w.hand();
    const quiet = await w.hand({ queues: ['quiet', 'not yet there'] });
    const ready = async (): Promise<boolean[]> => [
      (await all.attend()).ready,
      (await quiet.attend()).ready,
    ];
    assert.deepEqual(await ready(), [false, false]);
    await w.add({ id: 'later', queue: 'quiet', delay: HOUR });
    assert.deepEqual(await ready(), [false, false]);
    await w.add({ id: 'loud', queue: 'loud' });
    assert.deepEqual(await ready(), [true, false]);
    w.env.advance(HOUR);
    assert.deepEqual(await ready(), [true, true]);
    assert.deepEqual(ids(await quiet.claim(5)), ['later']);
    assert.deepEqual(ids(await all.claim(5)), ['loud']);
    assert.deepEqual(await ready(), [false, false]);
  });

  test('attend tells whether its queues have anything unfinished', async (w) => {
    const all = await w.hand();
    const quiet = await w.hand({ queues: ['quiet'] });
    const unfinished = async (): Promise<boolean[]> => [
      (await all.attend()).unfinished,
      (await quiet.attend()).unfinished,
    ];
    assert.deepEqual(await unfinished(), [false, false]);
    await w.add({ id: 'loud', queue: 'loud' });
    assert.deepEqual(await unfinished(), [true, false]);
    await w.store.cancel(['loud']);
    assert.deepEqual(await unfinished(), [false, false]);

    await w.add({ id: 'j', queue: 'quiet', delay: MINUTE, maxRetries: 1 });
    assert.deepEqual(await unfinished(), [true, true], 'it waits');
    w.env.advance(MINUTE);
    const claimed = await all.claimOne();
    assert.deepEqual(await unfinished(), [true, true], 'it runs');
    await all.end(claimed, FAILURE);
    assert.deepEqual(await unfinished(), [true, true], 'it will be retried');
    w.env.advance(MINUTE);
    await all.end(await all.claimOne(), FAILURE);
    assert.deepEqual(await unfinished(), [false, false], 'it is dead');
  });
}
