// Fault 17, for longer than anybody waits: another process holds the write lock for more than
// 30 s. A command gives up after these and says so, a worker never does; see write-lock.test.ts
// beside this folder for what they do until then.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crew, outcomes, spanned, spans, story, until } from '../../fixtures/crew.ts';
import { holdLock } from '../kit/lock-holder.ts';

/** What a command waits, and what it may take longer on a busy machine. */
const PATIENCE_MS = 30_000;
const BUSY_MS = 15_000;

test('the write lock is held for longer than commands wait', { timeout: 120_000 }, async (t) => {
  const queue = crew(t);
  await queue.ok(['config', 'set', 'lease', '1s']);
  await queue.begin();
  await queue.enqueue('ends', spanned('until [ -e end ]; do sleep 0.05; done'), { max_retries: 0 });
  await until('it runs', () => spans(queue).length === 1);
  const release = await holdLock(queue);
  writeFileSync(join(queue.directory, 'end'), '');

  const begun = performance.now();
  const timeout = PATIENCE_MS + BUSY_MS;
  const { code, stdout, stderr } = await queue.q(['enqueue', '--id', 'late', '--', 'true'], {
    timeout,
  });
  const waited = performance.now() - begun;
  assert.equal(code, 5, stderr);
  assert.equal(stdout, '');
  assert.match(stderr, /the database is locked by another process \(waited 3\ds\)\nhint: .*fuser/);
  assert.ok(waited >= PATIENCE_MS, `${waited} ms`);

  await release();
  await queue.refused(['show', 'late'], 3);
  assert.equal(outcomes(await queue.finished('ends')), 'exited 0');
  assert.equal(story(queue, 'ends'), 'S1 E1');
});
