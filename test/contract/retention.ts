// What retention is over for, and how much output a queue keeps.

import assert from 'node:assert/strict';
import type { Outcome } from '../../src/job.ts';
import type { AttemptPage, AttemptPosition, OverdueQuery } from '../../src/store/store.ts';
import { HOUR, MINUTE } from './env.ts';
import { FAILURE, identity, names, SUCCESS } from './values.ts';
import type { ContractTest, World } from './world.ts';

/** Ids of what is overdue in the queue `q`, in order. */
async function overdue(w: World, query: Partial<OverdueQuery>): Promise<string[]> {
  const keys = await w.store.overdue({
    queue: 'q',
    endedBefore: null,
    diedBefore: null,
    jobs: null,
    logBytes: null,
    spareFrom: w.env.now() + 1,
    limit: 100,
    ...query,
  });
  const jobs = await Promise.all(names('j', 20).map((id) => w.store.find(id)));
  return keys.map((key) => jobs.find((job) => job?.key === key)?.id ?? '?');
}

/** j0, j1 … of one queue end one after the other, a minute apart. */
async function finish(
  w: World,
  n: number,
  outcome: Outcome = SUCCESS,
  logBytes = 0,
  logKept?: number,
): Promise<void> {
  const hand = await w.hand({ queues: ['q'] });
  const maxRetries = 0;
  await w.add(...names('j', n).map((id) => ({ id, queue: 'q', maxRetries })));
  for (let i = 0; i < n; i += 1) {
    w.env.advance(MINUTE);
    const kept = logKept === undefined ? {} : { logKept };
    await hand.end(await hand.claimOne(), outcome, { logBytes, ...kept });
  }
}

