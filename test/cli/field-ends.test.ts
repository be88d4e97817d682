// Field cases: how jobs end and what is said about it; signals and terminals. SH-19 to
// SH-24, SH-27, SH-29, SH-30.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { box, hasScript } from './box.ts';
import { type JobJson, line, shell, until, untilState, working } from './field.ts';

const skip = hasScript ? false : 'needs script(1)';

interface WorkerJson {
  readonly name: string;
  readonly pid: number;
}

test('SH-19 · what `wait` answers', async (t) => {
  const cli = await working(t);
  for (const [command, code] of [
    ['exit 0', 0],
    ['exit 9', 9],
    ['kill -KILL $$', 137],
    ['exit 125', 125],
  ] as const) {
    const id = (await cli.ok(['enqueue', '--quiet', '--shell', command])).trim();
    assert.equal((await cli.q(['wait', id])).code, code, command);
  }
  await cli.ok(['enqueue', '--id', 'slow', '--timeout', '300ms', '--', 'sleep', '60']);
  assert.equal((await cli.q(['wait', 'slow'])).code, 124);
  assert.match(await cli.refused(['wait', 'nosuch'], 125), /no job "nosuch"/);

  await cli.ok(['enqueue', '--id', 'w', '--', 'sleep', '60']);
  await untilState(cli, 'w', 'processing');
  assert.match(await cli.refused(['wait', 'w', '--timeout', '200ms'], 125), /w is processing/);
  await untilState(cli, 'w', 'processing');
  await cli.ok(['cancel', 'w']);
  assert.equal((await cli.q(['wait', 'w'])).code, 130);

  await cli.ok(shell('fine', 'exit 0'));
  await cli.ok(shell('three', 'exit 3'));
  assert.equal((await cli.q(['wait', 'fine', 'w', 'three'])).code, 130);
  assert.equal((await cli.q(['wait', 'fine', 'three', 'w'])).code, 3);
  assert.equal((await cli.q(['wait', 'fine', 'three', 'nosuch'])).code, 125);
});

test('SH-20 · exiting with 143 is not being killed by TERM', async (t) => {
  const cli = await working(t);
  for (const [id, command] of [
    ['x143', 'exit 143'],
    ['term', 'kill -TERM $$'],
  ] as const) {
    assert.equal((await cli.q(['run', '--id', id, '--', 'sh', '-c', command])).code, 143);
  }
  for (const [id, ...expected] of [
    ['x143', 'exited', 143, null],
    ['term', 'signaled', null, 'SIGTERM'],
  ] as const) {
    assert.equal((await cli.q(['wait', id])).code, 143);
    const { history } = await cli.json<JobJson>(['show', id]);
    const [last] = history;
    assert.deepEqual([last?.outcome, last?.exit_code, last?.signal], expected);
  }
});

test('SH-21 · why a program could not be started', async (t) => {
  const cli = await working(t);
  const file = (name: string, content: string, mode = 0o755): void =>
    writeFileSync(join(cli.directory, name), content, { mode });
  file('noexec', 'date', 0o644);
  file('crlf', '#!/bin/sh\r\necho hi\n');
  file('interp', '#!/no/such/interp\n');
  file('plain', 'echo no first line\n');
  mkdirSync(join(cli.directory, 'dir'));
  symlinkSync('loop', join(cli.directory, 'loop'));
  const before = await cli.json<WorkerJson[]>(['worker', 'list']);
  const expected: [string, number, RegExp][] = [
    ['./noexec', 126, /^\.\/noexec: permission denied/],
    ['./crlf', 126, /^\.\/crlf: .*carriage return/],
    ['./interp', 126, /^\.\/interp: .*\/no\/such\/interp does not exist/],
    ['./plain', 126, /^\.\/plain: neither .* nor a script/],
    ['./dir', 126, /^\.\/dir: is a directory/],
    ['./loop', 126, /^\.\/loop: too many symbolic links/],
    ['./missing', 127, /^\.\/missing: no such file/],
    ['nosuchprogram', 127, /^nosuchprogram: not found in PATH/],
    ['noexec/x', 126, /^noexec\/x: a part of its path is not a directory/],
  ];
  for (const [program, code, reason] of expected) {
    const id = (await cli.ok(['enqueue', '--quiet', '--', program])).trim();
    assert.equal((await cli.q(['wait', id])).code, code, program);
    const { history } = await cli.json<JobJson>(['show', id]);
    assert.equal(history[0]?.outcome, 'spawn_failed');
    assert.match(history[0].error ?? '', reason);
  }
  const pids = async (): Promise<number[]> =>
    (await cli.json<WorkerJson[]>(['worker', 'list'])).map(({ pid }) => pid);
  assert.deepEqual(
    await pids(),
    before.map(({ pid }) => pid),
  );
});

const noProc = existsSync('/proc/self/status') ? false : 'needs /proc';

test('SH-22 · signals are as the job expects them', { skip: noProc }, async (t) => {
  const cli = box(t);
  await line(cli, "trap '' PIPE HUP INT QUIT TERM USR1 CHLD TSTP; exec queuectl worker start");
  await cli.ok(shell('a', 'yes | head -1; grep -E "Sig(Ign|Blk)" /proc/self/status'));
  await cli.ok(['enqueue', '--id', 'b', '--', 'grep', '-E', 'Sig(Ign|Blk)', '/proc/self/status']);
  await cli.ok(['wait', 'a', 'b']);
  const none = 'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n';
  assert.equal(await cli.ok(['logs', 'a']), `y\n${none}`);
  assert.equal(await cli.ok(['logs', 'b']), none);
});

