// Fault 42, a single line of any length: kept to the last byte, by a worker and read by a
// `logs` that both take no more memory for it than for a short one.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { type Crew, outcomes } from '../../fixtures/crew.ts';
import { EXECUTABLE } from '../../cli/support.ts';
import { peakMemory } from './peak-memory.ts';

/** MiB, of a worker that was started for it. */
const MEMORY = 200;

export async function assertLineKept(
  t: TestContext,
  queue: Crew,
  bytes: number,
  patience: number,
): Promise<void> {
  // Half of it is for the head, where the whole line has to fit.
  await queue.ok(['config', 'set', 'log_max_bytes', String(3 * bytes)]);
  const [worker] = await queue.begin();
  const digits = '0123456789abcdef';
  const command = `yes ${digits} | tr -d '\\n' | head -c ${bytes}`;
  const begun = performance.now();
  await queue.enqueue('line', command);
  await queue.q(['wait', 'line'], { timeout: patience });
  const job = await queue.show('line');
  assert.deepEqual([job.state, outcomes(job)], ['completed', 'exited 0']);
  assert.equal(job.history[0]?.log_bytes, bytes);
  const used = peakMemory(worker?.pid ?? assert.fail());

  const logs = spawn(EXECUTABLE, ['logs', 'line'], {
    cwd: queue.directory,
    env: queue.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  queue.cleanup(() => void logs.kill('SIGKILL'));
  const closed = once(logs, 'close');
  const hash = createHash('sha256');
  let peak = 0;
  for await (const chunk of logs.stdout) {
    assert.ok(chunk instanceof Uint8Array);
    hash.update(chunk);
    if (logs.exitCode === null && logs.pid !== undefined) peak = peakOf(logs.pid, peak);
  }
  assert.deepEqual(await closed, [0, null]);
  assert.equal(hash.digest('hex'), hashOf(digits, bytes));
  const took = Math.round(performance.now() - begun);
  t.diagnostic(`${bytes} bytes in ${took} ms; worker ${used} MiB, logs ${peak} MiB`);
  assert.ok(used < MEMORY && peak < MEMORY, `worker ${used} MiB, logs ${peak} MiB`);
}

/** It may end while we look. */
function peakOf(pid: number, sofar: number): number {
  try {
    return Math.max(sofar, peakMemory(pid));
  } catch {
    return sofar;
  }
}

function hashOf(digits: string, bytes: number): string {
  const hash = createHash('sha256');
  const piece = Buffer.from(digits.repeat(65_536));
  for (let left = bytes; left > 0; left -= piece.length) hash.update(piece.subarray(0, left));
  return hash.digest('hex');
}
