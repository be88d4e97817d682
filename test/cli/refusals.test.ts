// Bad input and bad surroundings: the exit code, one line that says what, a hint, and
// everything left as it was. SH-10; faults 11, 13, 14, 46, 51.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { box, exitCode, QUEUECTL, untilOutput } from './box.ts';

test('wrong usage is 2, whatever it is', async (t) => {
  const cli = box(t);
  for (const args of [
    ['enqeue'],
    ['list', '--bogus'],
    ['list', '--state', 'daed'],
    ['enqueue', '--priority', '--max-retries', '1', '--', 'true'],
    ['enqueue', '{"id":"a","command":"x"'],
    ['enqueue', '{"id":"a","command":""}'],
    ['enqueue', '{"id":"a","command":"x\\u0000y"}'],
    ['enqueue', '{"id":"../a","command":"x"}'],
    ['enqueue', '{"id":"a","comand":"x"}'],
    ['enqueue', '{"id":"a","command":"x","max_retries":-1}'],
    ['enqueue', '{"id":"a","command":"x","max_retries":"2"}'],
    ['enqueue', '{"id":"a","command":"x","priority":1e99}'],
    ['enqueue', '{"id":"a","command":"x","run_at":"2030-02-30T00:00Z"}'],
    ['enqueue', '{"id":"a","command":"x","run_at":"2030-02-03T00:00"}'],
    ['enqueue', '[]'],
    ['enqueue', '--id', 'a b', '--', 'true'],
    ['show'],
    ['show', 'a', 'b'],
    ['config', 'get', 'nosuch'],
    ['dlq', 'purge'],
  ]) {
    await cli.refused(args, 2);
  }
  assert.ok(!existsSync(cli.home) || (await cli.ok(['list', '--json'])) === '[]\n');
});

test('a command of 10 MB is refused, from a file and from an argument', async (t) => {
  const cli = box(t);
  const input = JSON.stringify({ id: 'big', command: 'x'.repeat(10_000_000) });
  assert.match(
    await cli.refused(['enqueue', '-'], 2, { input }),
    /line 1: command must be at most/,
  );
  await cli.refused(['enqueue', '--', 'true', 'x'.repeat(130_000)], 2);
  await cli.refused(['show', 'big'], 3);
});

test('an unknown id is 3, a wrong state or a taken id 4', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'a', '--', 'true']);
  for (const command of [
    ['show'],
    ['cancel'],
    ['retry'],
    ['dlq', 'retry'],
    ['dlq', 'show'],
    ['logs'],
  ]) {
    await cli.refused([...command, 'nosuch'], 3);
  }
  await cli.refused(['dlq', 'retry', 'a'], 4);
  await cli.refused(['dlq', 'show', 'a'], 4);
  await cli.refused(['enqueue', '--id', 'a', '--', 'true'], 4);
  await cli.ok(['cancel', 'a']);
  await cli.refused(['cancel', 'a'], 4);
  // Several: the first that failed, in the order asked; the others are done.
  await cli.ok(['enqueue', '--id', 'b', '--', 'true']);
  const { code, stdout } = await cli.q(['cancel', 'nosuch', 'a', 'b']);
  assert.deepEqual([code, stdout], [3, 'Cancelled b\n']);
});

test('no HOME takes the password file, an impossible one is 5, nothing is left behind', async (t) => {
  const cli = box(t);
  const env = { HOME: '/dev/null', QUEUECTL_HOME: undefined };
  const message = await cli.refused(['status'], 5, { env });
  assert.match(message, /\/dev\/null/);
  assert.match(message, /hint: /);
  await cli.refused(['status'], 5, { env: { QUEUECTL_HOME: '/proc/queuectl' } });
  assert.deepEqual(readdirSync(cli.directory), []);
});

test('a database that is not one is 6 and stays as it is', async (t) => {
  const cli = box(t);
  const file = join(cli.directory, 'q.db');
  for (const content of ['', 'this is not a database, it is a text of some length\n'.repeat(200)]) {
    writeFileSync(file, content);
    await cli.refused(['--db', file, 'list'], 6);
    await cli.refused(['--db', file, 'enqueue', '--', 'true'], 6);
    assert.equal(readFileSync(file, 'utf8'), content);
  }
});

const NOBODY = 65_534;

