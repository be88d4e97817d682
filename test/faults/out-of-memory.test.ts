// Fault 48: no memory left. Where it is the command's, the job fails as it does otherwise, and
// how it ended is told as it was; where it is the worker's, its attempt is lost and the job runs
// again (guarantee 6).

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { suite, test } from 'node:test';
import { crew, outcomes, until } from '../fixtures/crew.ts';

const skip = spawnSync('prlimit', ['--version']).status === 0 ? false : 'needs prlimit';

suite('out of memory', { skip, concurrency: 2 }, () => {
  test('a command that gets no more fails with its own exit code', async (t) => {
    const queue = crew(t);
    await queue.begin();
    // dd says so itself: "memory exhausted", exit code 1.
    const hungry = 'prlimit --as=50000000 dd if=/dev/zero of=/dev/null bs=200M count=1';
    await queue.enqueue('hungry', hungry, { max_retries: 0 });
    const job = await queue.finished('hungry');
    assert.deepEqual([job.state, job.outcome, job.exit_code], ['dead', 'exited', 1]);
    assert.match(await queue.ok(['logs', 'hungry']), /memory exhausted/);
    // Nothing of it is left with the worker.
    await queue.enqueue('next', 'true');
    const [next] = (await queue.finished('next')).history;
    assert.equal(next?.worker, job.history[0]?.worker);
  });

  test('a command that the kernel kills is told apart, with a hint', async (t) => {
    const queue = crew(t);
    await queue.begin();
    // What the OOM killer sends; nobody of ours did.
    await queue.enqueue('killed', 'kill -9 $$', { max_retries: 0 });
    const job = await queue.finished('killed');
    assert.deepEqual([job.state, job.outcome, job.signal], ['dead', 'signaled', 'SIGKILL']);
    const shown = await queue.ok(['show', 'killed']);
    assert.match(shown, /killed by SIGKILL/);
    assert.match(shown, /queuectl did not send that SIGKILL: if memory ran out/);
    // As a shell that waited for it says it.
    await queue.enqueue('inner', `sh -c 'kill -9 $$'; exit $?`, { max_retries: 0 });
    assert.equal((await queue.finished('inner')).exit_code, 137);
    assert.match(await queue.ok(['show', 'inner']), /SIGKILL has ended: if memory ran out/);
    // What we have ended ourselves is not.
    await queue.enqueue('late', `trap '' TERM; sleep 60`, { timeout: 0.2, max_retries: 0 });
    await queue.finished('late');
    assert.doesNotMatch(await queue.ok(['show', 'late']), /memory ran out/);
  });

  test('a worker that gets no more dies, and its job runs again elsewhere', async (t) => {
    const queue = crew(t);
    await queue.ok(['config', 'set', 'backoff_base', '1']);
    const [worker] = await queue.begin();
    const pid = worker?.pid ?? assert.fail();
    await queue.enqueue(
      'job',
      '[ $QUEUECTL_ATTEMPT != 1 ] || { echo begun > ready; exec sleep 60; }',
    );
    await until('the job runs', () => queue.lines('ready').length > 0);
    // Less than it has: whatever it asks for next is refused, and the runtime gives up.
    const limited = spawnSync('prlimit', ['--pid', String(pid), '--as=1', '--data=1']);
    assert.equal(limited.status, 0);
    const jobs = Array.from({ length: 200 }, (_, i) => ({ id: `j${i}`, command: 'true' }));
    const input = jobs.map((one) => JSON.stringify(one)).join('\n');
    await queue.ok(['enqueue', '-'], { input });
    const died = await until(
      'it dies',
      async () => !(await queue.workers()).some((one) => one.pid === pid),
      5000,
    ).catch(() => false);
    // A runtime with enough in reserve may hold out; the kernel would not wait for that.
    t.diagnostic(died ? 'it died by itself' : 'it held out, and is killed');
    if (!died) process.kill(pid, 'SIGKILL');
    const job = await queue.finished('job');
    assert.equal(job.state, 'completed');
    assert.equal(outcomes(job), 'lost, exited 0');
    const rest = await queue.allFinished(jobs.map(({ id }) => id));
    assert.ok(rest.every(({ state }) => state === 'completed'));
  });
});
