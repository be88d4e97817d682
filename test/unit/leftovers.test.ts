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

test('what a dead worker was just starting is ended with what it ran', linuxOnly, async (t) => {
  const roster = directory(t);
  openRoster(roster, 'w1', 'worker:dead');
  const starting = await carrier(t, 'worker:dead');
  const running = await carrier(t, markerOf('db', 7));
  const leftovers = createLeftovers({ env: systemEnv, databaseId: 'db', roster });
  assert.equal(await leftovers.end([7], 'w1', true), true);
  assert.deepEqual(await starting.ended, [null, 'SIGKILL']);
  assert.deepEqual(await running.ended, [null, 'SIGKILL']);
  leftovers.forget('w1');
});

test('a worker that lives is not ended with an attempt that it lost', linuxOnly, async (t) => {
  const roster = directory(t);
  openRoster(roster, 'w1', 'worker:alive');
  const worker = await carrier(t, 'worker:alive');
  const running = await carrier(t, markerOf('db', 7));
  let ended = false;
  void worker.ended.then(() => {
    ended = true;
  });
  const leftovers = createLeftovers({ env: systemEnv, databaseId: 'db', roster });
  assert.equal(await leftovers.end([7], 'w1', false), true);
  await running.ended;
  assert.equal(ended, false);
  leftovers.forget('w1');
});