export function retention(test: ContractTest): void {
  test('what ended long enough ago is overdue, and what ended first comes first', async (w) => {
    await finish(w, 4);
    await w.add({ id: 'j4', queue: 'q' });
    await w.store.cancel(['j4']);
    const { updatedAt } = await w.job('j1');
    assert.deepEqual(await overdue(w, { endedBefore: updatedAt }), ['j0']);
    assert.deepEqual(await overdue(w, { endedBefore: updatedAt + 1 }), ['j0', 'j1']);
    assert.deepEqual(await overdue(w, { endedBefore: w.env.now() + 1, limit: 3 }), [
      'j0',
      'j1',
      'j2',
    ]);
    const all = ['j0', 'j1', 'j2', 'j3', 'j4'];
    assert.deepEqual(await overdue(w, { endedBefore: w.env.now() + 1 }), all);
    assert.deepEqual(await overdue(w, { endedBefore: w.env.now() + 1, spareFrom: updatedAt }), [
      'j0',
    ]);
    assert.deepEqual(await overdue(w, { endedBefore: w.env.now() + 1, queue: 'other' }), []);
    assert.deepEqual(await overdue(w, {}), [], 'without a bound nothing is');
  });

  test('dead jobs have a bound of their own', async (w) => {
    await finish(w, 3, FAILURE);
    w.env.advance(HOUR);
    const now = w.env.now();
    assert.deepEqual(await overdue(w, { endedBefore: now, jobs: 0 }), []);
    const { updatedAt } = await w.job('j2');
    assert.deepEqual(await overdue(w, { diedBefore: updatedAt }), ['j0', 'j1']);
    assert.deepEqual(await overdue(w, { diedBefore: now, spareFrom: updatedAt }), ['j0', 'j1']);
  });

  test('of too many the ones that ended first are overdue', async (w) => {
    await finish(w, 5);
    await w.add({ id: 'j5', queue: 'q' });
    assert.deepEqual(await overdue(w, { jobs: 5 }), []);
    assert.deepEqual(await overdue(w, { jobs: 3 }), ['j0', 'j1']);
    assert.deepEqual(await overdue(w, { jobs: 0, limit: 2 }), ['j0', 'j1']);
    const { updatedAt } = await w.job('j1');
    assert.deepEqual(await overdue(w, { jobs: 0, spareFrom: updatedAt }), ['j0']);
  });

  test('of too much output too; kept bytes count, wherever the job went', async (w) => {
    await finish(w, 4, SUCCESS, 5000, 1000);
    assert.deepEqual(await overdue(w, { logBytes: 4000 }), []);
    assert.deepEqual(await overdue(w, { logBytes: 3999 }), ['j0']);
    assert.deepEqual(await overdue(w, { logBytes: 1500 }), ['j0', 'j1', 'j2']);
    const { key } = await w.job('j0');
    await w.store.delete(['j0']);
    assert.deepEqual(await w.store.attempts(key), []);
    assert.deepEqual(await overdue(w, { logBytes: 3000 }), []);
    assert.deepEqual(await overdue(w, { logBytes: 2000 }), ['j1']);

    // A job that failed once takes its output along into another queue.
    await w.add({ id: 'j9', queue: 'q', maxRetries: 1 });
    const hand = await w.hand({ queues: ['q'] });
    await hand.end(await hand.claimOne(), FAILURE, { logBytes: 700 });
    assert.deepEqual(await overdue(w, { logBytes: 3600 }), ['j1']);
    await w.store.edit(['j9'], { queue: 'other' });
    assert.deepEqual(await overdue(w, { logBytes: 3600 }), []);
    await w.store.cancel(['j9']);
    assert.deepEqual(await overdue(w, { logBytes: 0, queue: 'other' }), ['j9']);
  });

  test('which workers attempts name is told page by page, every attempt once', async (w) => {
    const hands = [await w.hand(), await w.hand(), await w.hand()];
    assert.deepEqual(await w.store.workersNamed(null, 5), { workers: [], next: null });
    await w.add(...names('j', 3).map((id) => ({ id, maxRetries: 5 })));
    // Three attempts of j0, and one each of the others; the last one runs.
    for (const hand of hands) {
      await hand.end(await hand.claimOne(), FAILURE);
      w.env.advance(HOUR);
    }
    await hands[0]?.claimOne();
    await hands[1]?.claimOne();
    const seen: number[][] = [];
    let pages = 0;
    for (let after: AttemptPosition | null = null; ; pages += 1) {
      const page: AttemptPage = await w.store.workersNamed(after, 2);
      seen.push(page.workers.toSorted((a, b) => a - b));
      after = page.next;
      if (after === null) break;
    }
    const total = (await Promise.all(names('j', 3).map((id) => w.history(id)))).flat();
    assert.equal(pages, Math.floor(total.length / 2));
    assert.ok(seen.every((workers) => workers.length <= 2));
    assert.deepEqual(
      [...new Set(seen.flat())].toSorted((a, b) => a - b),
      hands.map(({ key }) => key),
    );
    const all = await w.store.workersNamed(null, 1000);
    assert.deepEqual([all.workers.length, all.next], [3, null]);
  });

  test('workers that ended go, those that live or run something stay, whoever asks', async (w) => {
    const supervisor = await w.store.registerSupervisor({ identity: identity(), count: 2 });
    const idle = await w.store.registerSupervisor({ identity: identity(), count: 1 });
    const { hand: runs } = await w.running('runs');
    const [lives, ended, late] = [
      await w.hand(),
      await w.hand({ supervisor }),
      await w.hand({ supervisor }),
    ];
    await w.store.endWorker(runs.key, 'took for dead');
    await w.store.endWorker(ended.key, 'stopped');
    await w.store.endSupervisor(supervisor, 'stopped');
    w.env.advance(MINUTE);
    const before = w.env.now();
    await w.store.endWorker(late.key, 'stopped');
    assert.deepEqual(await w.store.endedWorkers(before), [runs.key, ended.key]);
    const everybody = [runs, lives, ended, late].map(({ key }) => key);
    assert.equal(await w.store.forgetWorkers(everybody, before), 1);
    assert.deepEqual(await w.store.endedWorkers(before + 1), [runs.key, late.key]);
    assert.deepEqual((await w.history('runs')).length, 1, 'what runs keeps its worker');
    assert.deepEqual(
      (await w.store.workers()).map(({ key }) => key),
      [lives.key],
    );
    // A worker that registers late is told to stop by its supervisor's record: `late` names it.
    await w.store.requestStop({ workers: null, supervisors: null, mode: 'now', stopBy: 1 });
    assert.deepEqual(
      (await w.store.supervisors()).map(({ key }) => key),
      [idle],
    );
    assert.equal(await w.store.forgetWorkers(everybody, before + 1), 1);
    assert.deepEqual(await w.store.endedWorkers(before + HOUR), [runs.key]);
    const next = await w.hand();
    assert.ok(next.key > late.key, 'a key is not used twice');
  });

  test('what waits or runs is never overdue', async (w) => {
    await w.bring('pending', 'pending', { queue: 'q' });
    await w.bring('failed', 'failed', { queue: 'q2' });
    await w.bring('processing', 'processing', { queue: 'q3' });
    w.env.advance(HOUR);
    for (const queue of ['q', 'q2', 'q3']) {
      const bounds = { endedBefore: w.env.now(), diedBefore: w.env.now(), jobs: 0, logBytes: 0 };
      assert.deepEqual(await overdue(w, { queue, ...bounds }), []);
    }
  });
}
