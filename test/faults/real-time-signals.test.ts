// Fault 52: real-time signals, core dumps and exit codes above 128 are told apart, and
// never read as success.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crew } from '../fixtures/crew.ts';

const ENDS = [
  // 34 is SIGRTMIN as programs see it; the two below it belong to the C library.
  ['kill -s 34 $$', 'signaled', null, 'SIGRTMIN', 162],
  ['kill -s 35 $$', 'signaled', null, 'SIGRTMIN+1', 163],
  ['kill -s 64 $$', 'signaled', null, 'SIGRTMIN+30', 192],
  ['kill -KILL $$', 'signaled', null, 'SIGKILL', 137],
  ['kill -TERM $$', 'signaled', null, 'SIGTERM', 143],
  ['kill -PIPE $$', 'signaled', null, 'SIGPIPE', 141],
  // Dumps core where it may.
  ['ulimit -c 0; kill -SEGV $$', 'signaled', null, 'SIGSEGV', 139],
  ['ulimit -c unlimited; kill -ABRT $$', 'signaled', null, 'SIGABRT', 134],
  ['ulimit -c unlimited; kill -QUIT $$', 'signaled', null, 'SIGQUIT', 131],
  ['kill -s 32 $$', 'signaled', null, 'SIG32', 160],
  // A program of its own, and one that has let its output go before.
  ['exec sh -c "kill -s 40 \\$\\$"', 'signaled', null, 'SIGRTMIN+6', 168],
  ['exec >&- 2>&-; kill -s 50 $$', 'signaled', null, 'SIGRTMIN+16', 178],
  ['exit 163', 'exited', 163, null, 163],
  ['exit 137', 'exited', 137, null, 137],
  ['exit 255', 'exited', 255, null, 255],
  ['exit 128', 'exited', 128, null, 128],
  // As `wait` answers for a timeout, for what was not started and for what was cancelled.
  ['exit 124', 'exited', 124, null, 124],
  ['exit 127', 'exited', 127, null, 127],
  ['exit 130', 'exited', 130, null, 130],
  // What the shell says of a child that a signal ended is an exit code.
  ["sh -c 'kill -s 35 $$'; exit $?", 'exited', 163, null, 163],
  ["ulimit -c unlimited; sh -c 'kill -QUIT $$'; exit $?", 'exited', 131, null, 131],
] as const;

test('every end is what it was', async (t) => {
  const queue = crew(t);
  await queue.begin('--concurrency', '4');
  for (const [i, [command]] of ENDS.entries()) {
    await queue.enqueue(`job${i}`, command, { max_retries: 0 });
  }
  for (const [i, [command, outcome, exitCode, signal, answer]] of ENDS.entries()) {
    const job = await queue.finished(`job${i}`);
    assert.deepEqual(
      [job.state, job.outcome, job.exit_code, job.signal],
      ['dead', outcome, exitCode, signal],
      command,
    );
    const { code } = await queue.q(['wait', `job${i}`]);
    assert.equal(code, answer, command);
  }
});
