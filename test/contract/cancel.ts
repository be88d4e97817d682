import assert from 'node:assert/strict';
import type { Outcome } from '../../src/job.ts';
import { DAY, MINUTE, SECOND } from './env.ts';
import { everything } from './invariants.ts';
import { FAILURE, INTERRUPTED, names, NO_RESOURCES, one, settled, SUCCESS } from './values.ts';
import type { ContractTest } from './world.ts';

/** Whatever comes next about a flagged attempt: [what, outcome]. */
const ENDS: readonly [string, Outcome][] = [
  ['ended as asked', { kind: 'cancelled' }],
  ['succeeded', SUCCESS],
  ['failed', FAILURE],
  ['interrupted', INTERRUPTED],
  ['timed out', { kind: 'timed_out' }],
  ['killed by a signal', { kind: 'signaled', signal: 'SIGTERM', number: 15 }],
  ['not started for lack of resources', NO_RESOURCES],
];

export function cancel(test: ContractTest): void {
  test('what waits is cancelled at once and never starts (guarantee 9)', async (w) => {
    await w.bring('failed', 'failed');
    await w.add({ id: 'pending' }, { id: 'delayed', delay: MINUTE }, { id: 'other' });
    w.env.advance(SECOND);
    const waiting = ['pending', 'delayed', 'failed'];
    assert.deepEqual(await w.store.cancel(waiting), ['cancelled', 'cancelled', 'cancelled']);
    for (const id of waiting) {
      const { state, updatedAt, cancelRequested } = await w.job(id);
      assert.deepEqual([state, updatedAt, cancelRequested], ['cancelled', w.env.now(), false]);
    }
    w.env.advance(DAY);
    const hand = await w.hand();
    assert.deepEqual(await hand.claimAll(), ['other']);
    assert.equal((await w.history('failed')).length, 1);
  });

  test('what is finished stays as it is', async (w) => {
    for (const state of ['completed', 'dead', 'cancelled'] as const) await w.bring(state, state);
    const before = await everything(w.store);
    const finished = ['completed', 'dead', 'cancelled'];
    assert.deepEqual(
      await w.store.cancel(finished),
      finished.map(() => 'already_finished'),
    );
    assert.deepEqual(await everything(w.store), before);
  });

  test('one answer per id, in order, unknown and doubled ones too', async (w) => {
    await w.bring('running', 'processing');
    await w.bring('done', 'completed');
    await w.add({ id: 'waits' });
    const asked = ['done', 'nobody', 'waits', 'running', 'waits', 'running', '__proto__'];
    assert.deepEqual(await w.store.cancel(asked), [
      'already_finished',
      'not_found',
      'cancelled',
      'cancel_requested',
      'already_finished',
      'cancel_requested',
      'not_found',
    ]);
    assert.deepEqual(await w.store.cancel([]), []);
  });

  test('a running job is flagged, and its worker and nobody else is told', async (w) => {
    const { hand, claimed } = await w.running('j');
    const { hand: other } = await w.running('other');
    assert.deepEqual(await w.store.cancel(['j']), ['cancel_requested']);
    const job = await w.job('j');
    assert.deepEqual([job.state, job.cancelRequested], ['processing', true]);
    assert.equal((await w.seen(claimed.runToken)).cancelRequested, true);
    assert.deepEqual((await hand.attend()).cancelRequested, [claimed.runToken]);
    assert.deepEqual((await other.attend()).cancelRequested, []);
  });

  for (const [what, outcome] of ENDS) {
    test(`a flagged attempt that is ${what} ends its job cancelled`, async (w) => {
      const { hand, claimed } = await w.running('j');
      await w.store.cancel(['j']);
      assert.deepEqual(await hand.renew([claimed]), [], 'it is still its own');
      assert.equal(settled(await hand.end(claimed, outcome)).state, 'cancelled');
      const job = await w.job('j');
      assert.deepEqual([job.state, job.cancelRequested], ['cancelled', false]);
      assert.equal(one(await w.history('j')).outcome, outcome.kind, 'the history tells the truth');
      assert.deepEqual((await hand.attend()).cancelRequested, []);
      w.env.advance(DAY);
      assert.deepEqual(await hand.claim(), []);
    });
  }

  test('a flagged attempt that is reaped ends its job cancelled', async (w) => {
    const { hand, claimed } = await w.running('j');
    await w.store.cancel(['j']);
    const recorded = await w.reap(await w.seen(claimed.runToken));
    assert.equal(settled(recorded).state, 'cancelled');
    assert.equal(one(await w.history('j')).outcome, 'lost');
    w.env.advance(DAY);
    assert.deepEqual(await hand.claim(), []);
  });

  test('a flag on the last attempt keeps the job out of the dead letter queue', async (w) => {
    const { hand, claimed } = await w.running('j', { maxRetries: 0 });
    await w.store.cancel(['j']);
    assert.equal(settled(await hand.end(claimed, FAILURE)).state, 'cancelled');
  });

  test('an attempt that ended as cancelled ends its job so without a flag', async (w) => {
    const { hand, claimed } = await w.running('j');
    assert.equal(settled(await hand.end(claimed, { kind: 'cancelled' })).state, 'cancelled');
  });

  test('a success committed first stands', async (w) => {
    const { hand, claimed } = await w.running('j');
    await hand.end(claimed, SUCCESS);
    assert.deepEqual(await w.store.cancel(['j']), ['already_finished']);
    assert.equal(await w.state('j'), 'completed');
  });

  test('a cancel between two attempts leaves no flag for later', async (w) => {
    const { hand, claimed } = await w.running('j');
    await hand.end(claimed, FAILURE);
    assert.deepEqual(await w.store.cancel(['j']), ['cancelled']);
    assert.deepEqual(await w.store.retry(['j']), ['wrong_state']);
    assert.equal((await w.job('j')).cancelRequested, false);
  });

  test('the id of a cancelled job stays taken', async (w) => {
    await w.bring('j', 'cancelled');
    await assert.rejects(w.add({ id: 'j' }));
  });

  test('500 cancelled right after they arrived: none starts (LQ-08)', async (w) => {
    const hand = await w.hand();
    const jobs = names('j', 500);
    await w.add(...jobs.map((id) => ({ id })));
    const answers = await w.store.cancel(jobs);
    assert.ok(answers.every((answer) => answer === 'cancelled'));
    assert.deepEqual(await hand.claimAll(), []);
  });
}
