// Fault 16: the database is deleted or replaced under running workers. They notice and
// stop, with what they run, instead of working on a queue that nobody else can find.

import assert from 'node:assert/strict';
import { renameSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { sandbox } from '../cli/support.ts';

interface WorkerJson {
  readonly pid: number;
}

/** Bounded: polls for the end of processes that are not our children. */
async function goneWithin(pids: readonly number[], ms: number): Promise<boolean> {
  for (const end = Date.now() + ms; Date.now() < end; await delay(50)) {
    const states = await Promise.all(
      pids.map((pid) => readFile(`/proc/${pid}/stat`, 'latin1').catch(() => ') Z')),
    );
    if (states.every((stat) => /\) [ZX]/.test(stat))) return true;
  }
  return false;
}

for (const how of ['deleted', 'replaced'] as const) {
  test(`a database that is ${how} under its workers ends them and what they run`, async (t) => {
    const box = sandbox(t);
    await box.ok(['worker', 'start', '--count', '2']);
    const log = join(box.home, 'logs', 'workers', 'workers.log');
    await box.ok(['enqueue', '--id', 'a', '--shell', 'echo $$ > pid; exec sleep 300']);
    let pid = NaN;
    for (const end = Date.now() + 20_000; Number.isNaN(pid) && Date.now() < end; await delay(20)) {
      const text = await readFile(join(box.directory, 'pid'), 'utf8').catch(() => '');
      if (text.endsWith('\n')) pid = Number(text);
    }
    const workers = (await box.json(['worker', 'list'])) as WorkerJson[];
    const pids = [...workers.map((worker) => worker.pid), pid];
    for (const suffix of ['-wal', '-shm', '']) {
      const file = join(box.home, `queue.db${suffix}`);
      if (how === 'deleted') rmSync(file, { force: true });
      else renameSync(file, `${file}.old`);
    }
    // A new queue in its place, made by whoever calls next.
    if (how === 'replaced') await box.ok(['enqueue', '--id', 'b', '--', 'true']);
    assert.ok(await goneWithin(pids, 20_000), 'workers and their command have ended');
    assert.match(await readFile(log, 'utf8'), /queue\.db was deleted, moved or replaced/);
  });
}
