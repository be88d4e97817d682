// Fault 19: a reader that does not end pins the WAL. It grows with every write; queuectl goes
// on, says once what the matter is, and gives the disk space back when the reader is gone.

import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { crew, until } from '../fixtures/crew.ts';

const MIB = 1024 * 1024;

test('an open SELECT and 10,000 writes: warned, and recovered afterwards', async (t) => {
  const queue = crew(t);
  await queue.begin();
  const jobs = Array.from({ length: 300 }, () => '{"command":"true","delay":"1h"}');
  await queue.ok(['enqueue', '-'], { input: jobs.join('\n') });
  const file = join(queue.home, 'queue.db');
  const size = (): number => statSync(`${file}-wal`).size;

  const [reader, writer] = [new DatabaseSync(file), new DatabaseSync(file, { timeout: 5000 })];
  queue.cleanup(() => {
    for (const handle of [reader, writer]) if (handle.isOpen) handle.close();
  });
  reader.exec('BEGIN');
  const count = reader.prepare('SELECT count(*) AS n FROM job');
  assert.deepEqual({ ...count.get() }, { n: 300 });
  writer.exec('PRAGMA synchronous = OFF');
  // Two pages each: the first and the last of the jobs.
  const write = writer.prepare('UPDATE job SET updated_at = updated_at + 1 WHERE key IN (1, 300)');
  for (let i = 0; i < 10_000; i += 1) write.run();
  assert.ok(size() > 64 * MIB, `${size()} bytes`);

  const warning =
    /queue\.db-wal has grown to \d+ MiB and cannot shrink: .* fuser -v .*queue\.db$/gm;
  await until('it is told', () => warning.test(queue.log()));
  await queue.enqueue('meanwhile', 'true');
  assert.equal((await queue.finished('meanwhile')).state, 'completed');
  assert.deepEqual({ ...count.get() }, { n: 300 }, 'what the reader sees stays');
  // The supervisor has looked again since: it must not have told it again.
  await queue.ok(['enqueue', '--delay', '2s', '--id', 'later', '--', 'true']);
  await queue.finished('later');

  reader.exec('COMMIT');
  await until('the disk space is given back', () => size() < 8 * MIB);
  await until('that is told, too', () => /no more disk space than it needs/.test(queue.log()));
  assert.equal(queue.log().match(warning)?.length, 1);
  assert.deepEqual(
    { ...writer.prepare('PRAGMA integrity_check').get() },
    { integrity_check: 'ok' },
  );
  assert.doesNotMatch(queue.log(), /could not|trying again/);
});
