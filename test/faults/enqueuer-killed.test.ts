// Fault 6: an enqueuer killed before its reply, at either side of its commit. There is no
// job or one, never a part of a batch; asking again with the same id and --if-absent makes
// exactly one, and each runs once (guarantees 1 and 2).

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { type Crew, crew, spanned, story } from '../fixtures/crew.ts';
import { arm } from './kit/failpoint.ts';

/** Calls it and has it killed at the step; answers what it said until then. */
async function killedAt(
  queue: Crew,
  step: 'enqueue-before-commit' | 'enqueue-after-commit',
  args: readonly string[],
  input = '',
  nth = 1,
): Promise<string> {
  const point = arm(queue, step, 'kill', nth);
  const { code, stdout } = await queue.q(args, { input, env: point.env });
  assert.ok(point.hasFired(), 'it was not killed');
  assert.equal(code, null);
  return stdout;
}

async function idsOf(queue: Crew): Promise<string[]> {
  const jobs = await queue.json<{ id: string }[]>(['list', '--limit', '1000']);
  return jobs.map(({ id }) => id).toSorted();
}

/** A worker that was waiting all the time takes them, and each runs once. */
async function eachRunsOnce(queue: Crew, ids: readonly string[]): Promise<void> {
  const jobs = await queue.allFinished(ids);
  for (const { id, state, attempts } of jobs) {
    assert.deepEqual([state, attempts, story(queue, id)], ['completed', 1, 'S1 E1'], id);
  }
}

function started(t: TestContext): Promise<Crew> {
  const queue = crew(t);
  return queue.begin('--concurrency', '8').then(() => queue);
}

const STEPS = [
  ['enqueue-before-commit', 0],
  ['enqueue-after-commit', 1],
] as const;

suite('an enqueuer killed before its reply', { concurrency: 2 }, () => {
  for (const [step, there] of STEPS) {
    test(`${step}: ${there} jobs, and 1 when it asks again`, async (t) => {
      const queue = await started(t);
      const call = ['enqueue', '--id', 'job', '--shell', spanned('true')];
      assert.equal(await killedAt(queue, step, call), '');
      assert.deepEqual(await idsOf(queue), there === 1 ? ['job'] : []);
      // Also once its first one has run.
      if (there === 1) await queue.finished('job');
      const again = await queue.ok([...call, '--if-absent']);
      assert.match(again, there === 1 ? /job is there already/ : /Enqueued job/);
      assert.deepEqual(await idsOf(queue), ['job']);
      await eachRunsOnce(queue, ['job']);
    });

    test(`${step} of a file: all or none, and all of them once when it asks again`, async (t) => {
      const queue = await started(t);
      const ids = Array.from({ length: 20 }, (_, i) => `job${100 + i}`);
      const file = join(queue.directory, 'jobs.ndjson');
      const lines = ids.map((id) => JSON.stringify({ id, command: spanned('true') }));
      writeFileSync(file, lines.join('\n'));
      assert.equal(await killedAt(queue, step, ['enqueue', '--file', file]), '');
      assert.deepEqual(await idsOf(queue), there === 1 ? ids : []);
      const again = await queue.ok(['enqueue', '--file', file, '--if-absent']);
      const said = 'Enqueued 0 jobs, 20 were there already\n';
      assert.equal(again, there === 1 ? said : 'Enqueued 20 jobs\n');
      assert.deepEqual(await idsOf(queue), ids);
      await eachRunsOnce(queue, ids);
    });

    test(`${step} of a stream's second batch: what was acknowledged is there`, async (t) => {
      const queue = crew(t);
      const ids = Array.from({ length: 2000 }, (_, i) => `job${10_000 + i}`);
      const input = ids.map((id) => JSON.stringify({ id, command: 'true' })).join('\n');
      const call = ['enqueue', '-', '--stream', '--quiet', '--if-absent'];
      const said = await killedAt(queue, step, call, input, 2);
      const acknowledged = said.split('\n').filter((line) => line !== '');
      assert.deepEqual(acknowledged, ids.slice(0, 1000));
      const { total } = await counted(queue);
      assert.equal(total, there === 1 ? 2000 : 1000);
      assert.equal((await queue.ok(call, { input })).trim().split('\n').length, 2000);
      assert.deepEqual(await counted(queue), { total: 2000, pending: 2000 });
    });
  }
});

async function counted(queue: Crew): Promise<{ total: number; pending: number }> {
  const status = await queue.json<{ jobs: Record<string, number> }>(['status']);
  const total = Object.values(status.jobs).reduce((sum, n) => sum + n, 0);
  return { total, pending: status.jobs['pending'] ?? 0 };
}
