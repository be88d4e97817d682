// Fault 2: a worker killed at each named step of an attempt. The job ends in one terminal
// state, an attempt that was claimed and not recorded is `lost`, nothing of it lives when
// the next one starts, and what was committed is not run again (guarantees 3, 4, 6).
// The same steps failing instead: what was refused is tried again, no result is lost.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Action, Step } from '../../src/failpoint.ts';
import {
  type Crew,
  crew,
  type JobShown,
  outcomes,
  spanned,
  spans,
  story,
  until,
} from '../fixtures/crew.ts';
import { arm, type Failpoint } from './kit/failpoint.ts';

/** One worker; of those that take its place none is killed again. */
async function begin(queue: Crew, step: Step, action: Action, nth = 1): Promise<Failpoint> {
  await queue.ok(['config', 'set', 'backoff_base', '1']);
  await queue.ok(['config', 'set', 'lease', '1s']);
  const point = arm(queue, step, action, nth);
  await queue.ok(['worker', 'start', '--concurrency', '4'], { env: point.env });
  return point;
}

function assertExclusive(queue: Crew, jobs: readonly JobShown[]): void {
  const overlaps = spans(queue).filter(({ what }) => what === 'OVERLAP');
  assert.deepEqual(overlaps, [], 'something of an attempt lived when the next one started');
  for (const job of jobs) {
    const told = `${job.id}: ${job.state}, ${outcomes(job)}, ${story(queue, job.id)}`;
    assert.equal(job.attempts, job.history.length, `each attempt is charged once: ${told}`);
    for (const { attempt, outcome, error, finished_at } of job.history) {
      assert.ok(finished_at !== null, told);
      const ran = story(queue, job.id).match(new RegExp(`S${attempt}`, 'g')) ?? [];
      assert.ok(ran.length <= 1, `attempt ${attempt} started twice: ${told}`);
      if (outcome === 'lost')
        assert.match(error ?? '', /^worker \S+ (\(pid \d+\)|did not renew) ?/, told);
    }
  }
}

async function settled(queue: Crew, ids: readonly string[]): Promise<JobShown[]> {
  const jobs = await queue.allFinished(ids);
  // A restart brings nothing back.
  await queue.ok(['worker', 'stop']);
  await queue.ok(['worker', 'start', '--drain']);
  await until('all have ended', () => queue.processes().length === 0);
  const again = await Promise.all(ids.map((id) => queue.show(id)));
  assert.deepEqual(again, jobs);
  assertExclusive(queue, jobs);
  return jobs;
}

interface Row {
  readonly step: Step;
  readonly outcomes: string;
  /** What ran. */
  readonly story: RegExp;
}

const WORKS: readonly Row[] = [
  { step: 'claim-before-commit', outcomes: 'exited 0', story: /^S1 E1$/ },
  { step: 'claim-after-commit', outcomes: 'lost, exited 0', story: /^S2 E2$/ },
  { step: 'after-exit', outcomes: 'lost, exited 0', story: /^S1 E1 S2 E2$/ },
  { step: 'record-before-commit', outcomes: 'lost, exited 0', story: /^S1 E1 S2 E2$/ },
  { step: 'record-after-commit', outcomes: 'exited 0', story: /^S1 E1$/ },
];

const FAILS: readonly Row[] = [
  { step: 'record-before-commit', outcomes: 'lost, exited 3', story: /^S1 E1 S2 E2$/ },
  { step: 'record-after-commit', outcomes: 'exited 3, exited 3', story: /^S1 E1 S2 E2$/ },
];

