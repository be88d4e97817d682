import assert from 'node:assert/strict';
import { DAY, HOUR, MINUTE, SECOND } from './env.ts';
import { FAILURE, ids, names } from './values.ts';
import type { ContractTest, Hand, World } from './world.ts';

/** Claims for one slot while more is due than one claim may move; how many it took. */
async function claimsUntilServed(hand: Hand, w: World): Promise<{ id: string; claims: number }> {
  for (let claims = 1; ; claims += 1) {
    const { claimed, nextDue } = await hand.turn({ slots: 1 });
    const [job] = claimed;
    if (job !== undefined) return { id: job.id, claims };
    assert.ok(nextDue !== null && nextDue <= w.env.now(), 'nothing, and nothing more is due');
  }
}

export function due(test: ContractTest): void {
  test('nothing starts a millisecond before its run_at (guarantee 7)', async (w) => {
    const hand = await w.hand();
    await w.add({ id: 'j', delay: MINUTE });
    w.env.advance(MINUTE - 1);
    assert.deepEqual(await hand.claim(), []);
    w.env.advance(1);
    assert.equal((await hand.claimOne()).id, 'j');
  });

  test('a turn tells when the next delayed job becomes due', async (w) => {
    const hand = await w.hand();
    assert.equal((await hand.turn()).nextDue, null);
    await w.add({ id: 'b', delay: HOUR }, { id: 'a', delay: MINUTE }, { id: 'now' });
    const nextDue = w.env.now() + MINUTE;
    assert.equal((await hand.turn({ slots: 1 })).nextDue, nextDue);
    assert.equal((await hand.attend()).nextDue, nextDue);
    w.env.advance(MINUTE);
    await hand.claimOne();
    assert.equal((await hand.turn()).nextDue, nextDue + HOUR - MINUTE);
  });

  test('a failed job waits for its own run_at', async (w) => {
    const { hand, claimed } = await w.running('j');
    await hand.end(claimed, FAILURE);
    w.env.advance(2 * SECOND - 1);
    assert.deepEqual(await hand.claim(), []);
    w.env.advance(1);
    assert.equal((await hand.claimOne()).number, 2);
  });

  test('a far future waits and costs nothing', async (w) => {
    const far = Date.UTC(9999, 11, 31);
    await w.add({ id: 'far', runAt: far }, { id: 'near' });
    const hand = await w.hand();
    assert.deepEqual(await hand.claimAll(), ['near']);
    assert.equal((await hand.turn({ slots: 1 })).nextDue, far);
    assert.equal((await w.job('far')).runAt, far);
  });

  test('a clock set back an hour between promotion and claim starts nothing early', async (w) => {
    const runAt = w.env.now() + MINUTE;
    await w.add(...names('timed', 30).map((id) => ({ id, runAt, priority: 9 })));
    await w.add({ id: 'untimed' });
    w.env.setWall(runAt);
    const hand = await w.hand();
    // Moves all that is due to where claims take it from, and takes one.
    assert.equal((await hand.claimOne()).id, 'timed0');

    w.env.setWall(runAt - HOUR);
    assert.deepEqual(await hand.claimAll(), ['untimed']);
    assert.equal((await hand.turn({ slots: 5 })).nextDue, runAt);
    w.env.setWall(runAt - 1);
    assert.deepEqual(await hand.claim(5), []);
    w.env.setWall(runAt);
    assert.deepEqual(await hand.claimAll(), names('timed', 30).slice(1));
  });

  test('a clock set back keeps what has no run_at claimable', async (w) => {
    await w.add({ id: 'untimed' });
    w.env.setWall(w.env.now() - DAY);
    const hand = await w.hand();
    assert.deepEqual(await hand.claimAll(), ['untimed']);
  });

  test('a crowd that is not due any more hides nothing that is', async (w) => {
    const runAt = w.env.now() + MINUTE;
    await w.add(...names('timed', 5000).map((id) => ({ id, runAt, priority: 9 })));
    await w.add({ id: 'untimed' });
    w.env.setWall(runAt);
    const hand = await w.hand();
    for (let round = 0; round < 6; round += 1) await hand.claimOne();
    w.env.setWall(runAt - HOUR);
    const { id, claims } = await claimsUntilServed(hand, w);
    assert.equal(id, 'untimed');
    assert.ok(claims <= 10, `it took ${claims} claims`);
  });

  test('a clock that jumps a day forward makes everything due, in order', async (w) => {
    const start = w.env.now();
    const runAts = [5, 3, 1, 4, 2].map((hours) => ({
      id: `${hours}h`,
      runAt: start + hours * HOUR,
    }));
    await w.add(...runAts);
    w.env.setWall(start + DAY);
    const hand = await w.hand();
    assert.deepEqual(await hand.claimAll(), ['1h', '2h', '3h', '4h', '5h']);
  });

  test('5,000 due at the same moment all start, each once', async (w) => {
    const runAt = w.env.now() + MINUTE;
    await w.add(...names('j', 5000).map((id) => ({ id, runAt })));
    w.env.advance(MINUTE);
    const hand = await w.hand({ concurrency: 100 });
    const started: string[] = [];
    while (started.length < 5000) {
      const { claimed, nextDue } = await hand.turn({ slots: 100 });
      assert.ok(claimed.length > 0 || (nextDue ?? Infinity) <= w.env.now(), 'it goes on');
      started.push(...ids(claimed));
    }
    assert.deepEqual(started, names('j', 5000));
    assert.equal((await hand.turn({ slots: 1 })).nextDue, null);
  });

  test('a crowd due in one queue does not keep the others waiting', async (w) => {
    const runAt = w.env.now() + MINUTE;
    await w.add(...names('crowd', 5000).map((id) => ({ id, runAt, queue: 'crowd' })));
    await w.add({ id: 'alone', runAt: runAt + 1, queue: 'quiet' });
    w.env.advance(MINUTE + 1);
    const hand = await w.hand({ queues: ['quiet'] });
    assert.equal((await hand.attend()).ready, true);
    const { id, claims } = await claimsUntilServed(hand, w);
    assert.equal(id, 'alone');
    assert.ok(claims <= 10, `it took ${claims} claims`);
  });

  test('what was cancelled before its time never starts', async (w) => {
    await w.add({ id: 'delayed', delay: MINUTE }, { id: 'promoted', delay: SECOND });
    await w.add({ id: 'first', priority: 9 });
    w.env.advance(SECOND);
    const hand = await w.hand();
    assert.equal((await hand.claimOne()).id, 'first');
    assert.deepEqual(await w.store.cancel(['delayed', 'promoted']), ['cancelled', 'cancelled']);
    w.env.advance(DAY);
    assert.deepEqual(await hand.claimAll(), []);
  });
}
