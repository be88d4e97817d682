// logs --since: only what came then or later, of a job that runs and of one that is over.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crew, until } from '../fixtures/crew.ts';

test('logs --since shows what came then or later', async (t) => {
  const queue = crew(t);
  await queue.begin();
  // The first line, then another two seconds later: the fault would be to mix them up.
  await queue.enqueue('j', 'echo early; sleep 2; echo late; sleep 60');
  await until('both are there', async () => /late/.test(await queue.ok(['logs', 'j'])));
  assert.equal(await queue.ok(['logs', 'j']), 'early\nlate\n');
  const { started_at: started } = (await queue.show('j')).history[0] ?? assert.fail();
  const middle = new Date(Date.parse(started) + 1000).toISOString();
  assert.equal(await queue.ok(['logs', 'j', '--since', middle]), 'late\n');
  assert.equal(await queue.ok(['logs', 'j', '--since', started]), 'early\nlate\n');
  assert.equal(await queue.ok(['logs', 'j', '--since', '1h']), 'early\nlate\n');
  await queue.ok(['cancel', 'j']);
  await queue.finished('j');
  assert.equal(await queue.ok(['logs', '-f', 'j', '--since', middle]), 'late\n');
  assert.equal(await queue.ok(['logs', 'j', '--since', '2100-01-01']), '');
  await queue.refused(['logs', 'j', '--since', 'yesterday'], 2);
});
