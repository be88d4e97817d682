import assert from 'node:assert/strict';
import type { Store } from '../../src/store/store.ts';
import { HOUR, MINUTE, SECOND } from './env.ts';
import { everything } from './invariants.ts';
import { FAILURE, ids, names, query, settled, stepOnDead, SUCCESS } from './values.ts';
import type { ContractTest, World } from './world.ts';

/** Keys of these jobs, in this order. */
async function keysOf(w: World, jobs: readonly string[]): Promise<number[]> {
  return await Promise.all(jobs.map(async (id) => (await w.job(id)).key));
}

async function newestDead(store: Store): Promise<number> {
  const { jobs } = await store.list(query({ states: ['dead'], limit: 1 }));
  return jobs[0]?.key ?? 0;
}

export function deadLetterQueue(test: ContractTest): void {
  test('a retried job is pending, due at once, with all its attempts before it', async (w) => {
    const { hand, claimed } = await w.running('j', { maxRetries: 1 });
    await hand.end(claimed, FAILURE);
    w.env.advance(MINUTE);
    const second = await hand.claimOne();
    assert.equal(settled(await hand.end(second, FAILURE)).state, 'dead');
    w.env.advance(HOUR);

    assert.deepEqual(await w.store.retry(['j']), ['retried']);
    const job = await w.job('j');
    assert.deepEqual([job.state, job.attempts, job.lastAttempt], ['pending', 0, 2]);
    assert.equal(job.updatedAt, w.env.now());
    assert.equal((await w.history('j')).length, 2);

    const third = await hand.claimOne();
    assert.deepEqual([third.number, third.attempts], [3, 1]);
    assert.ok(third.runToken > second.runToken);
    assert.equal(settled(await hand.end(third, FAILURE)).state, 'failed');
    w.env.advance(MINUTE);
    assert.equal(settled(await hand.end(await hand.claimOne(), FAILURE)).state, 'dead');
    assert.equal((await w.history('j')).length, 4);
  });

  test('a retried job goes behind those that wait already', async (w) => {
    await w.bring('old', 'dead', { queue: 'q' });
    w.env.advance(SECOND);
    await w.add({ id: 'waits', queue: 'q' });
    w.env.advance(SECOND);
    await w.store.retry(['old']);
    w.env.advance(SECOND);
    await w.add({ id: 'late', queue: 'q' });
    const hand = await w.hand({ queues: ['q'] });
    assert.deepEqual(await hand.claimAll(), ['waits', 'old', 'late']);
  });

  test('only dead jobs are retried; one answer per id, in order', async (w) => {
    const states = ['pending', 'processing', 'completed', 'failed', 'cancelled'] as const;
    for (const state of states) await w.bring(state, state);
    const before = await everything(w.store);
    assert.deepEqual(await w.store.retry([...states, 'nobody']), [
      ...states.map(() => 'wrong_state'),
      'not_found',
    ]);
    assert.deepEqual(await everything(w.store), before);

    await w.bring('dead', 'dead');
    assert.deepEqual(await w.store.retry(['nobody', 'dead', 'dead']), [
      'not_found',
      'retried',
      'wrong_state',
    ]);
    assert.deepEqual(await w.store.retry([]), []);
  });

  test('a verb by filter goes through the dead in key order, a batch at a time', async (w) => {
    const jobs = names('d', 10);
    await w.bury(jobs);
    await w.bring('not dead', 'failed');
    const keys = await keysOf(w, jobs);
    assert.deepEqual(
      (await stepOnDead(w.store, 'retryFound', { limit: 4 })).acted,
      keys.slice(0, 4),
    );
    const after = keys[3] ?? 0;
    const upTo = keys[8] ?? 0;
    assert.deepEqual(
      (await stepOnDead(w.store, 'retryFound', { after, upTo, limit: 4 })).acted,
      keys.slice(4, 8),
    );
    const last = await stepOnDead(w.store, 'retryFound', { after: keys[7] ?? 0, upTo, limit: 4 });
    assert.deepEqual(last.acted, [upTo], 'a job above upTo is left alone');
    assert.equal(await w.state('d9'), 'dead');
    assert.equal(await w.state('not dead'), 'failed');

    const { jobs: pending } = await w.store.list(query({ states: ['pending'], sort: 'oldest' }));
    assert.deepEqual(ids(pending), jobs.slice(0, 9));
    assert.ok(pending.every(({ attempts }) => attempts === 0));
  });

  for (const verb of ['retryFound', 'deleteFound'] as const) {
    test(`${verb} obeys queue and age`, async (w) => {
      await w.bury(['a old'], { queue: 'a' });
      await w.bury(['b old'], { queue: 'b' });
      w.env.advance(HOUR);
      const before = w.env.now();
      await w.bury(['a young'], { queue: 'a' });
      const keys = await keysOf(w, ['a old', 'b old', 'a young']);
      const keysAt = (...indexes: number[]): number[] => indexes.map((index) => keys[index] ?? 0);

      assert.deepEqual((await stepOnDead(w.store, verb, { queue: 'no such queue' })).acted, []);
      assert.deepEqual(
        (await stepOnDead(w.store, verb, { unchangedSince: before - HOUR })).acted,
        [],
      );
      assert.deepEqual(
        (await stepOnDead(w.store, verb, { unchangedSince: before, queue: 'a' })).acted,
        keysAt(0),
      );
      assert.deepEqual(
        (await stepOnDead(w.store, verb, { unchangedSince: before })).acted,
        keysAt(1),
      );
      assert.deepEqual((await stepOnDead(w.store, verb)).acted, keysAt(2));
      assert.deepEqual((await stepOnDead(w.store, verb)).acted, []);
    });
  }

  test('two retry loops that interleave act once on each and add up (LQ-13)', async (w) => {
    const jobs = names('d', 50);
    await w.bury(jobs);
    const upTo = await newestDead(w.store);
    const loops = [w.store, await w.open()].map((store) => ({ store, after: 0, done: false }));
    const retried: number[] = [];
    while (loops.some(({ done }) => !done)) {
      for (const loop of loops) {
        if (loop.done) continue;
        const part = { after: loop.after, upTo, limit: 7 };
        const { found, acted } = await stepOnDead(loop.store, 'retryFound', part);
        retried.push(...acted);
        loop.after = found.at(-1) ?? loop.after;
        loop.done = found.length < 7;
      }
    }
    assert.deepEqual(
      retried.toSorted((a, b) => a - b),
      await keysOf(w, jobs),
    );
  });

  test('a job that dies again during a retry loop is not retried by it twice', async (w) => {
    await w.bury(names('d', 6));
    const upTo = await newestDead(w.store);
    const hand = await w.hand();
    const retried: number[] = [];
    for (let after = 0; ;) {
      const { acted: keys } = await stepOnDead(w.store, 'retryFound', { after, upTo, limit: 2 });
      retried.push(...keys);
      await hand.endAll(await hand.claim(2), FAILURE);
      if (keys.length < 2) break;
      after = keys.at(-1) ?? upTo;
    }
    assert.equal(retried.length, 6);
    assert.equal(new Set(retried).size, 6);
  });

  test('deleteFound deletes dead jobs and their attempts, and nothing else', async (w) => {
    await w.bury(names('d', 5));
    const states = ['pending', 'processing', 'completed', 'failed', 'cancelled'] as const;
    for (const state of states) await w.bring(state, state);
    const keys = await keysOf(w, names('d', 5));
    assert.deepEqual(
      (await stepOnDead(w.store, 'deleteFound', { limit: 3 })).acted,
      keys.slice(0, 3),
    );
    const rest = { after: keys[2] ?? 0, limit: 3 };
    assert.deepEqual((await stepOnDead(w.store, 'deleteFound', rest)).acted, keys.slice(3));
    for (const key of keys) assert.deepEqual(await w.store.attempts(key), []);
    for (const id of names('d', 5)) assert.equal(await w.store.find(id), null);
    for (const state of states) assert.equal(await w.state(state), state);
    assert.deepEqual(await w.store.cancel(['d0']), ['not_found']);
    assert.deepEqual(await w.store.retry(['d0']), ['not_found']);
  });

  test('a purged id may be used again, its key never is', async (w) => {
    await w.bury(names('d', 3));
    const keys = await keysOf(w, names('d', 3));
    await stepOnDead(w.store, 'deleteFound');
    const created = await w.add(...names('d', 3).map((id) => ({ id })));
    assert.ok(created.every(({ key }) => key > Math.max(...keys)));
    assert.ok((await w.job('d0')).last === null, 'a new job has no past');
    const hand = await w.hand();
    assert.deepEqual(await hand.claimAll(), names('d', 3));
  });

  test('a job that was retried and then completed is out of reach', async (w) => {
    const { hand, claimed } = await w.running('j', { maxRetries: 0 });
    await hand.end(claimed, FAILURE);
    await w.store.retry(['j']);
    await hand.end(await hand.claimOne(), SUCCESS);
    assert.deepEqual((await stepOnDead(w.store, 'retryFound')).acted, []);
    assert.deepEqual((await stepOnDead(w.store, 'deleteFound')).acted, []);
    assert.equal(await w.state('j'), 'completed');
  });
}
