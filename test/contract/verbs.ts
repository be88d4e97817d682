// Verbs on waiting and finished jobs: edit, delete, and every verb by filter.

import assert from 'node:assert/strict';
import type { Job, State } from '../../src/job.ts';
import { Queue } from '../../src/queue.ts';
import { type Changes, type Filter, NO_FILTER } from '../../src/store/store.ts';
import { HOUR, MINUTE, SECOND } from './env.ts';
import { everything } from './invariants.ts';
import { FAILURE, names, SUCCESS } from './values.ts';
import type { ContractTest, World } from './world.ts';

const STATES = ['pending', 'processing', 'completed', 'failed', 'dead', 'cancelled'] as const;

const isWaiting = (state: State): boolean => state === 'pending' || state === 'failed';

async function bringAll(w: World): Promise<void> {
  for (const state of STATES) await w.bring(state, state);
}

async function matching(w: World, filter: Partial<Filter>, after = 0): Promise<string[]> {
  const keys = await w.store.match({ ...NO_FILTER, ...filter, after, upTo: 1e9, limit: 100 });
  const jobs = await w.store.list({ ...NO_FILTER, sort: 'oldest', limit: 1000, cursor: null });
  return keys.map((key) => jobs.jobs.find((job) => job.key === key)?.id ?? '?');
}

/** What a filter finds, as keys and filter. */
async function found(
  w: World,
  filter: Partial<Filter> = {},
): Promise<{ keys: number[]; filter: Filter }> {
  const whole = { ...NO_FILTER, ...filter };
  const keys = await w.store.match({ ...whole, after: 0, upTo: 1e9, limit: 1000 });
  return { keys, filter: whole };
}

