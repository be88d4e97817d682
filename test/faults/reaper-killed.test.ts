// Fault 7: whoever reaps the attempts of a dead worker is killed in the middle. The next
// one takes up where it was, changes nothing that is done, and the attempt is charged once
// (guarantees 5 and 6).

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { crew, killHard, outcomes, spanned, spans, story, until } from '../fixtures/crew.ts';
import { arm } from './kit/failpoint.ts';

const STEPS = ['reap-after-kill', 'reap-before-commit', 'reap-after-commit'] as const;

suite('a reaper killed in the middle', { concurrency: 2 }, () => {
  for (const step of STEPS) {
    test(`${step}: another one finishes it, and nothing is charged twice`, async (t) => {
      const queue = crew(t);
      await queue.ok(['config', 'set', 'backoff_base', '1']);
      const point = arm(queue, step, 'kill');
      const [owner] = await queue.begin();
      assert.ok(owner !== undefined);
      await queue.enqueue('job', spanned('[ $QUEUECTL_ATTEMPT != 1 ] || sleep 60'));
      await until('it runs', () => story(queue, 'job') === 'S1');
      // From now on nobody but who is armed can reap, and the first one there dies of it.
      await killHard(...queue.supervisors());
      const { env } = point;
      await queue.ok(['worker', 'start', '--count', '2'], { env });
      await killHard(owner.pid);

      await point.killed();
      const job = await queue.finished('job');
      assert.deepEqual(
        [job.state, job.attempts, outcomes(job)],
        ['completed', 2, 'lost, exited 0'],
      );
      assert.equal(story(queue, 'job'), 'S1 S2 E2');
      assert.match(job.history[0]?.error ?? '', new RegExp(`worker \\S+ \\(pid ${owner.pid}\\)`));
      const gone = async (): Promise<boolean> =>
        (await queue.workers()).every(({ pid }) => pid !== owner.pid);
      await until('the record of its worker has ended', gone);

      // All who look again find nothing to do.
      await queue.begin();
      await queue.ok(['worker', 'stop']);
      assert.deepEqual(await queue.show('job'), job);
      assert.equal(queue.log().match(/job: attempt 1 lost/g)?.length ?? 0, logged(step));
    });
  }

  test('nobody is left: the next start finishes it', async (t) => {
    const queue = crew(t);
    await queue.ok(['config', 'set', 'backoff_base', '1']);
    const [owner] = await queue.begin();
    assert.ok(owner !== undefined);
    await queue.enqueue('job', spanned('[ $QUEUECTL_ATTEMPT != 1 ] || sleep 60'));
    await until('it runs', () => story(queue, 'job') === 'S1');
    await killHard(...queue.supervisors(), owner.pid);
    for (const step of STEPS.slice(0, 2)) {
      // `worker stop` reaps what the dead have left before it says that all have stopped.
      const point = arm(queue, step, 'kill');
      const { code } = await queue.q(['worker', 'stop'], { env: point.env });
      assert.deepEqual([code, point.hasFired()], [null, true]);
      const job = await queue.show('job');
      assert.deepEqual([job.state, job.attempts, outcomes(job)], ['processing', 1, 'runs']);
      assert.ok(!queue.processes().some(({ args }) => args.includes('sleep')), 'they are gone');
    }
    await queue.begin();
    const job = await queue.finished('job');
    assert.deepEqual([job.state, job.attempts, outcomes(job)], ['completed', 2, 'lost, exited 0']);
    assert.ok(spans(queue).every(({ what }) => what !== 'OVERLAP'));
  });
});

/** Who dies after the commit cannot tell of it. */
function logged(step: string): number {
  return step === 'reap-after-commit' ? 0 : 1;
}
