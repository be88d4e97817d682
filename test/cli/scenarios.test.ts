// The six test scenarios of the seed, under the names it gives them.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import {
  crew,
  killHard,
  ms,
  outcomes,
  spanned,
  spans,
  story,
  until,
  type JobShown,
} from '../fixtures/crew.ts';

/** Ms between the end of each attempt and the start of the next. */
function waits({ history }: JobShown): number[] {
  return history
    .slice(1)
    .map(({ started_at }, i) => ms(started_at) - ms(history[i]?.finished_at ?? null));
}

// They wait for backoffs and sleeping jobs, not for the processor.
suite('the scenarios of the seed', { concurrency: 3 }, () => {
  test('Successful Job: moves to completed', async (t) => {
    const queue = crew(t);
    await queue.begin();
    await queue.enqueue('job_ok', 'echo hello');
    const job = await queue.finished('job_ok');
    assert.deepEqual([job.state, job.attempts, job.exit_code], ['completed', 1, 0]);
    assert.equal(await queue.ok(['logs', 'job_ok']), 'hello\n');
  });

  test('Failed Job: retries with backoff, then moves to dead', async (t) => {
    const queue = crew(t);
    await queue.begin();
    await queue.enqueue('job_fail', 'nonexistent_cmd', { max_retries: 2 });
    const between = await until('it waits for its retry', async () => {
      const job = await queue.show('job_fail');
      return job.state === 'failed' && job;
    });
    assert.deepEqual([between.attempts, between.exit_code], [1, 127]);
    assert.ok(ms(between.run_at) - ms(between.history[0]?.finished_at ?? null) >= 2000);
    const job = await queue.finished('job_fail');
    assert.deepEqual([job.state, job.attempts, job.run_at !== null], ['dead', 3, true]);
    assert.equal(outcomes(job), 'exited 127, exited 127, exited 127');
    const [first = 0, second = 0] = waits(job);
    t.diagnostic(`waited ${first} and ${second} ms`);
    // Base 2 to the power of 1 and of 2 in seconds, never less; at most 10 % jitter on top,
    // and what a busy machine takes to start it.
    assert.ok(first >= 2000 && first < 2200 + 2000, `first wait ${first} ms`);
    assert.ok(second >= 4000 && second < 4400 + 2000, `second wait ${second} ms`);
  });

  test('DLQ Retry: moves back to pending', async (t) => {
    const queue = crew(t);
    await queue.enqueue('job_fail', '[ -e repaired ]', { max_retries: 0 });
    await queue.begin();
    assert.equal((await queue.finished('job_fail')).state, 'dead');
    await queue.ok(['worker', 'stop']);
    await queue.ok(['dlq', 'retry', 'job_fail']);
    const back = await queue.show('job_fail');
    assert.deepEqual([back.state, back.attempts, back.history.length], ['pending', 0, 1]);
    assert.deepEqual(await queue.json(['dlq', 'list']), []);
    writeFileSync(join(queue.directory, 'repaired'), '');
    await queue.begin();
    const again = await queue.finished('job_fail');
    assert.deepEqual([again.state, again.attempts], ['completed', 1]);
    assert.equal(outcomes(again), 'exited 1, exited 0');
  });

  test('Restart Workers: pending jobs resume processing', async (t) => {
    const queue = crew(t);
    await queue.begin();
    await queue.enqueue('running', 'until [ -e go ]; do sleep 0.02; done');
    await until('the first runs', () => queue.processes().some(({ args }) => args.includes('go')));
    await queue.enqueue('waiting', 'true');
    const stopped = queue.ok(['worker', 'stop']);
    await until('the worker stops', async () => (await queue.workers())[0]?.state === 'stopping');
    writeFileSync(join(queue.directory, 'go'), '');
    await stopped;
    assert.equal((await queue.show('running')).state, 'completed');
    assert.equal((await queue.show('waiting')).state, 'pending');
    await queue.begin();
    assert.equal((await queue.finished('waiting')).state, 'completed');
  });

  test('Multiple Workers: parallel, non-overlapping', async (t) => {
    const queue = crew(t);
    const ids = Array.from({ length: 12 }, (_, i) => `job${i}`);
    const input = ids.map((id) => JSON.stringify({ id, command: spanned('sleep 0.3') })).join('\n');
    await queue.ok(['enqueue', '-'], { input });
    await queue.begin('--count', '3');
    const jobs = await queue.allFinished(ids);
    assert.ok(jobs.every(({ state, attempts }) => state === 'completed' && attempts === 1));
    assert.equal(new Set(jobs.map(({ history }) => history[0]?.worker)).size, 3);
    for (const id of ids) assert.equal(story(queue, id), 'S1 E1');
    let running = 0;
    let most = 0;
    for (const { what } of spans(queue)) {
      running += what === 'S' ? 1 : -1;
      most = Math.max(most, running);
    }
    assert.ok(most > 1, 'never two at a time');
    assert.ok(most <= 3, `${most} at a time, with one slot in each of three workers`);
  });

  test('Persistence: jobs survive restarts', async (t) => {
    const queue = crew(t);
    await queue.ok(['config', 'set', 'backoff_base', '1']);
    await queue.ok(['config', 'set', 'max_retries', '5']);
    await queue.enqueue('done', 'echo kept');
    await queue.enqueue('dead', 'false', { max_retries: 0 });
    await queue.begin();
    await queue.allFinished(['done', 'dead']);
    await queue.enqueue('long', spanned('[ $QUEUECTL_ATTEMPT -gt 1 ] || sleep 60'));
    await until('the long one runs', () => spans(queue).length > 0);
    await queue.enqueue('later', 'true', { delay: '1h' });
    await queue.enqueue('next', 'true');
    const workers = await queue.workers();
    await killHard(...queue.supervisors(), ...workers.map(({ pid }) => pid));

    assert.equal(await queue.ok(['config', 'get', 'max_retries']), '5\n');
    const states = async (): Promise<Record<string, string>> =>
      Object.fromEntries(
        (await queue.json<JobShown[]>(['list'])).map((job) => [job.id, job.state]),
      );
    assert.deepEqual(await states(), {
      next: 'pending',
      later: 'pending',
      long: 'processing',
      dead: 'dead',
      done: 'completed',
    });
    assert.equal(await queue.ok(['logs', 'done']), 'kept\n');
    await queue.begin();
    const [long] = await queue.allFinished(['long', 'next']);
    assert.ok(long !== undefined);
    assert.equal(outcomes(long), 'lost, exited 0');
    assert.equal(story(queue, 'long'), 'S1 S2 E2');
    assert.deepEqual(await states(), {
      next: 'completed',
      later: 'pending',
      long: 'completed',
      dead: 'dead',
      done: 'completed',
    });
  });
});
