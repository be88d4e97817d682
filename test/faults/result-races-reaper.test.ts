// Fault 8: the result of an attempt races the reaper that takes its owner for lost, in both
// orders, decided before the write and within it. One of them stands, the job has one
// terminal state, and the late one is refused and logged (guarantee 4).
//
// The owner stands still past its lease; a second worker, who serves another queue, is the
// only one that can reap.

import assert from 'node:assert/strict';
import { suite, test, type TestContext } from 'node:test';
import type { Step } from '../../src/failpoint.ts';
import { type Crew, crew, killHard, outcomes, spanned, story, until } from '../fixtures/crew.ts';
import { arm, type Failpoint } from './kit/failpoint.ts';

interface Race {
  readonly queue: Crew;
  readonly owner: Failpoint;
  readonly reaper: Failpoint;
}

interface Stops {
  readonly owner: Step;
  readonly reaper: Step;
  /** Of the job. */
  readonly retries?: number;
}

async function race(t: TestContext, { retries = 3, ...stops }: Stops): Promise<Race> {
  const queue = crew(t);
  await queue.ok(['config', 'set', 'lease', '1s']);
  await queue.ok(['config', 'set', 'backoff_base', '1']);
  const owner = arm(queue, stops.owner, 'stop');
  const reaper = arm(queue, stops.reaper, 'stop');
  await queue.ok(['worker', 'start'], { env: owner.env });
  await queue.ok(['worker', 'start', '--queue', 'other'], { env: reaper.env });
  await killHard(...queue.supervisors());
  await queue.enqueue('job', spanned('true'), { max_retries: retries });
  await owner.stopped();
  return { queue, owner, reaper };
}

const REFUSED_RESULT = /job: attempt 1 was no longer ours; its result is dropped/;
const REFUSED_REAPER = /job: attempt 1 has ended or was renewed meanwhile; nothing is changed/;
const LOST = /job: attempt 1 lost/;
const WAITS = /waiting for the database/;

const logs = (queue: Crew, what: RegExp): Promise<unknown> =>
  until(`the log says ${String(what)}`, () => what.test(queue.log()));

async function ends(queue: Crew, state: string, how: string, ran: string): Promise<void> {
  const job = await queue.finished('job');
  assert.deepEqual([job.state, outcomes(job), story(queue, 'job')], [state, how, ran]);
  assert.equal(job.attempts, job.history.length);
  // Both sides of the race have long been over, and nobody has changed it since.
  await queue.ok(['worker', 'stop']);
  assert.deepEqual(await queue.show('job'), job);
}

suite('a result races the reaper', { concurrency: 3 }, () => {
  test('the reaper has decided, the result is first: the reaper is refused', async (t) => {
    const stops = { owner: 'after-exit', reaper: 'reap-after-kill' } as const;
    const { queue, owner, reaper } = await race(t, stops);
    await reaper.stopped();
    owner.proceed();
    await until('the result stands', async () => (await queue.show('job')).state === 'completed');
    reaper.proceed();
    await logs(queue, REFUSED_REAPER);
    await ends(queue, 'completed', 'exited 0', 'S1 E1');
    assert.doesNotMatch(queue.log(), LOST);
  });

  test('the result waits to be written, the reaper is first: the result is refused', async (t) => {
    const stops = { owner: 'after-exit', reaper: 'reap-after-commit' } as const;
    const { queue, owner, reaper } = await race(t, stops);
    await reaper.stopped();
    assert.equal(outcomes(await queue.show('job')), 'lost');
    owner.proceed();
    await logs(queue, REFUSED_RESULT);
    reaper.proceed();
    await ends(queue, 'completed', 'lost, exited 0', 'S1 E1 S2 E2');
  });

  test('the result is not committed yet, the reaper waits: the result stands', async (t) => {
    const stops = { owner: 'record-before-commit', reaper: 'reap-after-kill' } as const;
    const { queue, owner, reaper } = await race(t, stops);
    // Its lease is long over, but while it writes nobody else can.
    await logs(queue, WAITS);
    owner.proceed();
    await ends(queue, 'completed', 'exited 0', 'S1 E1');
    assert.ok(!reaper.hasFired(), 'what was never lost was not reaped');
    assert.doesNotMatch(queue.log(), LOST);
  });

  for (const [retries, state, how, ran] of [
    [3, 'completed', 'lost, exited 0', 'S1 E1 S2 E2'],
    // A success that comes late brings nobody back from the dead.
    [0, 'dead', 'lost', 'S1 E1'],
  ] as const) {
    test(`the reaper is not committed yet, the result waits: it is refused (${state})`, async (t) => {
      const stops = { owner: 'after-exit', reaper: 'reap-before-commit', retries } as const;
      const { queue, owner, reaper } = await race(t, stops);
      await reaper.stopped();
      owner.proceed();
      await logs(queue, WAITS);
      assert.equal((await queue.show('job')).state, 'processing');
      reaper.proceed();
      await logs(queue, REFUSED_RESULT);
      await logs(queue, LOST);
      await ends(queue, state, how, ran);
    });
  }
});
