// Field cases: what the command is, and where and with what it runs. SH-01 to SH-04,
// SH-07 to SH-11.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { box, QUEUECTL } from './box.ts';
import { type JobJson, line, shell, working } from './field.ts';

test('SH-01 · arguments stay apart', async (t) => {
  const cli = await working(t);
  const args = ['hello  world', '', 'x\ty', '*', "it's", '$HOME', '\\n'];
  await cli.ok(['enqueue', '--id', 'a', '--', 'printf', '[%s]', ...args]);
  await cli.ok(['wait', 'a']);
  const printed = args.map((arg) => `[${arg}]`).join('');
  assert.equal(await cli.ok(['logs', 'a']), printed);
  // What show prints can be pasted into a shell.
  const { command } = await cli.json<JobJson>(['show', 'a']);
  assert.equal((await line(cli, command)).stdout, printed);
  assert.ok((await cli.ok(['show', 'a'])).includes(command));
});

test('SH-02 · what follows `--` belongs to the command', async (t) => {
  const cli = await working(t);
  const words = ['--json', '--db', '/nonexistent/x.db', '--quiet', '--help', '-h', '--', '--id'];
  const id = (await cli.ok(['enqueue', '--quiet', '--', 'printf', '%s\n', ...words, 'zz'])).trim();
  await cli.ok(['wait', id]);
  assert.equal(await cli.ok(['logs', id]), [...words, 'zz', ''].join('\n'));
  const run = await cli.q(['run', '--', 'printf', '%s\n', ...words, 'zz']);
  assert.deepEqual(run, { code: 0, stdout: [...words, 'zz', ''].join('\n'), stderr: '' });
  assert.ok(!existsSync('/nonexistent'));
  await cli.refused(['show', 'zz'], 3);
});

test('SH-03 · nobody but the shell expands', async (t) => {
  const cli = await working(t);
  const command = 'printf "%s " $$ "%n" "%%" "%(x)s" "{{y}}" "${Z:-z}" "\\$W"';
  await cli.ok(shell('e', command));
  await cli.ok(['enqueue', '--id', 'd', '--', 'date', '+%%H %% %n']);
  await cli.ok(['wait', 'e', 'd']);
  assert.match(await cli.ok(['logs', 'e']), /^\d+ %n %% %\(x\)s \{\{y\}\} z \$W $/);
  assert.equal(await cli.ok(['logs', 'd']), '%H % \n\n');
  assert.equal((await cli.json<JobJson>(['show', 'e'])).command, command);
});

test('SH-04 · file names as people have them', async (t) => {
  const cli = await working(t);
  const names = ["Mc'Laren", 'a "b" c', 'two\nlines', '-n', 'émoji 😀'];
  for (const name of names) writeFileSync(join(cli.directory, name), name);
  const { stdout } = await line(
    cli,
    'for f in *; do i=$(queuectl enqueue --quiet -- cat -- "$f"); queuectl wait $i;' +
      'test "$(queuectl logs $i)" = "$f" && echo same; done',
  );
  assert.equal(stdout, 'same\n'.repeat(names.length));
  assert.equal((await cli.json<JobJson[]>(['list'])).length, names.length);
});

test('SH-07 · negative values are values', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--priority', '-5', '--', 'true']);
  await cli.ok(['enqueue', '--priority=-5', '--', 'true']);
  const jobs = await cli.json<JobJson[]>(['list']);
  assert.deepEqual(
    jobs.map(({ priority }) => priority),
    [-5, -5],
  );
  const forgotten = ['enqueue', '--priority', '--max-retries', '1', '--', 'true'];
  assert.match(await cli.refused(forgotten, 2), /--priority needs a value/);
  assert.match(await cli.refused(['enqueue', '--delay', '-5m', '--', 'true'], 2), /"-5m"/);
  // An operand as well: it is told its range, not that there is no such flag.
  assert.match(await cli.refused(['config', 'set', 'max_retries', '-1'], 2), /from 0 to/);
  assert.equal((await cli.json<JobJson[]>(['list'])).length, 2);
});

test("SH-08 · the job's own PATH and directory find the program", async (t) => {
  const cli = box(t);
  await cli.ok(['worker', 'start'], { cwd: '/' });
  const bin = join(cli.directory, 'bin');
  const w = join(cli.directory, 'w');
  for (const file of [join(bin, 'mytool'), join(w, 'run.sh')]) {
    mkdirSync(join(file, '..'));
    writeFileSync(file, '#!/bin/sh\necho tool $PWD\n', { mode: 0o755 });
  }
  const run = async (args: string[], env = {}): Promise<string> => {
    const id = (await cli.ok(['enqueue', '--quiet', ...args], { env })).trim();
    await cli.ok(['wait', id]);
    return await cli.ok(['logs', id]);
  };
  const PATH = `${bin}:/usr/bin:/bin`;
  assert.equal(await run(['--env', `PATH=${PATH}`, '--', 'mytool']), `tool ${cli.directory}\n`);
  assert.equal(await run(['--', 'mytool'], { PATH }), `tool ${cli.directory}\n`);
  assert.equal(await run(['--shell', 'mytool'], { PATH }), `tool ${cli.directory}\n`);
  assert.equal(await run(['--cwd', 'w', '--', './run.sh']), `tool ${w}\n`);
  // `run` is looked up the same way.
  for (const [args, where] of [
    [['--env', `PATH=${PATH}`, '--', 'mytool'], cli.directory],
    [['--cwd', 'w', '--', './run.sh'], w],
  ] as const) {
    assert.equal(await cli.ok(['run', ...args]), `tool ${where}\n`);
  }
  const json = JSON.stringify({ id: 'j', args: ['./run.sh'], cwd: 'w' });
  assert.equal((await cli.json<JobJson>(['enqueue', json])).cwd, w);
  await cli.ok(['wait', 'j']);
});