export function verbs(test: ContractTest): void {
  test('match obeys every condition, in key order, between two keys', async (w) => {
    await w.add(
      { id: 'a', queue: 'x', tags: { batch: '7' }, command: 'convert one.wav' },
      { id: 'b', queue: 'y', command: 'convert two.wav' },
    );
    const begun = w.env.now();
    w.env.advance(MINUTE);
    await w.add({ id: 'c', queue: 'x', tags: { batch: '8' }, command: 'rm three.wav' });
    await w.store.cancel(['b']);
    assert.deepEqual(await matching(w, {}), ['a', 'b', 'c']);
    assert.deepEqual(await matching(w, { queue: 'x' }), ['a', 'c']);
    assert.deepEqual(await matching(w, { queue: 'nobody' }), []);
    assert.deepEqual(await matching(w, { states: ['cancelled'] }), ['b']);
    assert.deepEqual(await matching(w, { states: ['pending', 'cancelled'] }), ['a', 'b', 'c']);
    assert.deepEqual(await matching(w, { tags: [['batch', '7']] }), ['a']);
    assert.deepEqual(await matching(w, { search: 'convert' }), ['a', 'b']);
    assert.deepEqual(await matching(w, { since: begun + 1 }), ['c']);
    assert.deepEqual(await matching(w, { until: begun + 1 }), ['a', 'b']);
    assert.deepEqual(await matching(w, { until: begun }), []);
    assert.deepEqual(await matching(w, { unchangedSince: begun + 1 }), ['a']);
    const [a = 0, b = 0] = (await found(w)).keys;
    assert.deepEqual(await matching(w, {}, a), ['b', 'c']);
    assert.deepEqual(await w.store.match({ ...NO_FILTER, after: 0, upTo: b, limit: 9 }), [a, b]);
    assert.deepEqual(await w.store.match({ ...NO_FILTER, after: 0, upTo: b, limit: 1 }), [a]);
  });

  test('edit changes what is named of jobs that wait, and nothing else', async (w) => {
    await bringAll(w);
    const before = await everything(w.store);
    const answers = await w.store.edit([...STATES, 'nobody'], { priority: 9 });
    const right = STATES.map((state) => (isWaiting(state) ? 'edited' : 'wrong_state'));
    assert.deepEqual(answers, [...right, 'not_found']);
    const after = await everything(w.store);
    for (const [index, job] of after.jobs.entries()) {
      const change = isWaiting(job.state) ? { priority: 9, updatedAt: w.env.now() } : {};
      assert.deepEqual(job, { ...before.jobs[index], ...change });
    }
    assert.deepEqual(after.attempts, before.attempts);

    const all: Changes = {
      queue: 'other',
      priority: -5,
      maxRetries: 7,
      timeout: 1234,
      runAt: w.env.now() + HOUR,
    };
    await w.store.edit(['pending'], all);
    const { queue, priority, maxRetries, timeout, runAt } = await w.job('pending');
    assert.deepEqual({ queue, priority, maxRetries, timeout, runAt }, all);
    await w.store.edit(['pending'], { timeout: null, runAt: null });
    const job = await w.job('pending');
    assert.deepEqual([job.timeout, job.runAt, job.priority], [null, null, -5]);
  });

  test('an edited job takes the place that it would have had from the start', async (w) => {
    await w.add(...names('j', 4).map((id) => ({ id })), { id: 'later', delay: HOUR });
    await w.add({ id: 'elsewhere', queue: 'other' });
    await w.store.edit(['j2'], { priority: 1 });
    await w.store.edit(['j0'], { runAt: w.env.now() + MINUTE });
    await w.store.edit(['later'], { runAt: null });
    await w.store.edit(['elsewhere'], { queue: 'default' });
    await w.store.edit(['j3'], { queue: 'other' });
    const hand = await w.hand({ queues: ['default'] });
    assert.deepEqual(await hand.claimAll(), ['j2', 'j1', 'later', 'elsewhere']);
    w.env.advance(MINUTE);
    assert.deepEqual(await hand.claimAll(), ['j0']);
    assert.deepEqual(await (await w.hand({ queues: ['other'] })).claimAll(), ['j3']);
  });

  test('a job that failed may be edited: at once, with more or fewer retries', async (w) => {
    const { hand, claimed } = await w.running('j', { maxRetries: 3 });
    await hand.end(claimed, FAILURE);
    await w.store.edit(['j'], { runAt: null, maxRetries: 1 });
    assert.equal((await w.job('j')).state, 'failed');
    await hand.end(await hand.claimOne(), FAILURE);
    assert.equal(await w.state('j'), 'dead');
  });

  test('delete takes the job and its attempts; what runs is refused', async (w) => {
    await bringAll(w);
    const keys = new Map((await everything(w.store)).jobs.map(({ id, key }) => [id, key]));
    assert.deepEqual(
      await w.store.delete([...STATES, 'nobody', 'dead']),
      [...STATES, 'nobody', 'dead'].map((id, i) => {
        if (id === 'nobody' || i > STATES.length) return 'not_found';
        return id === 'processing' ? 'wrong_state' : { deleted: keys.get(id) };
      }),
    );
    for (const state of STATES) {
      assert.equal(await w.state(state), state === 'processing' ? 'processing' : undefined);
      const attempts = await w.store.attempts(keys.get(state) ?? 0);
      assert.equal(attempts.length, state === 'processing' ? 1 : 0);
    }
    assert.deepEqual(await (await w.hand()).claimAll(), [], 'what was deleted is never claimed');
    w.env.advance(HOUR);
    assert.deepEqual(await (await w.hand()).claimAll(), []);
  });

  test('a verb by filter acts on the states it applies to, and leaves the others', async (w) => {
    await bringAll(w);
    const keys = new Map((await everything(w.store)).jobs.map(({ id, key }) => [id, key]));
    const of = (...ids: readonly string[]): number[] => ids.map((id) => keys.get(id) ?? 0);
    const all = await found(w);
    assert.deepEqual(await w.store.editFound(all, { priority: 3 }), of('pending', 'failed'));
    assert.deepEqual(await w.store.retryFound(all), of('dead'));
    assert.deepEqual(await w.store.cancelFound(all), {
      cancelled: of('pending', 'failed', 'dead'),
      requested: of('processing'),
    });
    assert.deepEqual(
      await w.store.deleteFound(all),
      of('pending', 'completed', 'failed', 'dead', 'cancelled'),
    );
    assert.equal((await w.job('processing')).cancelRequested, true);
  });

  test('what does not match any more by then is left alone', async (w) => {
    await w.add(...names('j', 5).map((id) => ({ id, queue: 'a', tags: { t: id } })));
    const filter = { states: ['pending'], queue: 'a' } as const;
    const all = await found(w, filter);
    assert.equal(all.keys.length, 5);
    const hand = await w.hand();
    const running = await hand.claimOne();
    await w.store.edit(['j1'], { queue: 'b' });
    await w.store.cancel(['j2']);
    await w.store.delete(['j3']);
    const before = await w.job('j0');
    assert.deepEqual(await w.store.editFound(all, { priority: 1 }), [(await w.job('j4')).key]);
    const { key } = await w.job('j4');
    assert.deepEqual(await w.store.deleteFound(all), [key]);
    assert.deepEqual(await w.store.cancelFound(all), { cancelled: [], requested: [] });
    assert.deepEqual(await w.job('j0'), before, 'one that has started is none of theirs');
    assert.equal(await w.state('j1'), 'pending');
    await hand.end(running, SUCCESS);
    w.env.advance(SECOND);
    assert.deepEqual(await hand.claimAll(), ['j1']);
  });

  test('no condition of a filter is forgotten when it is looked at again', async (w) => {
    await w.add({ id: 'j', queue: 'a', command: 'convert', tags: { t: '1' } });
    const { key, createdAt } = await w.job('j');
    const others: Partial<Filter>[] = [
      { states: ['failed'] },
      { queue: 'b' },
      { tags: [['t', '2']] },
      { search: 'nothing' },
      { since: createdAt + 1 },
      { until: createdAt },
      { unchangedSince: createdAt },
    ];
    for (const other of others) {
      const not = { keys: [key], filter: { ...NO_FILTER, ...other } };
      assert.deepEqual(await w.store.deleteFound(not), [], JSON.stringify(other));
    }
    const right: Filter = {
      states: ['pending'],
      queue: 'a',
      tags: [['t', '1']],
      search: 'CONV',
      since: createdAt,
      until: createdAt + 1,
      unchangedSince: createdAt + 1,
    };
    assert.deepEqual(await w.store.deleteFound({ keys: [key], filter: right }), [key]);
  });

  test('retry by filter leaves alone what has run since it began', async (w) => {
    for (const id of ['j0', 'j1']) await w.bring(id, 'dead');
    const begun = await w.store.horizon();
    assert.equal(begun.key, (await w.job('j1')).key);
    const first = await found(w, { states: ['dead'] });
    // Another one's loop retries both; one of them dies again before ours comes by.
    await w.store.retry(['j0', 'j1']);
    await w.store.edit(['j0', 'j1'], { maxRetries: 0 });
    const hand = await w.hand();
    const again = await hand.claimOne();
    await hand.end(again, FAILURE);
    assert.equal(await w.state('j0'), 'dead');
    assert.deepEqual(await w.store.retryFound(first, begun.runToken), []);
    const { runToken } = await w.store.horizon();
    assert.deepEqual(await w.store.retryFound(first, runToken), [first.keys[0]]);
  });

  // The second batch comes by when the first is committed: what happens then is between.
  const acts = {
    cancel: async (queue: Queue, onBatch: () => Promise<void>) => {
      const { cancelled, requested } = await queue.cancelAll(NO_FILTER, { onBatch });
      return cancelled + requested;
    },
    edit: (queue: Queue, onBatch: () => Promise<void>) =>
      queue.editAll(NO_FILTER, { priority: 7 }, { onBatch }),
    delete: (queue: Queue, onBatch: () => Promise<void>) => queue.deleteAll(NO_FILTER, { onBatch }),
  };
  for (const [verb, meanwhile, end, done] of [
    ['cancel', 'has started', null, (job: Job | null) => job?.cancelRequested === true],
    ['cancel', 'has failed', FAILURE, (job: Job | null) => job?.state === 'cancelled'],
    ['edit', 'has failed', FAILURE, (job: Job | null) => job?.priority === 7],
    ['delete', 'has succeeded', SUCCESS, (job: Job | null) => job === null],
  ] as const) {
    test(`${verb} by filter means also what ${meanwhile} since it began (guarantee 9)`, async (w) => {
      const ids = names('j', 600);
      await w.add(...ids.map((id) => ({ id })), { id: 'last', queue: 'late' });
      const hand = await w.hand({ queues: ['late'] });
      let batches = 0;
      const n = await acts[verb](new Queue(w.store, w.env), async () => {
        batches += 1;
        if (batches > 1) return;
        const claimed = await hand.claimOne();
        if (end !== null) await hand.end(claimed, end);
      });
      assert.ok(batches > 1, 'otherwise nothing was between');
      assert.ok(done(await w.store.find('last')));
      assert.equal(n, ids.length + 1);
    });
  }
}
