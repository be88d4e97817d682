// Guarantee 5, faults 37 to 39: the processes of an attempt are found by marker, group and
// session and ended to the last one; a stranger, whatever numbers it has, is left alone.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { bootClock, readStat, selfIdentity } from '../../src/platform/identity.ts';
import {
  killAndWait,
  type ProcessRef,
  processesOf as processesSeen,
  signalGroup,
  signalProcess,
  type Trace,
} from '../../src/platform/processes.ts';
import { isGone, LINUX, tempDirectory, until } from './command-support.ts';

async function processesOf(...asked: Parameters<typeof processesSeen>): Promise<ProcessRef[]> {
  return (await processesSeen(...asked)) ?? assert.fail('nobody can say');
}

const sleep = (ms: number): Promise<void> => delay(ms);

interface Started {
  readonly leader: ProcessRef;
  /** What it printed: pids by name. */
  readonly pids: ReadonlyMap<string, number>;
  readonly exited: () => Promise<void>;
  readonly output: () => string;
}

/** Runs a script as the leader of its own session until it has said `ready`. */
async function lead(
  t: TestContext,
  script: string,
  env: Record<string, string> = {},
): Promise<Started> {
  const child = spawn('/bin/sh', ['-c', script], {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
    env: { PATH: process.env['PATH'], ...env },
  });
  const { pid = 0 } = child;
  const leader = { pid, startTime: readStat(pid)?.startTime ?? '' };
  const ended = once(child, 'exit');
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  await until(() => output.includes('ready'), 'it is ready');
  const pids = new Map<string, number>();
  for (const [, name = '', number] of output.matchAll(/(\w+) (\d+)/g))
    pids.set(name, Number(number));
  t.after(() => {
    for (const one of [pid, ...pids.values()]) {
      if (!isGone(one)) process.kill(one, 'SIGKILL');
    }
    child.stdout.destroy();
  });
  return {
    leader,
    pids,
    exited: async () => {
      await ended;
    },
    output: () => output,
  };
}

function marked(): { marker: string; env: Record<string, string> } {
  const marker = `${randomUUID()}:7`;
  return { marker, env: { QUEUECTL_MARKER: marker } };
}

const pidsOf = (refs: readonly ProcessRef[]): number[] =>
  refs.map((ref) => ref.pid).toSorted((a, b) => a - b);

const UNSHARE = ['--pid', '--fork', '--mount-proc'];
const mayUnshare = LINUX && spawnSync('unshare', [...UNSHARE, 'true']).status === 0;
const NAMESPACES = mayUnshare ? {} : { skip: 'needs root, to make a pid namespace' };

const options = LINUX ? {} : { skip: 'needs /proc' };

test('members are found by group, session and marker', options, async (t) => {
  const { marker, env } = marked();
  const { leader, pids } = await lead(
    t,
    `env -i sleep 60 & echo bare $!
     setsid sh -c 'echo left $$; env -i sleep 60 & echo leftbare $!; wait' &
     sleep 0.2; echo ready; wait`,
    env,
  );
  const all = [leader.pid, ...pids.values()].toSorted((a, b) => a - b);
  assert.equal(all.length, 4);
  assert.deepEqual(pidsOf(await processesOf([{ marker, leader }])), all);
  // The marker alone finds whoever carries it, and their sessions.
  assert.deepEqual(pidsOf(await processesOf([{ marker, leader: null }])), all);
  // The leader alone finds who stayed.
  const other = `${marker}0`;
  assert.deepEqual(
    pidsOf(await processesOf([{ marker: other, leader }])),
    [leader.pid, pids.get('bare') ?? 0].toSorted((a, b) => a - b),
  );
  assert.deepEqual(
    pidsOf(await processesOf([{ marker, leader }], { scope: 'group' })),
    [leader.pid, pids.get('bare') ?? 0].toSorted((a, b) => a - b),
  );
  assert.ok(await killAndWait([{ marker, leader }], { sleep }));
  assert.ok(all.every(isGone));
});

