// What a dead worker leaves behind: attempts by their markers, and a child that was killed
// between fork and exec, which carries the worker's own marker still.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemEnv } from '../../src/env.ts';
import { MARKER_NAME, markerOf } from '../../src/platform/processes.ts';
import { createLeftovers } from '../../src/worker/leftovers.ts';
import { openRoster, readRoster, readWorkerMarker } from '../../src/worker/roster.ts';

const linuxOnly = { skip: process.platform === 'linux' ? false : 'needs /proc' };

/** Nobody else's: tests of another copy may run beside these, and see all processes. */
const DATABASE = crypto.randomUUID();
const WORKER = `worker:${DATABASE}`;

/** Where it is not ended the test would wait for it. */
const bounded = { ...linuxOnly, timeout: 15_000 };

async function carrier(t: TestContext, marker: string): Promise<{ ended: Promise<unknown[]> }> {
  const env = { PATH: process.env['PATH'], [MARKER_NAME]: marker };
  const child = spawn('sh', ['-c', 'echo up; exec sleep 100'], {
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await once(child.stdout, 'data');
  return { ended };
}

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'queuectl-leftovers-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

test('the roster names the marker of its worker, and no attempt by it', (t) => {
  const roster = directory(t);
  const open = openRoster(roster, 'w1', 'worker:01a2');
  const entry = { runToken: 7, leader: { pid: 42, startTime: '9' } };
  open.add(entry);
  assert.equal(readWorkerMarker(roster, 'w1'), 'worker:01a2');
  assert.deepEqual(readRoster(roster, 'w1'), [entry]);
  open.close();
  assert.equal(readWorkerMarker(roster, 'w1'), null);
});

test('what a dead worker was just starting is ended with what it ran', bounded, async (t) => {
  const roster = directory(t);
  openRoster(roster, 'w1', WORKER);
  const starting = await carrier(t, WORKER);
  const running = await carrier(t, markerOf(DATABASE, 7));
  const leftovers = createLeftovers({ env: systemEnv, databaseId: DATABASE, roster, log() {} });
  assert.equal(await leftovers.end([7], 'w1', true), true);
  assert.deepEqual(await starting.ended, [null, 'SIGKILL']);
  assert.deepEqual(await running.ended, [null, 'SIGKILL']);
  leftovers.forget('w1');
});

test('a worker that lives is not ended with an attempt that it lost', linuxOnly, async (t) => {
  const roster = directory(t);
  openRoster(roster, 'w1', WORKER);
  const worker = await carrier(t, WORKER);
  const running = await carrier(t, markerOf(DATABASE, 7));
  let ended = false;
  void worker.ended.then(() => {
    ended = true;
  });
  const leftovers = createLeftovers({ env: systemEnv, databaseId: DATABASE, roster, log() {} });
  assert.equal(await leftovers.end([7], 'w1', false), true);
  await running.ended;
  assert.equal(ended, false);
  leftovers.forget('w1');
});
