// Fault 22: no handle of ours reaches a job. Neither the database nor a pipe of another job
// nor whatever the worker was started with is open in its command or in what that starts;
// a handle of the database would keep its locks alive, a pipe the output of a stranger.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { type Crew, crew, signal, until } from '../fixtures/crew.ts';
import { EXECUTABLE } from '../cli/support.ts';

const skip = process.platform === 'linux' ? false : 'needs /proc';

/** `0 /dev/null`, `1 pipe:[…]`: what a process has open. */
function handlesOf(pid: number): string[] {
  const directory = `/proc/${pid}/fd`;
  return readdirSync(directory).map((fd) => `${fd} ${readlinkSync(`${directory}/${fd}`)}`);
}

/** The command itself, a child, a grandchild in the background, and one that left the group. */
const FAMILY = `sh -c 'sleep 61 & wait' & setsid sleep 62 & until [ -e go ]; do sleep 0.02; done`;
const KIN = ['/bin/sh -c sh -c', 'sh -c sleep 61 & wait', 'sleep 61', 'sleep 62'];

/** The processes of so many families, once all are there. */
async function families(queue: Crew, count: number): Promise<number[]> {
  const kin = (start: string): number[] =>
    queue.processes().flatMap(({ pid, args }) => (args.startsWith(start) ? pid : []));
  await until('all run', () => KIN.every((start) => kin(start).length === count));
  // Who left the group outlives a command that ends by itself.
  queue.cleanup(() => kin('sleep 62').forEach((pid) => signal(pid, 'SIGKILL')));
  return KIN.flatMap(kin);
}

/** Nothing but stdin and the two pipes of its own output. Answers these. */
function assertClean(pid: number, stdin = '/dev/null'): string {
  const handles = handlesOf(pid);
  const [input, ...outputs] = handles;
  assert.equal(input, `0 ${stdin}`);
  const [stdout = '', stderr = '', ...more] = outputs;
  assert.match(stdout, /^1 pipe:/);
  assert.match(stderr, /^2 pipe:/);
  assert.deepEqual(more, [], `process ${pid}: ${handles.join(', ')}`);
  return `${stdout} ${stderr}`;
}

suite('a job and what it starts inherit no handle', { concurrency: 2, skip }, () => {
  test('of a worker in the background that runs several', async (t) => {
    const queue = crew(t);
    // Started as a script does that holds a lock and a file of its own.
    const script = `exec 7<"$0" 8>other 9>>lock; "$0" worker start --concurrency 4`;
    const child = spawn('sh', ['-c', script, EXECUTABLE], {
      cwd: queue.directory,
      env: queue.env,
      stdio: 'ignore',
    });
    assert.deepEqual(await once(child, 'exit'), [0, null]);
    const ids = ['a', 'b', 'c', 'd'];
    for (const id of ids) await queue.enqueue(id, FAMILY);
    const pids = await families(queue, 4);
    const outputs = new Set(pids.map((pid) => assertClean(pid)));
    // Each job has pipes of its own: who holds another's would keep it from ending.
    assert.equal(outputs.size, 4);
    // Nor does the worker hold what its starter had open.
    for (const { pid, args } of queue.processes()) {
      if (!args.includes('__')) continue;
      assert.doesNotMatch(handlesOf(pid).join('\n'), /\/(other|lock)$/m, args);
    }
    writeFileSync(join(queue.directory, 'go'), '');
    for (const job of await queue.allFinished(ids)) assert.equal(job.state, 'completed');
  });

  test('of a worker in the foreground that drains', async (t) => {
    const queue = crew(t);
    const file = join(queue.directory, 'input');
    writeFileSync(file, 'text');
    await queue.ok(['enqueue', '--id', 'job', '--stdin', file, '--shell', FAMILY]);
    const worker = queue.start(['worker', 'start', '--foreground', '--drain']);
    const stopped = once(worker, 'exit');
    const [command = 0, ...kin] = await families(queue, 1);
    assertClean(command, file);
    // What a shell puts in the background reads nothing.
    for (const pid of kin) assertClean(pid);
    writeFileSync(join(queue.directory, 'go'), '');
    assert.deepEqual(await stopped, [0, null]);
    assert.equal((await queue.show('job')).state, 'completed');
  });
});
