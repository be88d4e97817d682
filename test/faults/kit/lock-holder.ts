// Another process that has the write lock of a database. Fault 17, and whatever needs
// everybody to wait. Run as a program it is that process: node lock-holder.ts queue.db.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { exitCode, untilOutput } from '../../cli/box.ts';
import type { Crew } from '../../fixtures/crew.ts';

/** Resolves when another process has the write lock; the function answered ends it. */
export async function holdLock(queue: Crew): Promise<() => Promise<void>> {
  const child = spawn(process.execPath, [import.meta.filename, join(queue.home, 'queue.db')], {
    env: queue.env,
  });
  queue.cleanup(() => void child.kill('SIGKILL'));
  await untilOutput(child, /held\n/);
  return async () => {
    child.stdin.end();
    assert.equal(await exitCode(child), 0);
  };
}

/** Until stdin ends. */
function hold(database: string): void {
  const db = new DatabaseSync(database, { timeout: 30_000 });
  db.exec('BEGIN IMMEDIATE');
  process.stdout.write('held\n');
  process.stdin.resume().once('end', () => {
    db.exec('ROLLBACK');
    db.close();
  });
}

if (process.argv[1] === import.meta.filename) hold(process.argv[2] ?? assert.fail());
