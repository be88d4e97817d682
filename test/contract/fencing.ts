// Guarantee 4: a run token that no longer owns its job changes nothing, whatever else of
// the write is right.

import assert from 'node:assert/strict';
import type { Outcome } from '../../src/job.ts';
import type { AttemptRef, Claimed } from '../../src/store/store.ts';
import { MINUTE } from './env.ts';
import { everything } from './invariants.ts';
import { FAILURE, ids, INTERRUPTED, one, settled, stepOnDead, SUCCESS } from './values.ts';
import type { ContractTest, Hand, World } from './world.ts';

const OUTCOMES: readonly Outcome[] = [
  SUCCESS,
  FAILURE,
  INTERRUPTED,
  { kind: 'cancelled' },
  { kind: 'timed_out' },
  { kind: 'lost' },
];

/** Every write about `attempt` is refused, and nothing at all is changed by it. */
async function assertFenced(w: World, hand: Hand, attempt: AttemptRef, why: string): Promise<void> {
  const before = await everything(w.store);
  for (const outcome of OUTCOMES) {
    assert.deepEqual(await hand.end(attempt, outcome), { stale: true }, `${why}: ${outcome.kind}`);
  }
  assert.deepEqual(await hand.renew([attempt]), [attempt.runToken], `${why}: renew`);
  const reaping = { reason: 'x', backoff: { base: 2, max: 1 }, random: 0 };
  for (const leaseUntil of [0, ...before.running.map((running) => running.leaseUntil)]) {
    const reaped = await w.store.reap({ attempt, leaseUntil, ...reaping });
    assert.deepEqual(reaped, { stale: true }, `${why}: reap`);
  }
  const after = await everything(w.store);
  // A renewal in vain is a heartbeat all the same.
  const workers = after.workers.map((worker, index) => {
    const { heartbeatAt = 0, leaseUntil = 0 } = before.workers[index] ?? {};
    return { ...worker, heartbeatAt, leaseUntil };
  });
  assert.deepEqual({ ...after, workers }, before, `${why}: nothing was changed`);
}

/** A job whose first attempt was lost and whose second runs; both attempts. */
async function overtaken(
  w: World,
): Promise<{ old: Claimed; oldHand: Hand; young: Claimed; hand: Hand }> {
  const { hand: oldHand, claimed: old } = await w.running('j');
  settled(await w.reap(await w.seen(old.runToken)));
  w.env.advance(MINUTE);
  const hand = await w.hand();
  return { old, oldHand, young: await hand.claimOne(), hand };
}

export function fencing(test: ContractTest): void {
  test('a worker whose attempt was reaped can write nothing more about it', async (w) => {
    const { hand, claimed } = await w.running('j');
    settled(await w.reap(await w.seen(claimed.runToken)));
    await assertFenced(w, hand, claimed, 'reaped');
    assert.equal(await w.state('j'), 'failed');
  });

  test('the attempt that took over is not touched by the old one', async (w) => {
    const { old, oldHand, young, hand } = await overtaken(w);
    await assertFenced(w, oldHand, old, 'overtaken');
    assert.equal(settled(await hand.end(young, SUCCESS)).state, 'completed');
    await assertFenced(w, oldHand, old, 'overtaken and completed');
  });

  test('no part of the reference can be borrowed from another attempt', async (w) => {
    const { old, young, hand } = await overtaken(w);
    const { claimed: other } = await w.running('other');
    await assertFenced(w, hand, { ...young, runToken: old.runToken }, 'token of the old attempt');
    await assertFenced(w, hand, { ...young, number: old.number }, 'number of the old attempt');
    await assertFenced(w, hand, { ...young, runToken: other.runToken }, 'token of another job');
    await assertFenced(w, hand, { ...young, key: other.key }, 'key of another job');
    await assertFenced(w, hand, { ...young, runToken: young.runToken + 1 }, 'token of the future');
    await assertFenced(w, hand, { ...young, key: 9999 }, 'key of nobody');
    assert.equal(settled(await hand.end(young, SUCCESS)).state, 'completed');
  });

  for (const outcome of OUTCOMES) {
    test(`a result is final: after ${outcome.kind} nothing is recorded again`, async (w) => {
      const { hand, claimed } = await w.running('j', { maxRetries: 0 });
      settled(await hand.end(claimed, outcome));
      await assertFenced(w, hand, claimed, 'ended');
    });
  }

  test('the same end twice in one turn is recorded once', async (w) => {
    const { hand, claimed } = await w.running('j');
    const end = { attempt: claimed, outcome: FAILURE, logBytes: 0, random: 0 };
    const { recorded } = await hand.turn({ ended: [end, { ...end, outcome: SUCCESS }] });
    assert.deepEqual(
      recorded.map(({ stale }) => stale),
      [false, true],
    );
    const job = await w.job('j');
    assert.deepEqual([job.state, job.attempts], ['failed', 1]);
  });

  test('a stale result spoils neither its neighbours nor the claim of its turn', async (w) => {
    const { old, young, hand } = await overtaken(w);
    const { claimed: other } = await w.running('other');
    await w.add({ id: 'next' });
    const ended = [old, young, old, other].map((attempt) => ({
      attempt,
      outcome: SUCCESS,
      logBytes: 0,
      random: 0,
    }));
    const turn = await hand.turn({ ended, slots: 1 });
    assert.deepEqual(
      turn.recorded.map((recorded) => (recorded.stale ? 'stale' : recorded.state)),
      ['stale', 'completed', 'stale', 'completed'],
    );
    assert.deepEqual(ids(turn.claimed), ['next']);
  });

  test('a renewal tells the lost from the owned and keeps the owned', async (w) => {
    const { old, young, hand } = await overtaken(w);
    const before = await w.seen(young.runToken);
    w.env.advance(MINUTE / 2);
    assert.deepEqual(await hand.renew([old, young]), [old.runToken]);
    const after = await w.seen(young.runToken);
    assert.equal(after.leaseUntil, before.leaseUntil + MINUTE / 2);
  });

  test('a re-used id revives no old token, key or number', async (w) => {
    const { hand, claimed: old } = await w.running('j', { maxRetries: 0 });
    await hand.end(old, FAILURE);
    assert.deepEqual((await stepOnDead(w.store, 'deleteFound')).acted, [old.key]);

    const created = one(await w.add({ id: 'j', queue: 'only-j' }));
    assert.ok(created.key > old.key, 'the key is a new one');
    const young = await hand.claimOne();
    assert.ok(young.runToken > old.runToken, 'the run token is a new one');
    assert.deepEqual([young.key, young.number], [created.key, 1]);
    await assertFenced(w, hand, old, 'of the deleted job');
    assert.equal(settled(await hand.end(young, SUCCESS)).state, 'completed');
  });

  test('a cancelled, retried or waiting job is not touched by an old token', async (w) => {
    const { hand, claimed } = await w.running('j', { maxRetries: 0 });
    await hand.end(claimed, FAILURE);
    await w.store.retry(['j']);
    await assertFenced(w, hand, claimed, 'retried');
    assert.deepEqual(await w.store.cancel(['j']), ['cancelled']);
    await assertFenced(w, hand, claimed, 'cancelled');
  });
}
