// doctor: each line says whether it is in order, what to do if not, and the exit code sums
// it up. Fault 14, the second half: what a damaged database still holds can be saved.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { crew, killHard, until } from '../fixtures/crew.ts';
import { type Box, box, hasScript } from './box.ts';

interface Finding {
  readonly check: string;
  readonly level: string;
  readonly text: string;
  readonly hint: string | null;
}

async function examine(cli: Box, code: number, args: readonly string[] = []): Promise<Finding[]> {
  const answer = await cli.q(['--json', ...args, 'doctor']);
  assert.equal(answer.code, code, answer.stdout + answer.stderr);
  return JSON.parse(answer.stdout) as Finding[];
}

const bad = (findings: readonly Finding[]): string[] =>
  findings.filter(({ level }) => level !== 'ok').map(({ check, level }) => `${check} ${level}`);

/** 2,000 jobs in one file, without a WAL. */
async function filled(cli: Box): Promise<string> {
  const input = Array.from(
    { length: 2000 },
    (_, i) => `{"id":"j${i}","command":"echo ${'x'.repeat(100)} ${i}"}\n`,
  ).join('');
  await cli.ok(['enqueue', '--quiet', '-'], { input });
  return join(cli.home, 'queue.db');
}

function overwrite(path: string, page: number, pages: number): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.alloc(4096 * pages, 0xff), 0, 4096 * pages, 4096 * page);
  closeSync(fd);
}

test('a healthy queue, and none at all', async (t) => {
  const cli = box(t);
  const none = await cli.ok(['doctor']);
  assert.match(none, /All is well/);
  assert.ok(!existsSync(cli.home), 'looking makes nothing');
  await cli.ok(['enqueue', '--id', 'a', '--', 'true']);
  await cli.ok(['cancel', 'a']);
  assert.deepEqual(bad(await examine(cli, 0)), []);
  const checks = (await examine(cli, 0)).map(({ check }) => check);
  for (const check of ['integrity', 'schema', 'SQLite', 'disk space', 'file system', 'clock']) {
    assert.ok(checks.includes(check), check);
  }
});

test('warnings: modes, jobs that nobody serves, workers that died', async (t) => {
  const queue = crew(t);
  await queue.enqueue('a', 'sleep 60');
  chmodSync(join(queue.home, 'queue.db'), 0o644);
  const [mode, workers] = (await examine(queue, 0)).filter(({ level }) => level !== 'ok');
  assert.deepEqual([mode?.check, workers?.check], ['mode', 'workers']);
  assert.match(mode?.hint ?? '', /^chmod 600 /);
  assert.match(workers?.hint ?? '', /worker start/);
  chmodSync(join(queue.home, 'queue.db'), 0o600);

  const [worker] = await queue.begin();
  await killHard(...queue.supervisors(), worker?.pid ?? 0);
  assert.ok(bad(await examine(queue, 0)).includes('dead workers warning'));
});

test('a worker that lives and says nothing any more is told of', async (t) => {
  const queue = crew(t);
  await queue.ok(['config', 'set', 'lease', '1s']);
  const [worker] = await queue.begin();
  const pid = worker?.pid ?? assert.fail('no worker');
  assert.deepEqual(bad(await examine(queue, 0)), []);
  process.kill(pid, 'SIGSTOP');
  try {
    await until('it is silent', async () =>
      bad(await examine(queue, 0)).includes('silent workers warning'),
    );
  } finally {
    process.kill(pid, 'SIGCONT');
  }
});

test('looking changes nothing: not the WAL that the killed have left, not a mode', async (t) => {
  const queue = crew(t);
  await queue.enqueue('a', 'sleep 60');
  await queue.begin();
  await killHard(...queue.processes().map(({ pid }) => pid));
  chmodSync(queue.home, 0o755);
  const files = ['queue.db', 'queue.db-wal'].map((name) => join(queue.home, name));
  const before = files.map((file) => readFileSync(file));
  assert.ok((before[1]?.length ?? 0) > 4096, 'there is a WAL');
  assert.ok(bad(await examine(queue, 0)).includes('home warning'));
  await queue.ok(['doctor', '--export', join(queue.directory, 'saved.ndjson')]);
  await queue.ok(['backup', join(queue.directory, 'copy.db')]);
  for (const [i, file] of files.entries()) {
    assert.ok(before[i]?.equals(readFileSync(file)), `${file} is as it was`);
  }
  assert.equal(statSync(queue.home).mode & 0o777, 0o755);
});

test('a clean database is left clean: no -wal and no -shm stay beside it', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'a', '--', 'true']);
  const there = readdirSync(cli.home).toSorted();
  assert.ok(!there.includes('queue.db-wal'));
  await cli.ok(['doctor']);
  await cli.ok(['doctor', '--export', '-']);
  await cli.ok(['backup', join(cli.directory, 'copy.db')]);
  assert.deepEqual(readdirSync(cli.home).toSorted(), there);
});

test('a WAL that is none, one without its database, a pipe: told, and what to do', async (t) => {
  const cli = box(t);
  const file = await filled(cli);
  writeFileSync(`${file}-wal`, Buffer.alloc(9000, 0x5a), { mode: 0o600 });
  const [wal] = (await examine(cli, 0)).filter(({ check }) => check === 'write-ahead log');
  assert.match(wal?.text ?? '', /lost/);
  assert.equal(readFileSync(`${file}-wal`).length, 9000);
  renameSync(file, join(cli.directory, 'away.db'));
  assert.ok(bad(await examine(cli, 6)).includes('database failure'));
  await cli.refused(['doctor', '--export', '-'], 3);
  rmSync(`${file}-wal`);
  execFileSync('mkfifo', [file]);
  assert.ok(bad(await examine(cli, 6)).includes('database failure'));
  await cli.refused(['doctor', '--export', '-'], 6);
});