test('SH-23 · a job cannot ask the terminal', { skip }, async (t) => {
  const cli = box(t);
  const worker = cli.terminal('queuectl worker start --foreground', { keys: 'typed\n' });
  await until('a worker', async () => (await cli.json<WorkerJson[]>(['worker', 'list']))[0]);
  const ask = 'test -t 0 || test -t 1 || test -t 2 || echo no tty; read x </dev/tty; echo $? $x';
  await cli.ok(shell('q', ask, '--timeout', '10s'));
  await cli.ok(shell('in', 'cat; echo $?', '--timeout', '10s'));
  await cli.ok(['wait', 'q', 'in']);
  assert.match(await cli.ok(['logs', 'q', '--stdout']), /^no tty\n[1-9]\d*\n$/);
  assert.match(await cli.ok(['logs', 'q', '--stderr']), /\/dev\/tty/);
  assert.equal(await cli.ok(['logs', 'in']), '0\n');
  await cli.ok(['worker', 'stop']);
  assert.equal((await worker).code, 0);
});

test('SH-24 · `worker start` lets go of pipe and terminal', { skip }, async (t) => {
  const cli = box(t);
  // Each is over only when nobody holds the pipe any more.
  assert.match((await line(cli, 'x=$(queuectl worker start 2>&1); echo "$x"')).stdout, /w1/);
  assert.match((await line(cli, 'queuectl worker start 2>&1 | cat')).stdout, /w2/);
  await cli.ok(['worker', 'stop']);
  await cli.terminal('queuectl worker start; queuectl enqueue --id hup -- sleep 0.5');
  await cli.ok(['wait', 'hup']);
  const { state, attempts } = await cli.json<JobJson>(['show', 'hup']);
  assert.deepEqual([state, attempts], ['completed', 1]);
  assert.equal((await cli.json<WorkerJson[]>(['worker', 'list'])).length, 1);
});

test('SH-27 · cancelled between two tries', async (t) => {
  const cli = await working(t);
  await cli.ok(['config', 'set', 'backoff_base', '3']);
  const runs = join(cli.directory, 'runs');
  await cli.ok(shell('y', `echo run >> ${runs}; exit 1`, '--max-retries', '5'));
  const { run_at: next } = await untilState(cli, 'y', 'failed');
  assert.equal(await cli.ok(['cancel', 'y']), 'Cancelled y\n');
  // Until its retry would have been due, and a job behind it has run.
  const due = Date.parse(next ?? assert.fail('no retry'));
  await cli.ok([
    'enqueue',
    '--id',
    'behind',
    '--run-at',
    new Date(due + 300).toISOString(),
    '--',
    'true',
  ]);
  await cli.ok(['wait', 'behind']);
  assert.equal(readFileSync(runs, 'utf8'), 'run\n');
  const { state, attempts } = await cli.json<JobJson>(['show', 'y']);
  assert.deepEqual([state, attempts], ['cancelled', 1]);
  assert.deepEqual(await cli.json(['dlq', 'list']), []);
});

test('SH-29 · a burst of enqueuers', async (t) => {
  const cli = box(t);
  const { code, stdout } = await line(
    cli,
    'seq 120 | xargs -P 40 -I{} queuectl enqueue --quiet --id b{} -- true | sort -u | wc -l',
    { timeout: 60_000 },
  );
  assert.deepEqual([code, stdout.trim()], [0, '120']);
  assert.equal((await cli.json<JobJson[]>(['list', '--limit', '1000'])).length, 120);
  await cli.ok(['worker', 'start', '--concurrency', '8']);
  await cli.ok(['wait', ...Array.from({ length: 120 }, (_, i) => `b${i + 1}`)]);
  const jobs = await cli.json<JobJson[]>(['list', '--limit', '1000']);
  assert.ok(jobs.every(({ attempts }) => attempts === 1));
});

test('SH-30 · job files from other systems', async (t) => {
  const cli = box(t);
  const input =
    '\ufeff{"id":"j1","command":"true"}\r\n\r\n{"id":"j2","command":"printf hi"}\r\n\n{"id":"j3","command":"true"}';
  await cli.ok(['enqueue', '-'], { input });
  const jobs = await cli.json<JobJson[]>(['list', '--sort', 'oldest']);
  assert.deepEqual(
    jobs.map(({ id, command }) => [id, command]),
    [
      ['j1', 'true'],
      ['j2', 'printf hi'],
      ['j3', 'true'],
    ],
  );
  const broken = '{"id":"k1","command":"true"}\n{"id":"k2",\n';
  assert.match(await cli.refused(['enqueue', '-'], 2, { input: broken }), /line 2: .*column 12/);
  await cli.refused(['show', 'k1'], 3);
  // What is no NDJSON at all, in words that say so.
  for (const [text, why] of [
    ['[{"command":"true"}]', /one object a line/],
    ['{"command":"true"}{"command":"true"}', /expected nothing more/],
    [Buffer.from('\ufeff{"command":"true"}\n', 'utf16le'), /UTF-16/],
  ] as const) {
    assert.match(await cli.refused(['enqueue', '-'], 2, { input: text }), why);
  }
  assert.equal((await cli.json<JobJson[]>(['list'])).length, 3);
});
