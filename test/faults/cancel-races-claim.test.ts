// Fault 9: cancel races claim and completion (guarantee 9). `cancelled` means that the
// command never starts, `cancel_requested` that it is ended. Field case LQ-08. First at
// random, then in each order that two transactions can have.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { exitCode, untilOutput } from '../cli/box.ts';
import { type Crew, crew, outcomes, spanned, story, until } from '../fixtures/crew.ts';
import { arm } from './kit/failpoint.ts';

const ROUNDS = 20;
const JOBS = 10;

interface ListedJob {
  readonly id: string;
  readonly state: string;
  readonly attempts: number;
  readonly started_at: string | null;
}

test('200 cancels right after enqueue, with idle workers', async (t) => {
  const queue = crew(t);
  await queue.ok(['config', 'set', 'kill_after', '200ms']);
  await queue.begin('--count', '2', '--concurrency', '2');
  const answers = new Map<string, string>();
  for (let round = 0; round < ROUNDS; round += 1) {
    const ids = Array.from({ length: JOBS }, (_, i) => `r${round}.${i}`);
    const input = ids
      // Of all lengths, so that some end while they are cancelled.
      .map((id, i) => JSON.stringify({ id, command: spanned(`sleep 0.0${i}`), max_retries: 0 }))
      .join('\n');
    await queue.ok(['enqueue', '-'], { input });
    // All ids in one call or each in its own: more or less is claimed meanwhile.
    const calls = round % 2 === 0 ? [ids] : [ids.slice(5), ids.slice(0, 5)];
    for (const call of calls) {
      const { stdout } = await queue.q(['--json', 'cancel', ...call]);
      for (const { id, result } of JSON.parse(stdout) as { id: string; result: string }[]) {
        answers.set(id, result);
      }
    }
    await queue.q(['wait', ...ids]);
  }
  // A restart brings nothing back.
  await queue.ok(['worker', 'stop']);
  await queue.ok(['worker', 'start', '--drain']);
  const counts: Record<string, number> = {};
  await until('all have ended', () => queue.processes().length === 0);
  const jobs = await queue.json<ListedJob[]>(['list', '--limit', '1000']);
  assert.equal(jobs.length, ROUNDS * JOBS);
  for (const job of jobs) {
    const { id } = job;
    const answer = answers.get(id) ?? 'none';
    counts[answer] = (counts[answer] ?? 0) + 1;
    const told = `${id}: ${answer}, ${job.state}, ${story(queue, id)}`;
    if (answer === 'cancelled') {
      assert.equal(job.state, 'cancelled', told);
      assert.equal(story(queue, id), '', told);
      assert.equal(job.started_at, null, told);
    } else if (answer === 'cancel_requested') {
      assert.equal(job.state, 'cancelled', told);
      assert.equal(job.attempts, 1, told);
      // Claimed, but not yet started: then there is no line.
      assert.match(story(queue, id), /^(S1)?( E1)?$/, told);
    } else {
      assert.deepEqual([answer, job.state], ['already_finished', 'completed'], told);
      assert.equal(story(queue, id), 'S1 E1', told);
    }
  }
  t.diagnostic(JSON.stringify(counts));
  // Otherwise there was no race.
  assert.ok((counts['cancelled'] ?? 0) > 5, JSON.stringify(counts));
  assert.ok((counts['cancel_requested'] ?? 0) > 5, JSON.stringify(counts));
});

/** Answers what the cancel said once it could, having seen it wait for the write lock. */
async function cancelThatWaits(queue: Crew, goOn: () => void): Promise<string> {
  const child = queue.start(['--json', 'cancel', 'job']);
  const said = untilOutput(child, /"result": *"(\w+)"/);
  await untilOutput(child, /waiting for another process/, 'stderr');
  goOn();
  const text = await said;
  await exitCode(child);
  return /"result": *"(\w+)"/.exec(text)?.[1] ?? '';
}

const workerWaits = (queue: Crew): Promise<unknown> =>
  until('the worker waits', () => queue.log().includes('waiting for the database'));

/** State, outcomes and what ran, once all is over; a restart brings nothing back. */
async function end(queue: Crew): Promise<string[]> {
  const job = await queue.finished('job');
  await queue.ok(['worker', 'stop']);
  await queue.ok(['worker', 'start', '--drain']);
  await until('all have ended', () => queue.processes().length === 0);
  assert.deepEqual(await queue.show('job'), job);
  return [job.state, outcomes(job), story(queue, 'job')];
}

const CLAIMED = /^(S1)?( E1)?$/;

