// What retention is over for, and how much output a queue keeps.

import assert from 'node:assert/strict';
import type { Outcome } from '../../src/job.ts';
import type { OverdueQuery } from '../../src/store/store.ts';
import { HOUR, MINUTE } from './env.ts';
import { FAILURE, names, SUCCESS } from './values.ts';
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
