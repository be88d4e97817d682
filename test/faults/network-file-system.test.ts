// Fault 21: the database lies on a network file system. It is refused, unless somebody takes
// the risk in so many words. The kernel's answer to statfs(2) is changed under strace, so that
// what is shown is what the executable does with it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { networkFileSystem } from '../../src/platform/filesystem.ts';
import { type Box, box, QUEUECTL } from '../cli/box.ts';

const NFS = '6969000000000000';
const hasStrace = spawnSync('strace', ['--version']).status === 0;
const skip = process.platform === 'linux' && hasStrace ? false : 'needs strace';

interface Answer {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Calls queuectl where every file system says that it is this one. */
function on(type: string, cli: Box, args: readonly string[], env = {}): Answer {
  const inject = `inject=statfs:poke_exit=@arg2=${type}`;
  const traced = ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=statfs', '-e', inject];
  const { status, stdout, stderr } = spawnSync('strace', [...traced, QUEUECTL, ...args], {
    cwd: cli.directory,
    env: { ...cli.env, ...env },
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { status, stdout, stderr };
}

test('a database on a network file system is refused, and nothing is made there', { skip }, (t) => {
  const cli = box(t);
  for (const args of [['enqueue', '--', 'true'], ['list'], ['worker', 'start']]) {
    const { status, stderr } = on(NFS, cli, args);
    assert.equal(status, 5, stderr);
    assert.match(
      stderr,
      /^queuectl: .*queue\.db lies on a network file system \(NFS\).*\nhint: .*--allow-network-fs/,
    );
    assert.ok(!existsSync(cli.home));
  }
});

test('--allow-network-fs, or the variable, takes the risk', { skip }, async (t) => {
  const cli = box(t);
  const flag = on(NFS, cli, ['enqueue', '--allow-network-fs', '--id', 'a', '--', 'true']);
  assert.equal(flag.status, 0, flag.stderr);
  const variable = { QUEUECTL_ALLOW_NETWORK_FS: '1' };
  assert.equal(on(NFS, cli, ['enqueue', '--id', 'b', '--', 'true'], variable).status, 0);
  assert.equal(on(NFS, cli, ['list']).status, 5);
  assert.equal((await cli.json<unknown[]>(['list'])).length, 2);
});

test('doctor names it', { skip }, (t) => {
  const cli = box(t);
  const { status, stdout } = on(NFS, cli, ['doctor']);
  assert.equal(status, 5);
  assert.match(stdout, /FAILURE +file system .*NFS/);
});

test('what is local is local, what is not there yet is judged by what is above it', () => {
  const answers = new Map([
    ['/', 0xef53],
    ['/nfs', 0x6969],
    ['/cifs', -0xacb2be],
  ]);
  const asked = (path: string): string | null =>
    networkFileSystem(path, (name) => {
      const type = answers.get(name);
      if (type === undefined) throw Object.assign(new Error(name), { code: 'ENOENT' });
      return { type, bsize: 4096, bavail: 1 };
    });
  if (process.platform !== 'linux') return;
  assert.equal(asked('/home/me/queue.db'), null);
  assert.equal(asked('/nfs/me/queue.db'), 'NFS');
  assert.equal(asked('/cifs'), 'CIFS', 'with its sign, as some kernels hand it over');
});
