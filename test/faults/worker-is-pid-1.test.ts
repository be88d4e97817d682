// Fault 40: a worker in the foreground is process 1 of a pid namespace, as in a container
// without an init. It works and stops as anywhere else; orphans stay zombies, as neither
// runtime reaps what is not its own, and doctor says what to do about it.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { QUEUECTL, untilOutput } from '../cli/box.ts';
import { type Crew, crew, until } from '../fixtures/crew.ts';

const NAMESPACE = ['--pid', '--fork', '--mount-proc', '--kill-child'];
const possible = spawnSync('unshare', [...NAMESPACE, 'true']).status === 0;
const skip = possible ? false : 'unshare needs root, or user namespaces';

/** `worker start --foreground` as process 1; answers unshare, its only child is the worker. */
async function asProcessOne(queue: Crew): Promise<{ outside: ChildProcess; pid: number }> {
  const outside = spawn('unshare', [...NAMESPACE, QUEUECTL, 'worker', 'start', '--foreground'], {
    cwd: queue.directory,
    env: queue.env,
  });
  let pid: number | null = null;
  queue.cleanup(async () => {
    if (outside.exitCode !== null || outside.signalCode !== null) return;
    // From outside `worker stop` cannot see whether it lives, and would wait for its lease.
    if (pid === null) outside.kill('SIGKILL');
    else process.kill(pid, 'SIGTERM');
    await once(outside, 'exit');
  });
  await untilOutput(outside, /ready: pid/, 'stderr');
  pid = Number(readFileSync(`/proc/${outside.pid}/task/${outside.pid}/children`, 'utf8'));
  return { outside, pid };
}

test('as process 1 it runs jobs, and TERM stops it', { skip }, async (t) => {
  const queue = crew(t);
  const { outside, pid } = await asProcessOne(queue);
  assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^NSpid:\t\d+\t1$/m);

  await queue.enqueue('job', 'echo out; sleep 0.2 & exit 0');
  assert.equal((await queue.finished('job')).state, 'completed');
  assert.equal(await queue.ok(['logs', 'job']), 'out\n');
  await queue.enqueue('slow', 'sleep 60 & sleep 60', { timeout: 0.3, max_retries: 0 });
  assert.equal((await queue.finished('slow')).outcome, 'timed_out');

  await queue.enqueue('last', 'echo begun; sleep 0.5; echo done');
  await until('it runs', async () => (await queue.show('last')).state === 'processing');
  process.kill(pid, 'SIGTERM');
  await once(outside, 'exit');
  assert.equal(outside.exitCode, 0);
  const job = await queue.show('last');
  assert.deepEqual([job.state, await queue.ok(['logs', 'last'])], ['completed', 'begun\ndone\n']);
});

test('orphans do not keep a job from ending, and doctor says --init', { skip }, async (t) => {
  const queue = crew(t);
  await asProcessOne(queue);
  // Orphaned by a double fork, and over before the command is: nobody reaps it.
  await queue.enqueue('job', '(sh -c "exit 0" &); sleep 0.2');
  assert.equal((await queue.finished('job')).state, 'completed');
  await queue.enqueue('doctor', `${QUEUECTL} --no-color doctor`);
  await queue.finished('doctor');
  const said = await queue.ok(['logs', 'doctor']);
  assert.match(said, /process 1 here reaps no orphans/);
  assert.match(said, /docker run --init/);
  // Outside there is an init, or at least no queuectl.
  const { stdout } = await queue.q(['doctor']);
  assert.doesNotMatch(stdout, /reaps no orphans/);
});
