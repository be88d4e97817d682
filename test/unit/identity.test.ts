// Guarantee 5: a process is never taken for another one, and zombies are gone.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  bootClock,
  identityOf,
  liveness,
  parseStat,
  readStat,
  selfIdentity,
} from '../../src/platform/identity.ts';
import { linuxOnly, tempDirectory, until } from './command-support.ts';

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

test('we are alive, and only we are we', () => {
  const self = selfIdentity();
  assert.equal(self.pid, process.pid);
  assert.equal(liveness(self), 'alive');
  assert.deepEqual(identityOf(process.pid), self);
  assert.deepEqual(selfIdentity(), self);
});

test('each part of an identity counts', linuxOnly, () => {
  const self = selfIdentity();
  assert.equal(liveness({ ...self, startTime: `${self.startTime}0` }), 'gone');
  assert.equal(liveness({ ...self, startTime: '' }), 'gone');
  assert.equal(liveness({ ...self, bootId: 'another boot' }), 'gone');
  assert.equal(liveness({ ...self, pidNamespace: 'pid:[1]' }), 'unknown');
  assert.equal(liveness({ ...self, host: 'another host' }), 'unknown');
  assert.equal(liveness({ ...self, host: 'another host', bootId: 'another boot' }), 'unknown');
});

test('a process that has ended is gone', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  const identity = identityOf(child.pid ?? 0);
  assert.ok(identity !== null);
  assert.equal(liveness(identity), 'alive');
  await kill(child);
  assert.equal(liveness(identity), 'gone');
  assert.equal(identityOf(identity.pid), null);
});

test('a zombie is gone', linuxOnly, async (t) => {
  // The process that started it becomes one that never waits for children.
  const child = spawn('/bin/sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.after(() => kill(child));
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  await until(() => output.includes('\n'), 'it tells the pid');
  const pid = Number(output);
  await until(() => readStat(pid)?.state === 'Z', 'it is a zombie');
  const { startTime } = readStat(pid) ?? { startTime: '' };
  assert.equal(identityOf(pid), null);
  assert.equal(liveness({ ...selfIdentity(), pid, startTime }), 'gone');
});

test('a name may hold anything', linuxOnly, async (t) => {
  const name = 'a) Z 1 (b\n';
  const program = join(tempDirectory(t), name);
  copyFileSync(realpathSync('/bin/sleep'), program);
  const child = spawn(program, ['60'], { stdio: 'ignore', detached: true });
  t.after(() => kill(child));
  const { pid = 0 } = child;
  const read = (): string => readFileSync(`/proc/${pid}/stat`, 'latin1');
  await until(() => read().includes(name), 'it has its name');
  const stat = readStat(pid);
  assert.equal(stat?.pid, pid);
  assert.match(stat.state, /^[RSD]$/);
  assert.equal(stat.group, pid);
  assert.equal(stat.session, pid);
  assert.ok(Math.abs(Number(stat.startTime) * 10 - bootClock()) < 10_000);
});

test('threads of the kernel are told apart by their flag', () => {
  const rest = '-1 69238880 0 0 0 0 0 0 0 0 20 0 1 0 17 0 0';
  assert.equal(parseStat(`2 (kthreadd) S 0 0 0 0 ${rest}`)?.kernel, true);
  assert.equal(parseStat(`9 (sh) S 0 0 0 0 ${rest.replace('69238880', '4194560')}`)?.kernel, false);
  assert.equal(readStat(process.pid)?.kernel, process.platform === 'linux' ? false : undefined);
});

test('what is no stat line is nothing', () => {
  for (const line of ['', '12', '12 (sh)', '12 (sh) S 1 2 3']) assert.equal(parseStat(line), null);
  assert.equal(readStat(0), null);
});

test('the boot clock goes forward', async () => {
  const before = bootClock();
  await until(() => bootClock() > before, 'it moves');
  assert.ok(bootClock() - before < 5000);
});
