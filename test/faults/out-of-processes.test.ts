// Fault 44, for processes: a worker that may start no more of them (EAGAIN). What cannot be
// started is given back without using a retry, due a second later, and runs when it can; what
// runs already goes on. The kernel's answer comes from strace: a true lack of processes hits
// the threads of the runtime too, which then aborts; see docs/guarantees.md.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crew, ms, outcomes, until } from '../fixtures/crew.ts';
import { untilOutput } from '../cli/box.ts';
import { untraceable } from './kit/strace.ts';

test(
  'a worker out of processes gives back what it cannot start',
  { skip: untraceable },
  async (t) => {
    const queue = crew(t);
    const [worker] = await queue.begin('--concurrency', '2');
    const pid = worker?.pid ?? assert.fail();
    await queue.enqueue('runs', 'echo up; until [ -e go ]; do sleep 0.05; done; echo end');
    await until('it runs', async () => (await queue.ok(['logs', 'runs'])) === 'up\n');

    // Commands are started with vfork, or with clone where there is none; threads with clone3.
    const inject = ['-e', 'trace=?vfork,clone', '-e', 'inject=?vfork,clone:error=EAGAIN'];
    const lacking = spawn('strace', [...inject, '-f', '-p', String(pid), '-o', '/dev/null'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    queue.cleanup(() => void lacking.kill('SIGKILL'));
    const enough = once(lacking, 'exit');
    await untilOutput(lacking, /attached/, 'stderr');
    await queue.enqueue('job', 'echo done', { max_retries: 0 });
    // One look may find the job as it was before an attempt, and that attempt.
    const given = await until('it is given back twice, due a second later', async () => {
      const job = await queue.show('job');
      const end = job.history.length > 1 ? (job.history.at(-1)?.finished_at ?? null) : null;
      return job.state === 'pending' && end !== null && ms(job.run_at) - ms(end) === 1000
        ? job
        : null;
    });
    assert.equal(given.attempts, 0);
    assert.match(outcomes(given), /^spawn_failed 126, spawn_failed 126/);
    assert.equal(given.error, '/bin/sh: cannot be started now: the limit on processes is reached');

    lacking.kill('SIGINT');
    await enough;
    const job = await queue.finished('job');
    assert.deepEqual([job.state, job.attempts], ['completed', 1]);
    assert.match(outcomes(job), /^(spawn_failed 126, )+exited 0$/);
    writeFileSync(join(queue.directory, 'go'), '');
    assert.equal(outcomes(await queue.finished('runs')), 'exited 0');
    assert.equal(await queue.ok(['logs', 'runs']), 'up\nend\n');
    assert.deepEqual(
      (await queue.workers()).map((one) => one.pid),
      [pid],
    );
  },
);