test('a marker is whole or none', options, async (t) => {
  const { marker, env } = marked();
  const { leader } = await lead(t, 'echo ready; exec sleep 60', {
    ...env,
    X: `y QUEUECTL_MARKER=${marker}0`,
  });
  const found = async (text: string): Promise<number> =>
    (await processesOf([{ marker: text, leader: null }])).length;
  const quoting = await lead(t, 'echo ready; exec sleep 60', { X: `y QUEUECTL_MARKER=${marker}` });
  assert.equal(await found(marker), 1);
  for (const text of [`${marker}0`, marker.slice(0, -1), marker.slice(1), ''])
    assert.equal(await found(text), 0);
  assert.ok(await killAndWait([{ marker, leader }], { sleep }));
  assert.ok(!isGone(quoting.leader.pid));
});

test('a pid with another start time is a stranger', options, async (t) => {
  const { leader, pids } = await lead(t, 'sleep 60 & echo child $!; echo ready; wait');
  const later = { ...leader, startTime: String(Number(leader.startTime) - 1) };
  const trace: Trace = { marker: randomUUID(), leader: later };
  for (const look of [{}, { endedAt: bootClock() }, { scope: 'group' as const }]) {
    assert.deepEqual(await processesOf([trace], look), []);
  }
  assert.ok(await killAndWait([trace], { sleep }));
  assert.ok(!isGone(leader.pid) && !isGone(pids.get('child') ?? 0));
});

test('a group whose leader is gone is ours only with proof', options, async (t) => {
  const { marker, env } = marked();
  // As a daemon leaves it, and as a reused number would look.
  const bare = await lead(t, 'sleep 60 & echo child $!; echo ready');
  await bare.exited();
  const [child = 0] = bare.pids.values();
  const unknown: Trace = { marker, leader: bare.leader };
  assert.deepEqual(await processesOf([unknown]), []);
  assert.deepEqual(pidsOf(await processesOf([unknown], { endedAt: bootClock() })), [child]);
  const known = await processesOf([unknown], { endedAt: bootClock() });
  assert.deepEqual(pidsOf(await processesOf([unknown], { known })), [child]);
  const wrong = known.map((ref) => ({ ...ref, startTime: '1' }));
  assert.deepEqual(await processesOf([unknown], { known: wrong }), []);
  assert.ok(await killAndWait([unknown], { sleep }));
  assert.ok(!isGone(child));

  // One who carries the marker has held the number all the time, for all the others too.
  const proven = await lead(
    t,
    'env -i sleep 60 & echo bare $!; sleep 60 & echo own $!; echo ready',
    env,
  );
  await proven.exited();
  const ours = [...proven.pids.values()].toSorted((a, b) => a - b);
  assert.equal(ours.length, 2);
  assert.deepEqual(pidsOf(await processesOf([{ marker, leader: proven.leader }])), ours);
  assert.ok(await killAndWait([{ marker, leader: proven.leader }], { sleep }));
  assert.ok(ours.every(isGone));
});

test('several attempts are ended in one go', options, async (t) => {
  const traces: Trace[] = [];
  const pids: number[] = [];
  for (let count = 0; count < 3; count += 1) {
    const { marker, env } = marked();
    const started = await lead(t, `trap '' TERM; echo ready; sleep 60; sleep 60`, env);
    traces.push({ marker, leader: count === 0 ? null : started.leader });
    pids.push(started.leader.pid);
  }
  assert.ok(await killAndWait(traces, { sleep }));
  assert.ok(pids.every(isGone));
  assert.ok(await killAndWait([], { sleep }));
});

test('no signal goes to everybody, to ourselves or to who is gone', async (t) => {
  for (const group of [0, 1, -1, Number.NaN, 1.5])
    assert.equal(signalGroup(group, 'SIGKILL'), 'gone');
  const self = selfIdentity();
  assert.equal(signalProcess({ ...self, startTime: '1', host: 'another' }, 'SIGKILL'), 'gone');
  if (!LINUX) return;
  assert.equal(signalProcess({ ...self, startTime: '1' }, 'SIGKILL'), 'gone');
  const { marker, env } = marked();
  const { leader, exited } = await lead(t, `echo ready; exec sleep 60`, env);
  assert.equal(signalGroup(leader.pid, 0), 'sent');
  assert.ok(await killAndWait([{ marker, leader }], { sleep }));
  await exited();
  assert.equal(signalGroup(leader.pid, 0), 'gone');
});

