import assert from 'node:assert/strict';
import { DAY, HOUR, MINUTE, SECOND } from './env.ts';
import { everything } from './invariants.ts';
import { BACKOFF, FAILURE, INTERRUPTED, LEASE, one, settled, SUCCESS } from './values.ts';
import type { ContractTest } from './world.ts';

export function leases(test: ContractTest): void {
  test('a renewal moves the leases named, and no other', async (w) => {
    const { hand, claimed } = await w.running('mine');
    const { claimed: other } = await w.running('other');
    const otherLease = (await w.seen(other.runToken)).leaseUntil;
    w.env.advance(10 * SECOND);
    assert.deepEqual(await hand.renew([claimed], 7 * LEASE), []);
    assert.equal((await w.seen(claimed.runToken)).leaseUntil, w.env.boot() + 7 * LEASE);
    assert.equal((await w.seen(other.runToken)).leaseUntil, otherLease);
  });

  test('a renewal is a heartbeat, with attempts or without', async (w) => {
    const hand = await w.hand();
    const other = await w.hand();
    w.env.advance(MINUTE);
    assert.deepEqual(await hand.renew([]), []);
    const heartbeats = (await w.store.workers()).map(({ key, heartbeatAt }) => [key, heartbeatAt]);
    assert.deepEqual(heartbeats, [
      [hand.key, w.env.now()],
      [other.key, w.env.now() - MINUTE],
    ]);
  });

  test('a lease counts on the boot clock and does not hear of the wall clock', async (w) => {
    const { hand, claimed } = await w.running('j');
    const lease = (await w.seen(claimed.runToken)).leaseUntil;
    assert.equal(lease, w.env.boot() + LEASE);
    w.env.setWall(w.env.now() + DAY);
    assert.equal((await w.seen(claimed.runToken)).leaseUntil, lease);
    w.env.setWall(w.env.now() - 2 * DAY);
    await hand.renew([claimed]);
    assert.equal((await w.seen(claimed.runToken)).leaseUntil, lease);
  });

  test('an expired lease alone changes nothing: its owner may still end the attempt', async (w) => {
    const { hand, claimed } = await w.running('j');
    w.env.advance(DAY);
    const other = await w.hand();
    assert.deepEqual(await other.claim(5), []);
    assert.deepEqual(await hand.renew([claimed]), []);
    assert.equal(settled(await hand.end(claimed, SUCCESS)).state, 'completed');
  });

  test('a reaped attempt is lost, charged, and its job waits for its retry', async (w) => {
    const { claimed } = await w.running('j');
    w.env.advance(DAY);
    const reason = 'worker w1 (pid 1001) died';
    const attempt = await w.seen(claimed.runToken);
    const { state, runAt } = settled(await w.reap(attempt, { reason, random: 0.5 }));
    assert.deepEqual([state, runAt], ['failed', w.env.now() + 2100]);
    const job = await w.job('j');
    assert.deepEqual([job.state, job.attempts, job.runAt], ['failed', 1, runAt]);
    const { outcome, error, finishedAt, logBytes } = one(await w.history('j'));
    assert.deepEqual([outcome, error, finishedAt, logBytes], ['lost', reason, w.env.now(), null]);
    assert.deepEqual(await w.store.running(), []);
  });

  test('an attempt may be reaped before its lease is over: its owner is known to be gone', async (w) => {
    const { claimed } = await w.running('j');
    assert.equal(settled(await w.reap(await w.seen(claimed.runToken))).state, 'failed');
  });

  test('a job that kills its workers is dead after its last retry (LQ-03)', async (w) => {
    const { hand, claimed } = await w.running('poison', { maxRetries: 1 });
    assert.equal(settled(await w.reap(await w.seen(claimed.runToken))).state, 'failed');
    w.env.advance(MINUTE);
    const second = await hand.claimOne();
    assert.equal(settled(await w.reap(await w.seen(second.runToken))).state, 'dead');
    const history = await w.history('poison');
    assert.deepEqual(
      history.map(({ outcome }) => outcome),
      ['lost', 'lost'],
    );
  });

  test('a lease renewed since it was read saves the attempt from the reaper', async (w) => {
    const { hand, claimed } = await w.running('j');
    const seen = await w.seen(claimed.runToken);
    w.env.advance(LEASE + 1);
    await hand.renew([claimed]);
    const before = await everything(w.store);
    assert.deepEqual(await w.reap(seen), { stale: true });
    assert.deepEqual(await everything(w.store), before);
    assert.equal(settled(await hand.end(claimed, SUCCESS)).state, 'completed');
  });

  test('two reapers reap once', async (w) => {
    const { claimed } = await w.running('j');
    const other = await w.open();
    const seen = await w.seen(claimed.runToken);
    const reaping = { attempt: seen, leaseUntil: seen.leaseUntil, backoff: BACKOFF, random: 0 };
    const reaps = [w.store, other].map((store) => store.reap({ ...reaping, reason: 'gone' }));
    const stale = (await Promise.all(reaps)).map((recorded) => recorded.stale);
    assert.deepEqual(stale, [false, true]);
    const job = await w.job('j');
    assert.deepEqual([job.state, job.attempts, job.lastAttempt], ['failed', 1, 1]);
  });

  test('result first: the reaper is refused (LQ-02)', async (w) => {
    const { hand, claimed } = await w.running('j');
    const seen = await w.seen(claimed.runToken);
    w.env.advance(2 * LEASE);
    assert.equal(settled(await hand.end(claimed, SUCCESS)).state, 'completed');
    assert.deepEqual(await w.reap(seen), { stale: true });
    assert.equal(await w.state('j'), 'completed');
  });

  test('reaper first: the result is refused', async (w) => {
    const { hand, claimed } = await w.running('j');
    settled(await w.reap(await w.seen(claimed.runToken)));
    assert.deepEqual(await hand.end(claimed, SUCCESS), { stale: true });
    assert.equal(await w.state('j'), 'failed');
  });

  test('the reaper finds a job that was given back and claimed again to be another', async (w) => {
    const { hand, claimed } = await w.running('j');
    const seen = await w.seen(claimed.runToken);
    await hand.end(claimed, INTERRUPTED);
    // The lease comes out the same to the millisecond: the token alone tells them apart.
    const again = await hand.claimOne();
    assert.equal((await w.seen(again.runToken)).leaseUntil, seen.leaseUntil);
    assert.deepEqual(await w.reap(seen), { stale: true });
    assert.equal(settled(await hand.end(again, SUCCESS)).state, 'completed');
  });

  test('what a dead worker ran can be reaped, before or after its record has ended', async (w) => {
    const { hand, claimed } = await w.running('a');
    const { hand: other, claimed: otherClaimed } = await w.running('b');
    settled(await w.reap(await w.seen(claimed.runToken)));
    await w.store.endWorker(hand.key, 'died');
    await w.store.endWorker(other.key, 'died');
    settled(await w.reap(await w.seen(otherClaimed.runToken)));
    assert.deepEqual([await w.state('a'), await w.state('b')], ['failed', 'failed']);
  });

  test('everything that runs is shown with its owner, oldest claim first', async (w) => {
    const { hand: first, claimed: a } = await w.running('a');
    const { hand: second, claimed: b } = await w.running('b');
    const { claimed: c } = await w.running('c');
    await second.end(b, FAILURE);
    w.env.advance(HOUR);
    const again = await second.claimOne();
    const running = await w.store.running();
    assert.deepEqual(
      running.map(({ jobId, number, runToken, worker }) => [jobId, number, runToken, worker]),
      [
        ['a', 1, a.runToken, first.key],
        ['c', 1, c.runToken, running[1]?.worker],
        ['b', 2, again.runToken, second.key],
      ],
    );
  });

  test('a probe resolves, and nobody sees that it was there', async (w) => {
    await w.running('j');
    const before = await everything(w.store);
    await w.store.probe();
    assert.deepEqual(await everything(w.store), before);
  });
}