suite('cancel and claim in either order', { concurrency: 3 }, () => {
  test('the cancel is first, the claim waits for it: it never starts', async (t) => {
    const queue = crew(t);
    await queue.begin();
    await queue.enqueue('job', spanned('true'), { delay: 1 });
    const point = arm(queue, 'cancel-before-commit', 'stop');
    const answer = queue.ok(['--json', 'cancel', 'job'], { env: point.env });
    await point.stopped();
    await workerWaits(queue);
    point.proceed();
    assert.match(await answer, /"cancelled"/);
    assert.deepEqual(await end(queue), ['cancelled', '', '']);
  });

  test('the claim is first, the cancel waits for it: it is ended', async (t) => {
    const queue = crew(t);
    const point = arm(queue, 'claim-before-commit', 'stop');
    await queue.ok(['worker', 'start'], { env: point.env });
    await queue.enqueue('job', spanned('sleep 60'));
    await point.stopped();
    assert.equal(await cancelThatWaits(queue, () => point.proceed()), 'cancel_requested');
    const [state, how, ran] = await end(queue);
    assert.deepEqual([state, how], ['cancelled', 'cancelled']);
    assert.match(ran ?? '', CLAIMED);
  });

  test('it is claimed and not yet started: it is ended all the same', async (t) => {
    const queue = crew(t);
    const point = arm(queue, 'claim-after-commit', 'stop');
    await queue.ok(['worker', 'start'], { env: point.env });
    await queue.enqueue('job', spanned('sleep 60'));
    await point.stopped();
    assert.match(await queue.ok(['--json', 'cancel', 'job']), /"cancel_requested"/);
    assert.equal((await queue.show('job')).state, 'processing');
    point.proceed();
    const [state, how, ran] = await end(queue);
    assert.deepEqual([state, how], ['cancelled', 'cancelled']);
    assert.match(ran ?? '', CLAIMED);
  });

  for (const [step, state, ran] of [
    ['cancel-before-commit', 'completed', 'S1 E1'],
    ['cancel-after-commit', 'cancelled', ''],
  ] as const) {
    test(`killed at ${step}: it is cancelled or not, and that stays`, async (t) => {
      const queue = crew(t);
      await queue.enqueue('job', spanned('true'));
      const { env } = arm(queue, step, 'kill');
      assert.equal((await queue.q(['cancel', 'job'], { env })).code, null);
      await queue.begin();
      const [is, , was] = await end(queue);
      assert.deepEqual([is, was], [state, ran]);
    });
  }
});

suite('cancel and completion in either order', { concurrency: 3 }, () => {
  test('the success is first, the cancel waits for it: too late', async (t) => {
    const queue = crew(t);
    const point = arm(queue, 'record-before-commit', 'stop');
    await queue.ok(['worker', 'start'], { env: point.env });
    await queue.enqueue('job', spanned('true'));
    await point.stopped();
    assert.equal(await cancelThatWaits(queue, () => point.proceed()), 'already_finished');
    assert.deepEqual(await end(queue), ['completed', 'exited 0', 'S1 E1']);
  });

  test('it has ended, the cancel is first to commit: what was acknowledged holds', async (t) => {
    const queue = crew(t);
    const point = arm(queue, 'after-exit', 'stop');
    await queue.ok(['worker', 'start'], { env: point.env });
    await queue.enqueue('job', spanned('true'));
    await point.stopped();
    assert.match(await queue.ok(['--json', 'cancel', 'job']), /"cancel_requested"/);
    point.proceed();
    assert.deepEqual(await end(queue), ['cancelled', 'exited 0', 'S1 E1']);
  });

  for (const [what, code] of [
    ['success', 0],
    ['failure', 3],
  ] as const) {
    test(`the cancel is first, the ${what} waits for it: it ends cancelled`, async (t) => {
      const queue = crew(t);
      await queue.begin();
      const body = `until [ -e go ]; do sleep 0.02; done; exit ${code}`;
      await queue.enqueue('job', spanned(body));
      await until('it runs', () => story(queue, 'job') === 'S1');
      const point = arm(queue, 'cancel-before-commit', 'stop');
      const answer = queue.ok(['--json', 'cancel', 'job'], { env: point.env });
      await point.stopped();
      writeFileSync(join(queue.directory, 'go'), '');
      await workerWaits(queue);
      point.proceed();
      assert.match(await answer, /"cancel_requested"/);
      assert.deepEqual(await end(queue), ['cancelled', `exited ${code}`, 'S1 E1']);
    });
  }
});