test('SH-09 · environment names and values arrive unchanged', async (t) => {
  const cli = await working(t);
  const env = {
    'a.b': '1',
    'x-y': '2',
    E: '',
    P: '50% $HOME `x` "q"',
    NL: 'a\nb=c',
    'BASH_FUNC_f%%': '() { echo hi; }',
  };
  const flags = Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
  await cli.ok(['enqueue', '--id', 'flags', ...flags, '--', 'env', '-0']);
  await cli.ok(['enqueue', JSON.stringify({ id: 'json', args: ['env', '-0'], env })]);
  await cli.ok(['enqueue', '--id', 'bash', ...flags, '--', 'bash', '-c', 'f']);
  await cli.ok(['wait', 'flags', 'json', 'bash']);
  for (const id of ['flags', 'json']) {
    const seen = (await cli.ok(['logs', id])).split('\0');
    for (const [name, value] of Object.entries(env)) assert.ok(seen.includes(`${name}=${value}`));
  }
  assert.equal(await cli.ok(['logs', 'bash']), 'hi\n');
  for (const bad of [{ 'a=b': '1' }, { '': '1' }, { 'a\0': '1' }, { a: '\0' }, { a: 1 }]) {
    await cli.refused(['enqueue', JSON.stringify({ command: 'true', env: bad })], 2);
  }
});

test('SH-10 · no HOME, odd HOME, bare environment', async (t) => {
  const cli = box(t);
  const bare = `env -i QUEUECTL_HOME=${cli.home} TMPDIR=/nonexistent LC_ALL=C ${QUEUECTL}`;
  await line(cli, `${bare} enqueue --id u --shell "printf 'zażółć 😀'; date >/dev/null"`);
  const { code } = await line(cli, `${bare} worker start --foreground --drain`);
  assert.equal(code, 0);
  assert.equal(await cli.ok(['logs', 'u']), 'zażółć 😀');
  assert.equal((await cli.json<JobJson>(['show', 'u'])).state, 'completed');

  const odd = await line(cli, `env -i HOME=/dev/null ${QUEUECTL} status`);
  assert.deepEqual([odd.code, odd.stdout], [5, '']);
  assert.match(odd.stderr, /^queuectl: .*\/dev\/null\/\.queuectl.*\nhint: .*QUEUECTL_HOME.*\n$/);
  assert.deepEqual(readdirSync(cli.directory), []);
});

test('SH-11 · a relative QUEUECTL_HOME', async (t) => {
  const cli = box(t);
  // Where it would land if a process that went to / resolved it anew.
  const wrong = ['/queue.db', '/home/queue.db'].filter((path) => !existsSync(path));
  await cli.ok(['worker', 'start'], { env: { QUEUECTL_HOME: '../home' } });
  await cli.ok(['enqueue', '--id', 'a', '--', 'true'], { cwd: '/' });
  await cli.ok(['wait', 'a'], { cwd: '/' });
  // One that is replaced works on the same store, though the directory it was started from
  // is gone by then.
  const [worker] = await cli.json<{ pid: number }[]>(['worker', 'list'], { cwd: '/' });
  rmdirSync(cli.directory);
  process.kill(worker?.pid ?? assert.fail('no worker'), 'SIGKILL');
  await cli.ok(['enqueue', '--id', 'b', '--', 'true'], { cwd: '/' });
  await cli.ok(['wait', 'b'], { cwd: '/' });
  assert.ok(!wrong.some((path) => existsSync(path)));
  mkdirSync(cli.directory);

  // The same with a relative --db, whose things lie beside it.
  await cli.ok(['--db', 'rel.db', 'worker', 'start']);
  const db = join(cli.directory, 'rel.db');
  await cli.ok(['--db', db, 'enqueue', '--id', 'c', '--', 'true'], { cwd: '/' });
  await cli.ok(['--db', db, 'wait', 'c'], { cwd: '/' });
  await cli.ok(['--db', db, 'worker', 'stop', '--now'], { cwd: '/' });
  // Two that close at the same moment leave each other's -wal and -shm.
  const made = readdirSync(cli.directory).map((name) => name.replace(/-(wal|shm)$/, ''));
  assert.deepEqual([...new Set(made)].toSorted(), ['rel.db', 'rel.db.d']);
});
