// Fault 16: the database is deleted, moved or replaced under running workers. They notice
// (device and inode) and stop, with what they run, instead of working on a queue that
// nobody else can find; what stands there now is left alone.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Crew, crew, until } from '../fixtures/crew.ts';

const PARTS = ['-wal', '-shm', ''];

function moveAway(queue: Crew): void {
  for (const part of PARTS) {
    const file = join(queue.home, `queue.db${part}`);
    renameSync(file, `${file}.old`);
  }
}

interface Way {
  readonly what: string;
  readonly harm: (queue: Crew) => void | Promise<void>;
  /** Which job the queue that stands there then has. */
  readonly there: string | null;
}

const WAYS: readonly Way[] = [
  {
    what: 'deleted',
    harm: ({ home }) => {
      for (const part of PARTS) rmSync(join(home, `queue.db${part}`));
    },
    there: null,
  },
  { what: 'moved away', harm: moveAway, there: null },
  {
    what: 'replaced by a new queue, made by whoever calls next',
    harm: async (queue) => {
      moveAway(queue);
      await queue.ok(['enqueue', '--id', 'new', '--', 'true']);
    },
    there: 'new',
  },
  {
    what: 'replaced by another one',
    harm: async (queue) => {
      const home = join(queue.directory, 'other');
      mkdirSync(home);
      await queue.ok(['enqueue', '--id', 'other', '--', 'true'], { env: { QUEUECTL_HOME: home } });
      for (const part of ['-wal', '-shm']) rmSync(join(queue.home, `queue.db${part}`));
      renameSync(join(home, 'queue.db'), join(queue.home, 'queue.db'));
    },
    there: 'other',
  },
];

for (const { what, harm, there } of WAYS) {
  test(`a database that is ${what} under its workers ends them and what they run`, async (t) => {
    const queue = crew(t);
    const supervisor = queue.start(['worker', 'start', '--foreground', '--count', '2']);
    let log = '';
    supervisor.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
    await until('both are ready', async () => (await queue.workers()).length === 2);
    await queue.enqueue('a', 'touch started; exec sleep 300');
    await until('it runs', () => existsSync(join(queue.directory, 'started')));
    await harm(queue);
    if (supervisor.exitCode === null) await once(supervisor, 'exit');
    assert.equal(supervisor.exitCode, 6);
    await until('nothing is left', () => queue.processes().length === 0);
    assert.match(log, /ended: .*queue\.db was deleted, moved or replaced/);
    assert.doesNotMatch(log, /starting another/);
    const database = join(queue.home, 'queue.db');
    if (there === null) assert.ok(!existsSync(database), 'nobody makes a new one');
    else assert.equal((await queue.show(there)).state, 'pending');
  });
}