test('a carrier in a stranger’s session is ended alone', options, async (t) => {
  const { marker, env } = marked();
  // As in a shell that somebody has given the variables of a job.
  const { leader, pids } = await lead(
    t,
    `sleep 60 & echo other $!
     QUEUECTL_MARKER=${env['QUEUECTL_MARKER']} sleep 60 & echo carrier $!
     echo ready; wait $!; sleep 60`,
  );
  const carrier = pids.get('carrier') ?? 0;
  // Its shell has said its pid before it became what carries the marker.
  await until(() => readFileSync(`/proc/${carrier}/environ`).includes(marker), 'it carries it');
  assert.deepEqual(pidsOf(await processesOf([{ marker, leader: null }])), [carrier]);
  assert.ok(await killAndWait([{ marker, leader: null }], { sleep }));
  assert.ok(isGone(carrier));
  assert.ok(!isGone(leader.pid) && !isGone(pids.get('other') ?? 0));
});

test('a worker inside a job’s group ends the others, not itself', options, async (t) => {
  const { marker, env } = marked();
  const source = (name: string): string =>
    new URL(`../../src/platform/${name}`, import.meta.url).pathname;
  const file = join(tempDirectory(t), 'inside.ts');
  writeFileSync(
    file,
    `import { readStat } from '${source('identity.ts')}';
    import { killAndWait } from '${source('processes.ts')}';
    const leader = { pid: process.ppid, startTime: readStat(process.ppid).startTime };
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const gone = await killAndWait([{ marker: '${marker}', leader }], { sleep });
    console.log('all others gone:', gone);`,
  );
  const { leader, pids, output } = await lead(
    t,
    `sleep 60 & echo other $!; echo ready; "${process.execPath}" "${file}"; echo never`,
    env,
  );
  await until(() => output().includes('all others gone: true'), 'it has survived');
  assert.ok(isGone(leader.pid) && isGone(pids.get('other') ?? 0));
});

test('a job’s process that is in our group is ended, and we are not', options, async (t) => {
  const { marker, env } = marked();
  const child = spawn('sleep', ['60'], {
    stdio: 'ignore',
    env: { PATH: process.env['PATH'], ...env },
  });
  t.after(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  while ((await processesOf([{ marker, leader: null }])).length === 0);
  assert.deepEqual(pidsOf(await processesOf([{ marker, leader: null }])), [child.pid]);
  assert.ok(await killAndWait([{ marker, leader: null }], { sleep }));
  await exited;
});

// `docker exec` and `nsenter` enter a container so: the session's leader is outside, and the
// kernel writes 0 for it.
test('who was started from outside our pid namespace is found too', NAMESPACES, async (t) => {
  const { marker, env } = marked();
  const platform = new URL('../../src/platform/', import.meta.url).pathname;
  const file = join(tempDirectory(t), 'entered.ts');
  writeFileSync(
    file,
    `import { spawn } from 'node:child_process';
    import { once } from 'node:events';
    import { readStat } from '${platform}identity.ts';
    import { killAndWait } from '${platform}processes.ts';
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const child = spawn('sleep', ['60'], { env: { ...process.env, ...${JSON.stringify(env)} } });
    const exited = once(child, 'exit');
    await once(child, 'spawn');
    console.log('session', readStat(child.pid).session);
    console.log('gone', await killAndWait([{ marker: '${marker}', leader: null }], { sleep }));
    const late = setTimeout(() => child.kill('SIGTERM'), 10_000);
    console.log((await exited)[1]);
    clearTimeout(late);`,
  );
  const { stdout, stderr } = spawnSync('unshare', [...UNSHARE, process.execPath, file], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  assert.equal(stdout, 'session 0\ngone true\nSIGKILL\n', stderr);
});

test('a group that is gone costs no pass over /proc', { skip: !LINUX }, async () => {
  const child = spawn('true', { stdio: 'ignore', detached: true });
  const { pid = 0 } = child;
  const leader = { pid, startTime: readStat(pid)?.startTime ?? '' };
  await once(child, 'exit');
  const trace: Trace = { marker: randomUUID(), leader };
  const timeOf = async (scope: 'group' | 'all'): Promise<number> => {
    const begun = performance.now();
    for (let n = 0; n < 50; n += 1) assert.deepEqual(await processesOf([trace], { scope }), []);
    return performance.now() - begun;
  };
  const [group, all] = [await timeOf('group'), await timeOf('all')];
  // Some hundred times as fast; a worker that stops with 400 attempts took seconds.
  assert.ok(group * 3 < all, `${group} ms against ${all} ms`);
});
