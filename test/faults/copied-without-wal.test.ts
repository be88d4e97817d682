// Fault 15: the database file was copied without its -wal. That copy is an older state, and a
// sound one; `backup` is the way to one that is whole (test/cli/backup.test.ts, under load).

import assert from 'node:assert/strict';
import { copyFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crew } from '../fixtures/crew.ts';

test('the file without its -wal is an older state, and still a sound one', async (t) => {
  const queue = crew(t);
  // Somebody has it open: what is committed stays in the WAL.
  await queue.begin();
  await queue.ok(['enqueue', '--id', 'a', '--delay', '1h', '--', 'true']);
  const [file, copy] = [join(queue.home, 'queue.db'), join(queue.directory, 'copy.db')];
  assert.ok(statSync(`${file}-wal`).size > 0);
  copyFileSync(file, copy);
  assert.deepEqual(await queue.json(['--db', copy, 'list']), [], 'what the README warns of');
  await queue.ok(['backup', `${copy}.right`]);
  assert.equal((await queue.json<unknown[]>(['--db', `${copy}.right`, 'list'])).length, 1);
});