test('a home that cannot be written, or belongs to somebody else, is 5', async (t) => {
  const cli = box(t);
  const isRoot = process.getuid?.() === 0;
  const readOnly = join(cli.directory, 'read-only');
  mkdirSync(readOnly, { mode: 0o500 });
  if (isRoot) chownSync(readOnly, NOBODY, NOBODY);
  // Nobody else may look into the directories of a sandbox.
  for (const directory of [dirname(cli.directory), cli.directory]) chmodSync(directory, 0o755);
  const refused = (home: string): string => {
    const { status, stdout, stderr } = spawnSync(QUEUECTL, ['enqueue', '--', 'true'], {
      cwd: '/',
      env: { ...cli.env, QUEUECTL_HOME: home },
      encoding: 'utf8',
      ...(isRoot && { uid: NOBODY, gid: NOBODY }),
    });
    assert.deepEqual([status, stdout], [5, '']);
    return stderr;
  };
  assert.match(refused(readOnly), /^queuectl: cannot write to .*\nhint: .*\n$/);
  assert.match(refused('/etc'), /^queuectl: \/etc belongs to another user .*\nhint: .*\n$/);
});

test('a stdout that cannot be written is an error', { skip: noDevFull() }, async (t) => {
  const cli = box(t);
  for (const command of ['list', 'list --json', '--version', 'help', 'enqueue --id a -- true']) {
    const { status, stderr } = spawnSync('sh', ['-c', `"$0" ${command} > /dev/full`, QUEUECTL], {
      env: cli.env,
      encoding: 'utf8',
    });
    assert.equal(status, 1, command);
    assert.match(stderr, /^queuectl: cannot write to stdout: no space left on device\nhint: /);
  }
  // What was asked for is done all the same.
  await cli.ok(['show', 'a']);
});

function noDevFull(): string | false {
  return existsSync('/dev/full') ? false : 'needs /dev/full';
}

test('a reader that leaves ends it quietly', async (t) => {
  const cli = box(t);
  const input = Array.from({ length: 20_000 }, (_, i) => `{"command":"true ${i}"}\n`).join('');
  await cli.ok(['enqueue', '-'], { input });
  for (const flags of [[], ['--json']]) {
    const child = spawn(QUEUECTL, ['list', '--limit', '20000', ...flags], {
      env: cli.env,
    });
    const ended = once(child, 'exit');
    let stderr = '';
    child.stderr.on('data', (chunk) => (stderr += String(chunk)));
    await untilOutput(child, /\n/);
    child.stdout.destroy();
    assert.deepEqual([(await ended)[0], stderr], [0, '']);
  }
});

test('nothing is read or run from the directory it is called in', async (t) => {
  const cli = box(t);
  const trap = `require('fs').writeFileSync('${join(cli.directory, 'trapped')}', '')`;
  const place = join(cli.directory, 'hostile');
  mkdirSync(join(place, 'node_modules', 'string-width'), { recursive: true });
  writeFileSync(
    join(place, '.env'),
    'QUEUECTL_HOME=/nonexistent/env\nNODE_OPTIONS=--require=./x.js',
  );
  writeFileSync(join(place, 'bunfig.toml'), 'preload = ["./x.js"]\n[run]\nsilent = false\n');
  writeFileSync(join(place, 'x.js'), trap);
  writeFileSync(join(place, 'package.json'), '{"type":"commonjs","main":"x.js"}');
  writeFileSync(join(place, 'tsconfig.json'), '{"compilerOptions":{"paths":{"*":["./x.js"]}}}');
  copyFileSync(join(place, 'x.js'), join(place, 'node_modules', 'string-width', 'index.js'));
  await cli.ok(['enqueue', '--id', 'a', '--', 'echo', '漢字'], { cwd: place });
  await cli.ok(['list'], { cwd: place });
  await cli.ok(['worker', 'start', '--drain'], { cwd: place });
  await cli.ok(['wait', 'a'], { cwd: place });
  assert.ok(!existsSync(join(cli.directory, 'trapped')));
  assert.ok(existsSync(join(cli.home, 'queue.db')));
});

test('Ctrl-C ends what waits with 130, TERM with 143; it is how one leaves a watch', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'a', '--', 'true']);
  // Each says something once it waits: a hint, or its first picture.
  const wait = async (signal: NodeJS.Signals): Promise<number | null> => {
    const child = cli.start(['wait', 'a']);
    await untilOutput(child, /\n/, 'stderr');
    child.kill(signal);
    return await exitCode(child);
  };
  assert.equal(await wait('SIGINT'), 130);
  assert.equal(await wait('SIGTERM'), 143);
  const watch = cli.start(['status', '--watch']);
  await untilOutput(watch, /Workers/);
  watch.kill('SIGINT');
  assert.equal(await exitCode(watch), 0);
});