suite('a worker killed at each step of an attempt', { concurrency: 2 }, () => {
  for (const { step, ...expected } of WORKS) {
    test(`${step}: the job completes, and what was committed does not run again`, async (t) => {
      const queue = crew(t);
      const point = await begin(queue, step, 'kill');
      await queue.enqueue('job', spanned('true'));
      await point.killed();
      const [job] = await settled(queue, ['job']);
      assert.ok(job !== undefined);
      assert.deepEqual([job.state, outcomes(job)], ['completed', expected.outcomes]);
      assert.match(story(queue, 'job'), expected.story);
    });
  }

  for (const { step, ...expected } of FAILS) {
    test(`${step} of a failure: it is charged once, and the job dies in time`, async (t) => {
      const queue = crew(t);
      const point = await begin(queue, step, 'kill');
      await queue.enqueue('job', spanned('exit 3'), { max_retries: 1 });
      await point.killed();
      const [job] = await settled(queue, ['job']);
      assert.ok(job !== undefined);
      assert.deepEqual([job.state, outcomes(job)], ['dead', expected.outcomes]);
      assert.match(story(queue, 'job'), expected.story);
    });
  }

  test('after-spawn: the unwritten process and what it started are gone first', async (t) => {
    const queue = crew(t);
    const point = await begin(queue, 'after-spawn', 'kill');
    // Also in a session of its own: the group alone would not find it.
    const first = 'setsid sleep 60 & sleep 60';
    await queue.enqueue('job', spanned(`[ $QUEUECTL_ATTEMPT != 1 ] || { ${first}; }`));
    await point.killed();
    const [job] = await settled(queue, ['job']);
    assert.ok(job !== undefined);
    assert.deepEqual([job.state, outcomes(job)], ['completed', 'lost, exited 0']);
    assert.match(story(queue, 'job'), /^(S1 )?S2 E2$/);
  });

  for (const step of [...WORKS.map((row) => row.step), 'after-spawn'] as const) {
    test(`${step}, with others in flight`, async (t) => {
      const queue = crew(t);
      const point = await begin(queue, step, 'kill', 2);
      const ids = Array.from({ length: 8 }, (_, i) => `job${i}`);
      // Those that run when their worker dies would, left alone, outlast the backoff.
      const body = (i: number): string =>
        i % 3 === 0 ? '[ $QUEUECTL_ATTEMPT != 1 ] || sleep 1.5' : `sleep 0.0${i}`;
      const input = ids.map((id, i) => JSON.stringify({ id, command: spanned(body(i)) }));
      await queue.ok(['enqueue', '-'], { input: input.join('\n') });
      await point.killed();
      const jobs = await settled(queue, ids);
      for (const job of jobs) {
        const told = `${job.id}: ${outcomes(job)}`;
        assert.equal(job.state, 'completed', told);
        // No result that was committed is followed by another attempt.
        assert.match(outcomes(job), /^(lost, )?exited 0$/, told);
      }
    });
  }
});

const REFUSED: readonly (Row & { readonly log: RegExp })[] = [
  {
    step: 'claim-before-commit',
    outcomes: 'exited 0',
    story: /^S1 E1$/,
    log: /failpoint claim-before-commit; trying again/,
  },
  {
    // The claim stands and its answer is lost: nobody renews it.
    step: 'claim-after-commit',
    outcomes: 'lost, exited 0',
    story: /^S2 E2$/,
    log: /worker \S+ did not renew its lease|job: attempt 1 lost/,
  },
  {
    step: 'record-before-commit',
    outcomes: 'exited 0',
    story: /^S1 E1$/,
    log: /failpoint record-before-commit; trying again(.|\n)*takes writes again/,
  },
  {
    // The result stands and its answer is lost: it is written again, and refused.
    step: 'record-after-commit',
    outcomes: 'exited 0',
    story: /^S1 E1$/,
    log: /job: attempt 1 was no longer ours; its result is dropped/,
  },
];

suite('a commit that is refused, or whose answer is lost', { concurrency: 2 }, () => {
  for (const { step, log, ...expected } of REFUSED) {
    test(`${step}: the worker goes on, and no result is lost`, async (t) => {
      const queue = crew(t);
      const point = await begin(queue, step, 'error');
      const [before] = await queue.workers();
      await queue.enqueue('job', spanned('true'));
      assert.equal(await point.fired(), before?.pid);
      const job = await queue.finished('job');
      await until('it is told', () => log.test(queue.log()));
      assert.equal((await queue.workers())[0]?.pid, before?.pid);
      await settled(queue, ['job']);
      assert.deepEqual([job.state, outcomes(job)], ['completed', expected.outcomes]);
      assert.match(story(queue, 'job'), expected.story);
    });
  }
});
