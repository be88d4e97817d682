// Fault 35: a job is due in 30 days, longer than a timer of 31 bits can wait: set naively it
// fires at once, and again, and a worker spins for a month. Nobody spins, no timer is longer
// than that, and the job starts at its time (guarantee 7).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { MAX_TIMER_MS, systemEnv } from '../../src/env.ts';
import { Queue } from '../../src/queue.ts';
import { crew } from '../fixtures/crew.ts';
import { createWorld, deadProcess, enqueue, startWorker } from '../fixtures/engine.ts';
import { startReaper } from './kit/stepped.ts';

const DAY = 86_400_000;
const MONTH = 30 * DAY;

suite('a job is due in 30 days', () => {
  test('worker, reaper and a waiting client do next to nothing until then', async (t) => {
    const world = await createWorld(t);
    const { env } = world;
    const runAt = env.now() + MONTH;
    const [id = ''] = await enqueue(world, [{ runAt }]);
    const { runner, observed } = await startWorker(world);
    startReaper(world, deadProcess());
    const waiting = new Queue(world.client, env).wait([id], { timeout: 2 * MONTH });
    await env.advance(5000);

    observed.calls.length = 0;
    await env.advance(60_000);
    assert.equal(observed.count('turn'), 0, 'nothing is claimed, again and again');
    assert.ok(observed.calls.length < 250, `${observed.calls.length} calls in a minute`);
    assert.ok(Math.max(...env.sleeping) <= MAX_TIMER_MS, String(env.sleeping));

    // The rest of the month, but for its last second; then to the millisecond.
    env.freeze(runAt - env.now() - 1000);
    await env.advance(999);
    assert.equal(runner.attempts.length, 0);
    await env.advance(1);
    assert.equal(runner.attempts.length, 1);
    runner.at(0).exit(0);
    await env.advance(1500);
    assert.equal((await waiting)[0]?.state, 'completed');
  });

  test('a timer of 30 days is not over at once', async () => {
    const cancel = new AbortController();
    let over = false;
    const month = systemEnv.sleep(MONTH, cancel.signal).then(
      () => (over = true),
      () => undefined,
    );
    // Node lets one that does not fit fire after 1 ms.
    await systemEnv.sleep(100);
    assert.equal(over, false);
    cancel.abort();
    await month;
  });

  test('the executable waits for it and takes no CPU', async (t) => {
    const queue = crew(t);
    await queue.begin('--count', '1');
    await queue.enqueue('job', 'true', { delay: '30d' });
    const [worker] = await queue.workers();
    assert.ok(worker);
    await systemEnv.sleep(1000);
    const begun = ticks(worker.pid);
    await systemEnv.sleep(3000);
    const used = ticks(worker.pid) - begun;
    // A worker that spins takes 300. Idle ones took 1 to 2, on a busy machine too.
    assert.ok(used < 60, `${used} ticks of CPU in 3 s`);
    assert.equal((await queue.show('job')).state, 'pending');
  });
});

/** CPU time of a process, in hundredths of a second; fields 14 and 15 of proc(5). */
function ticks(pid: number): number {
  const line = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