test('an export that fails leaves no file', async (t) => {
  const cli = box(t);
  const saved = join(cli.directory, 'saved.ndjson');
  assert.match(await cli.refused(['doctor', '--export', saved], 3), /there is no database/);
  const file = join(cli.directory, 'text.db');
  writeFileSync(file, 'no database\n'.repeat(20_000));
  await cli.refused(['--db', file, 'doctor', '--export', saved], 6);
  await cli.refused(['doctor', '--unfinished'], 2);
  assert.deepEqual(readdirSync(cli.directory), ['text.db']);
});

test(
  'on a terminal it says that it checks, elsewhere it does not',
  { skip: !hasScript },
  async (t) => {
    const cli = box(t);
    await cli.ok(['enqueue', '--id', 'a', '--', 'true']);
    await cli.ok(['cancel', 'a']);
    const { shown } = await cli.terminal('queuectl doctor');
    assert.match(shown, /Checking [\d.]+ KiB …\r\u001b\[K/);
    assert.equal((await cli.q(['doctor'])).stderr, '');
  },
);

test('the clock was set back', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'a', '--', 'true']);
  await cli.ok(['cancel', 'a']);
  const db = new DatabaseSync(join(cli.home, 'queue.db'), { timeout: 5000 });
  db.exec("UPDATE job SET updated_at = updated_at + 3600000 WHERE id = 'a'");
  db.close();
  assert.deepEqual(bad(await examine(cli, 0)), ['clock warning']);
});

test('counts that are off are a failure', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'a', '--', 'true']);
  const db = new DatabaseSync(join(cli.home, 'queue.db'), { timeout: 5000 });
  db.exec('UPDATE tally SET n = 7; DELETE FROM ready');
  db.close();
  const [finding] = (await examine(cli, 6)).filter(({ level }) => level === 'failure');
  assert.equal(finding?.check, 'consistency');
  assert.equal(finding.text, '1 counts that are off, 1 waiting jobs without a place in line');
});

test('a count that is missing is a failure, too', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'a', '--', 'true']);
  const db = new DatabaseSync(join(cli.home, 'queue.db'), { timeout: 5000 });
  db.exec('DELETE FROM tally');
  db.close();
  const [finding] = (await examine(cli, 6)).filter(({ level }) => level === 'failure');
  assert.equal(finding?.text, '1 counts that are off');
});

test('a destroyed beginning costs no job, neither in the queue nor in a backup of it', async (t) => {
  const cli = box(t);
  const original = await filled(cli);
  const backup = join(cli.directory, 'backup.db');
  await cli.ok(['backup', backup]);
  for (const file of [original, backup]) {
    const fd = openSync(file, 'r+');
    writeSync(fd, Buffer.alloc(4096), 0, 4096, 0);
    closeSync(fd);
    const saved = await cli.ok(['--db', file, 'doctor', '--export', '-']);
    assert.equal(saved.trimEnd().split('\n').length, 2000, file);
  }
});

test('a damaged database: told, left as it is, and what can be read is saved', async (t) => {
  const cli = box(t);
  const file = await filled(cli);
  overwrite(file, Math.floor(statSync(file).size / 4096 / 2), 4);
  const before = readFileSync(file);
  const found = await examine(cli, 6);
  assert.deepEqual(bad(found), ['integrity failure']);
  assert.match(found.find(({ level }) => level === 'failure')?.hint ?? '', /--export/);

  const saved = join(cli.directory, 'saved.ndjson');
  const { code, stderr } = await cli.q(['doctor', '--export', saved]);
  assert.equal(code, 0, stderr);
  const jobs = readFileSync(saved, 'utf8').trimEnd().split('\n');
  const [, told, gone] =
    /saved ([\d,]+) jobs to .*; (\d+) jobs could not be read: j\d+, /.exec(stderr) ?? [];
  assert.equal(Number(told?.replace(',', '')), jobs.length);
  assert.equal(jobs.length + Number(gone), 2000);
  assert.ok(jobs.length > 1500, `${jobs.length} saved`);
  assert.equal(
    new Set(jobs.map((job) => (JSON.parse(job) as { id: string }).id)).size,
    jobs.length,
  );
  assert.deepEqual(readFileSync(file), before, 'the file was only read');
  await cli.refused(['doctor', '--export', saved], 4);
  assert.equal((await cli.ok(['doctor', '--export', '-'])).split('\n').length, jobs.length + 1);
});

test('truncated, emptied, foreign: the exit code says which', async (t) => {
  const cli = box(t);
  const file = await filled(cli);
  truncateSync(file, 8 * 4096);
  assert.ok(bad(await examine(cli, 6)).some((line) => line.endsWith('failure')));
  const other = join(cli.directory, 'other.db');
  writeFileSync(other, '');
  assert.ok(bad(await examine(cli, 6, ['--db', other])).includes('database failure'));
  writeFileSync(other, 'not a database at all, but long enough to look like a file\n'.repeat(100));
  assert.ok(bad(await examine(cli, 6, ['--db', other])).includes('database failure'));
  const foreign = new DatabaseSync(join(cli.directory, 'foreign.db'));
  foreign.exec('CREATE TABLE t (a)');
  foreign.close();
  const args = ['--db', join(cli.directory, 'foreign.db')];
  assert.ok(bad(await examine(cli, 6, args)).includes('schema failure'));
  assert.ok(!existsSync(`${other}.d`), 'looking makes nothing');
});
