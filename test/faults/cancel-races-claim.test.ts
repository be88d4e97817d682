// Fault 9: cancel races claim and completion (guarantee 9). `cancelled` means that the
// command never starts, `cancel_requested` that it is ended. Field case LQ-08.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crew, spanned, story, until } from '../fixtures/crew.ts';

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
