import assert from 'node:assert/strict';
import type { Stats } from '../../src/store/store.ts';
import { DAY, HOUR, MINUTE } from './env.ts';
import { FAILURE, INTERRUPTED, names, NO_RESOURCES, stepOnDead, SUCCESS } from './values.ts';
import type { ContractTest, Hand, World } from './world.ts';

async function counts(w: World): Promise<string[]> {
  const { counts: all } = await w.store.stats();
  return all.map(({ queue, state, n }) => `${queue} ${state} ${n}`).toSorted();
}

/** Brings some attempts to an end, in this minute. */
async function end(w: World, hand: Hand, succeeded: number, failed: number): Promise<void> {
  await w.add(...names('', succeeded + failed).map(() => ({ maxRetries: 0 })));
  const claimed = await hand.claim(succeeded + failed);
  await hand.endAll(claimed.slice(0, succeeded), SUCCESS);
  await hand.endAll(claimed.slice(succeeded), FAILURE);
}

export function stats(test: ContractTest): void {
  test('an empty queue has nothing to count', async (w) => {
    assert.deepEqual(await w.store.stats(), {
      counts: [],
      oldestWaiting: null,
      oldestWaitingId: null,
      nextDue: null,
      throughput: [],
    });
  });

  test('jobs are counted by queue and state, and only what is not zero', async (w) => {
    await w.add({ id: 'a', queue: 'x' }, { id: 'b', queue: 'x' }, { id: 'c', queue: 'y' });
    assert.deepEqual(await counts(w), ['x pending 2', 'y pending 1']);
    const hand = await w.hand({ queues: ['x'] });
    const claimed = await hand.claim(2);
    assert.deepEqual(await counts(w), ['x processing 2', 'y pending 1']);
    await hand.endAll(claimed, SUCCESS);
    await w.store.cancel(['c']);
    assert.deepEqual(await counts(w), ['x completed 2', 'y cancelled 1']);
    await w.bury(['d'], { queue: 'y' });
    assert.deepEqual(await counts(w), ['x completed 2', 'y cancelled 1', 'y dead 1']);
    await stepOnDead(w.store, 'deleteFound');
    assert.deepEqual(await counts(w), ['x completed 2', 'y cancelled 1']);
  });

  const waiting = async (w: World): Promise<Pick<Stats, 'oldestWaiting' | 'nextDue'>> => {
    const { oldestWaiting, nextDue } = await w.store.stats();
    return { oldestWaiting, nextDue };
  };

  test('the longest-waiting job is told, over all queues and priorities', async (w) => {
    const start = w.env.now();
    await w.add({ id: 'low', queue: 'a', priority: -5 });
    w.env.advance(MINUTE);
    await w.add({ id: 'high', queue: 'a', priority: 9 }, { id: 'other', queue: 'b' });
    assert.deepEqual(await waiting(w), { oldestWaiting: start, nextDue: null });
    await w.store.cancel(['low']);
    assert.deepEqual(await waiting(w), { oldestWaiting: start + MINUTE, nextDue: null });
    const hand = await w.hand();
    await hand.claim(2);
    assert.deepEqual(await waiting(w), { oldestWaiting: null, nextDue: null });
  });

  test('a delayed job is next until it is due, then it waits, with or without workers', async (w) => {
    const start = w.env.now();
    await w.add({ id: 'soon', delay: MINUTE }, { id: 'later', delay: HOUR });
    assert.deepEqual(await waiting(w), { oldestWaiting: null, nextDue: start + MINUTE });
    w.env.advance(2 * MINUTE);
    assert.deepEqual(await waiting(w), { oldestWaiting: start + MINUTE, nextDue: start + HOUR });
    await w.add({ id: 'now', priority: 3 });
    assert.deepEqual(await waiting(w), { oldestWaiting: start + MINUTE, nextDue: start + HOUR });
    w.env.advance(HOUR);
    assert.deepEqual(await waiting(w), { oldestWaiting: start + MINUTE, nextDue: null });
  });

  test('attempts that ended are told by minute, newest last, without empty ones', async (w) => {
    const hand = await w.hand();
    const minute = w.env.now();
    await end(w, hand, 3, 1);
    w.env.advance(MINUTE - 1);
    await end(w, hand, 1, 1);
    w.env.advance(5 * MINUTE);
    await end(w, hand, 0, 2);
    assert.deepEqual((await w.store.stats()).throughput, [
      { minute, succeeded: 4, failed: 2 },
      { minute: minute + 5 * MINUTE, succeeded: 0, failed: 2 },
    ]);
  });

  test('a lost attempt counts as failed; one given back or cancelled does not count', async (w) => {
    const { claimed: lost } = await w.running('lost');
    await w.reap(await w.seen(lost.runToken));
    const { hand: a, claimed: interrupted } = await w.running('interrupted');
    await a.end(interrupted, INTERRUPTED);
    const { hand: b, claimed: unstarted } = await w.running('unstarted');
    await b.end(unstarted, NO_RESOURCES);
    const { hand: c, claimed: cancelled } = await w.running('cancelled');
    await w.store.cancel(['cancelled']);
    await c.end(cancelled, SUCCESS);
    const minute = w.env.now();
    assert.deepEqual((await w.store.stats()).throughput, [{ minute, succeeded: 0, failed: 1 }]);
  });

  test('an hour of throughput is kept, whatever the clock does', async (w) => {
    const hand = await w.hand();
    for (let minute = 0; minute < 90; minute += 1) {
      await end(w, hand, 1, 0);
      w.env.advance(MINUTE);
    }
    await end(w, hand, 1, 0);
    const kept = (await w.store.stats()).throughput.map(({ minute }) => minute);
    const last = w.env.now();
    assert.ok(kept.length >= 60 && kept.length <= 61, `${kept.length} minutes`);
    assert.equal(kept.at(-1), last);

    w.env.setWall(last - DAY);
    await end(w, hand, 2, 0);
    const { throughput } = await w.store.stats();
    assert.deepEqual(throughput, [{ minute: last - DAY, succeeded: 2, failed: 0 }]);
  });
}
