// Fault 24: twenty first starts at once, where there is nothing yet. One makes the
// database, all work.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crew } from '../fixtures/crew.ts';

test('twenty first starts at once', async (t) => {
  const queue = crew(t);
  const starts = Array.from({ length: 20 }, async (_, i) => {
    await queue.ok(['enqueue', '--id', `before${i}`, '--', 'true']);
    return await queue.begin();
  });
  // Also where one fails: the others must not go on starting when the test is over.
  await Promise.allSettled(starts);
  const started = (await Promise.all(starts)).flat();
  assert.equal(new Set(started.map(({ name }) => name)).size, 20);
  assert.equal((await queue.workers()).length, 20);
  assert.equal(queue.supervisors().length, 20);
  const ids = Array.from({ length: 60 }, (_, i) => `job${i}`);
  const input = ids.map((id) => JSON.stringify({ id, command: 'sleep 0.2' })).join('\n');
  await queue.ok(['enqueue', '-'], { input });
  const jobs = await queue.allFinished([...ids, ...ids.slice(0, 20).map((_, i) => `before${i}`)]);
  assert.ok(jobs.every(({ state, attempts }) => state === 'completed' && attempts === 1));
  assert.ok(new Set(jobs.map(({ history }) => history[0]?.worker)).size > 10);
  assert.equal(await queue.ok(['worker', 'stop']), 'Stopped 20 workers\n');
  assert.doesNotMatch(queue.log(), /ended:|could not|trying again/);
});
