// backup: a copy that is whole, whatever others do meanwhile. What a copy by hand is worth is
// in test/faults/copied-without-wal.test.ts.

import assert from 'node:assert/strict';
import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { crew, spanned } from '../fixtures/crew.ts';
import { box, exitCode, untilOutput } from './box.ts';
import { EXECUTABLE } from './support.ts';

test('a backup under load holds all that was acknowledged before it, and is sound', async (t) => {
  const queue = crew(t);
  await queue.begin('--count', '2', '--concurrency', '2');
  await queue.enqueue('first', 'true');
  await queue.finished('first');
  // A writer that never stops for longer than it takes to acknowledge.
  const writer = queue.start(['enqueue', '--file', '-', '--stream', '--quiet']);
  let acknowledged = 0;
  writer.stdout?.on('data', (chunk: Buffer) => {
    acknowledged += chunk.toString().split('\n').length - 1;
  });
  let written = 0;
  const feed = (): void => {
    for (let i = 0; i < 200; i += 1)
      writer.stdin?.write(`{"id":"j${written++}","command":"true"}\n`);
  };
  feed();
  await untilOutput(writer, /j0\n/);
  for (let round = 0; round < 5; round += 1) {
    feed();
    const before = acknowledged;
    const file = join(queue.directory, `copy${round}.db`);
    const answer = await queue.json<{ file: string; bytes: number }>(['backup', file]);
    assert.equal(answer.file, file);
    assert.equal(statSync(file).size, answer.bytes);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const db = new DatabaseSync(file, { readOnly: true });
    assert.deepEqual(Object.values(db.prepare('PRAGMA integrity_check').get() ?? {}), ['ok']);
    const n = Number(db.prepare('SELECT count(*) AS n FROM job').get()?.['n']);
    db.close();
    assert.ok(n >= before + 1, `${n} jobs in the copy, ${before} acknowledged before it`);
  }
  writer.stdin?.end();
  assert.equal(await exitCode(writer), 0);
  assert.deepEqual(
    readdirSync(queue.directory).filter((name) => name.endsWith('.new')),
    [],
  );
});

test('a backup is a queue like any other: what ran runs again', async (t) => {
  const queue = crew(t);
  await queue.begin();
  await queue.enqueue('runs', spanned('until [ -e go ]; do sleep 0.02; done'));
  await queue.enqueue('waits', 'true', { priority: 3, tags: { a: 'b' } });
  await queue.q(['wait', 'runs', '--timeout', '0.2s']);
  const copy = join(queue.directory, 'copy.db');
  await queue.ok(['backup', copy]);
  const list = async (db: readonly string[]): Promise<{ id: string; state: string }[]> =>
    await queue.json([...db, 'list']);
  assert.deepEqual(
    (await list(['--db', copy])).map(({ id, state }) => `${id} ${state}`),
    (await list([])).map(({ id, state }) => `${id} ${state}`),
  );
  writeFileSync(join(queue.directory, 'go'), '');
  await queue.allFinished(['runs', 'waits']);
});

test('nothing is overwritten unasked, nothing is left behind where it fails', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'a', '--', 'true']);
  const file = join(cli.directory, 'copy.db');
  writeFileSync(file, 'mine');
  assert.match(await cli.refused(['backup', file], 4), /is there already\nhint: .*--force/);
  assert.equal(statSync(file).size, 4);
  await cli.ok(['backup', file, '--force']);
  assert.ok(statSync(file).size > 4096);
  const nowhere = join(cli.directory, 'no/such/directory/copy.db');
  assert.match(
    await cli.refused(['backup', nowhere], 5),
    /no\/such\/directory: it does not exist\n/,
  );
  assert.match(await cli.refused(['backup'], 2), /FILE/);
  assert.match(await cli.refused(['backup', '-'], 2), /stdout/);
  const own = join(cli.home, 'queue.db');
  symlinkSync(own, join(cli.directory, 'link.db'));
  const before = statSync(own).ino;
  for (const target of [own, `${cli.home}/../home/queue.db`, join(cli.directory, 'link.db')]) {
    assert.match(await cli.refused(['backup', '--force', target], 2), /is the queue itself/);
  }
  assert.equal(statSync(own).ino, before);
  const device = join(cli.directory, 'device.db');
  symlinkSync('/dev/null', device);
  for (const target of [cli.directory, '/dev/null', device]) {
    assert.match(await cli.refused(['backup', '--force', target], 2), /not a regular file/);
  }
  const empty = join(cli.directory, 'none.db');
  assert.match(await cli.refused(['--db', empty, 'backup', `${empty}.copy`], 3), /no database/);
  assert.ok(!existsSync(empty));
  assert.deepEqual(
    readdirSync(cli.directory).filter((name) => name.includes('.new')),
    [],
  );
});

test('what a killed backup has left behind goes with the next one of that name', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'a', '--', 'true']);
  const [old, young] = [1, 2].map((n) => `copy.db.${n}1111111-1111-7111-8111-111111111111.new`);
  for (const name of [`${old}`, `${old}-journal`, `${young}`, 'copy.db.txt']) {
    const path = join(cli.directory, name);
    writeFileSync(path, 'draft');
    if (name !== young) utimesSync(path, 1, 1);
  }
  await cli.ok(['backup', 'copy.db']);
  assert.deepEqual(readdirSync(cli.directory).toSorted(), ['copy.db', `${young}`, 'copy.db.txt']);
});

test('the recipe of the README restores a backup', async (t) => {
  const queue = crew(t);
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const [, recipe = ''] = /### Restoring a backup\n\n```sh\n(.*?)```/s.exec(readme) ?? [];
  await queue.enqueue('a', 'echo $QUEUECTL_JOB_ID >>ran');
  const copy = join(queue.directory, 'queue.db');
  await queue.ok(['backup', copy]);
  await queue.enqueue('b', 'true');
  await queue.begin();
  await queue.finished('b');
  const lines = recipe.replaceAll('~/.queuectl', queue.home).replace('/backup/queue.db', copy);
  execFileSync('sh', ['-ec', lines], {
    env: { ...queue.env, PATH: `${dirname(EXECUTABLE)}:${queue.env['PATH'] ?? ''}` },
    stdio: 'ignore',
  });
  assert.equal((await queue.finished('a')).state, 'completed');
  await queue.refused(['show', 'b'], 3);
  assert.deepEqual(queue.lines('ran'), ['a', 'a'], 'it ran before and after');
});
