// Fault 20: a runtime whose SQLite can corrupt a database that several processes write. It
// is refused before it has made, opened or changed anything.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { box } from '../cli/box.ts';

const MAIN = resolve(import.meta.dirname, '../../src/cli/main.ts');
const OLD_SQLITE = resolve(import.meta.dirname, 'kit/old-sqlite.ts');

test('an unsafe SQLite: 5, and no database is made or changed', async (t) => {
  const queue = box(t);
  const { env, home, directory } = queue;
  const file = join(home, 'queue.db');
  const refuse = (args: readonly string[]): void => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', OLD_SQLITE, MAIN, ...args],
      { env, cwd: directory, encoding: 'utf8' },
    );
    const message =
      'queuectl: SQLite 3.51.2 can corrupt a shared database\n' +
      'hint: use a runtime with SQLite 3.51.3 or later\n';
    assert.deepEqual({ status, stdout, stderr }, { status: 5, stdout: '', stderr: message });
  };
  refuse(['enqueue', '--', 'true']);
  assert.ok(!existsSync(file));

  await queue.ok(['enqueue', '--id', 'a', '--', 'true']);
  const before = readFileSync(file);
  refuse(['enqueue', '--', 'true']);
  refuse(['worker', 'start', '--foreground']);
  assert.ok(before.equals(readFileSync(file)));
});
