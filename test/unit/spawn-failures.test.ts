// Every way in which a command cannot be started is told apart, with its true cause, and
// takes nothing down (SH-21, faults 44 and 45).

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { harness, linuxOnly, testOnBun, type Harness } from './command-support.ts';

async function failure(h: Harness, job: Parameters<Harness['run']>[0]): Promise<[number, string]> {
  const { outcome, logBytes, output } = await h.run(job);
  assert.equal(outcome.kind, 'spawn_failed', JSON.stringify(outcome));
  assert.ok(outcome.kind === 'spawn_failed' && !outcome.transient);
  assert.equal(logBytes, 0);
  assert.equal(output, '');
  return [outcome.code, outcome.error];
}

function fill(directory: string): void {
  const file = (name: string, text: string, mode: number): void => {
    writeFileSync(join(directory, name), text);
    chmodSync(join(directory, name), mode);
  };
  file('noexec', 'date', 0o644);
  file('crlf', '#!/bin/sh\r\necho hi\r\n', 0o755);
  file('interp', '#! /no/such/interp -x\n', 0o755);
  file('badinterp', '#!./noexec\n', 0o755);
  file('plain', 'echo hi\n', 0o755);
  // A real program with the name of its loader changed.
  const program = readFileSync(realpathSync('/bin/sleep'), 'latin1');
  writeFileSync(join(directory, 'foreign'), program.replace(/\/ld-linux/, '/ld-xinux'), 'latin1');
  chmodSync(join(directory, 'foreign'), 0o755);
  mkdirSync(join(directory, 'dir'));
  symlinkSync('/nowhere', join(directory, 'dangling'));
  symlinkSync('loop', join(directory, 'loop'));
}

test('programs that cannot be executed', linuxOnly, async (t) => {
  const h = harness(t);
  fill(h.directory);
  const started = (file: string) => failure(h, { spec: { args: [file] } });
  assert.deepEqual(await started('./missing'), [127, './missing: no such file']);
  assert.deepEqual(await started('./noexec'), [
    126,
    './noexec: permission denied: the file is not executable',
  ]);
  assert.deepEqual(await started('./crlf'), [
    126,
    './crlf: its #! line names /bin/sh followed by a carriage return: the file has Windows line endings',
  ]);
  assert.deepEqual(await started('./interp'), [
    126,
    './interp: its interpreter /no/such/interp does not exist',
  ]);
  assert.deepEqual(await started('./badinterp'), [
    126,
    './badinterp: its interpreter ./noexec is not executable',
  ]);
  const [code, error] = await started('./foreign');
  assert.equal(code, 126);
  assert.match(
    error,
    /^\.\/foreign: its program loader \/\S*ld-xinux\S* does not exist: it was built/,
  );
  assert.deepEqual(await started('./dir'), [126, './dir: is a directory']);
  assert.deepEqual(await started('./noexec/x'), [
    126,
    './noexec/x: a part of its path is not a directory',
  ]);
  assert.deepEqual(await started('./dangling'), [
    127,
    './dangling: a symbolic link to a file that does not exist',
  ]);
  assert.deepEqual(await started('./loop'), [126, './loop: too many symbolic links in its path']);
  const long = `./${'x'.repeat(300)}`;
  assert.deepEqual(await started(long), [
    126,
    `${long}: its path is longer than this system allows`,
  ]);
  // It still works.
  assert.equal((await h.run('echo alive')).stdout, 'alive\n');
});

test('programs that are not in PATH', async (t) => {
  const h = harness(t);
  fill(h.directory);
  const path = `/nowhere:${h.directory}:${h.directory}/noexec`;
  const started = (file: string) => failure(h, { path, spec: { args: [file] } });
  assert.deepEqual(await started('mytool'), [127, `mytool: not found in PATH (${path})`]);
  assert.deepEqual(await started('dir'), [127, `dir: not found in PATH (${path})`]);
  assert.deepEqual(await started(''), [127, `"" (an empty name): not found in PATH (${path})`]);
  assert.deepEqual(await started('noexec'), [
    126,
    `${h.directory}/noexec: permission denied: the file is not executable`,
  ]);
});

test('working directories that are none', async (t) => {
  const h = harness(t);
  fill(h.directory);
  const cwd = join(h.directory, 'gone');
  const message = `working directory ${cwd}: does not exist`;
  assert.deepEqual(await failure(h, { cwd }), [126, message]);
  assert.deepEqual(await failure(h, { cwd, spec: { args: ['ls'] } }), [126, message]);
  assert.deepEqual(await failure(h, { cwd, path: '.', spec: { args: ['ls'] } }), [126, message]);
  const file = join(h.directory, 'plain');
  assert.deepEqual(await failure(h, { cwd: file }), [
    126,
    `working directory ${file}: is not a directory`,
  ]);
});

// execvp(3) under Node gives it to a shell.
testOnBun('neither program nor script', async (t) => {
  const h = harness(t);
  fill(h.directory);
  assert.deepEqual(await failure(h, { spec: { args: ['./plain'] } }), [
    126,
    './plain: neither a program for this machine nor a script that begins with #!',
  ]);
});

test('too many arguments', linuxOnly, async (t) => {
  const h = harness(t);
  // 30 MB: more than a quarter of any usual stack limit, and more than the 6 MB for all.
  const args = ['/bin/echo', ...Array.from({ length: 300 }, () => 'x'.repeat(100_000))];
  assert.deepEqual(await failure(h, { spec: { args } }), [
    126,
    '/bin/echo: arguments and environment together are longer than this system allows',
  ]);
});

test('files for stdin that cannot be read', linuxOnly, async (t) => {
  const h = harness(t);
  const from = (stdin: string) => failure(h, { spec: { stdin } });
  const missing = join(h.directory, 'missing');
  assert.deepEqual(await from(missing), [126, `cannot read stdin from ${missing}: no such file`]);
  const fifo = join(h.directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  // Nobody writes to it: opening it would block the worker for ever.
  for (const path of [fifo, h.directory]) {
    assert.deepEqual(await from(path), [126, `cannot read stdin from ${path}: not a regular file`]);
  }
});
