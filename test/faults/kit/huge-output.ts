// Fault 41 in any size: a job that prints more than is kept, and what must be true of it.

import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Crew, outcomes } from '../../fixtures/crew.ts';
import { peakMemory } from './peak-memory.ts';

const MIB = 1024 * 1024;
/** What a worker may take more for it, MiB, however much is printed; it was 30. */
const MORE_MEMORY = 128;

export interface Printing {
  readonly bytes: number;
  /** `log_max_bytes`, its default. */
  readonly cap: number;
  /** Prints that many bytes. */
  readonly command: string;
  /** Ms. */
  readonly patience: number;
}

/** Runs it in a worker of its own, and asserts: all counted, capped, marked, flat memory. */
export async function assertCapped(
  t: TestContext,
  queue: Crew,
  { bytes, cap, command, patience }: Printing,
): Promise<void> {
  const [worker] = await queue.begin();
  const pid = worker?.pid ?? assert.fail();
  // What it takes to run anything at all.
  await queue.enqueue('small', 'head -c 100000 /dev/zero');
  await queue.finished('small');
  const before = peakMemory(pid);

  const begun = performance.now();
  await queue.enqueue('huge', command);
  await queue.q(['wait', 'huge'], { timeout: patience });
  const took = Math.round(performance.now() - begun);
  const more = peakMemory(pid) - before;
  t.diagnostic(`${bytes / MIB} MiB in ${took} ms; ${before} MiB of memory and ${more} more`);

  const job = await queue.show('huge');
  assert.deepEqual([job.state, outcomes(job)], ['completed', 'exited 0']);
  assert.equal(job.history[0]?.log_bytes, bytes);
  assert.ok(more < MORE_MEMORY, `${more} MiB more`);
  const kept = sizeOf(join(queue.home, 'logs/jobs'));
  assert.ok(kept > cap / 2 && kept < cap * 1.1, `${kept} bytes on disk`);

  const answer = await queue.q(['logs', 'huge']);
  assert.equal(answer.code, 0);
  const cut = /([\d,]+) bytes of huge were not kept/.exec(answer.stderr)?.[1] ?? answer.stderr;
  assert.equal(Number(cut.replaceAll(',', '')) + answer.stdout.length, bytes);
  assert.ok(answer.stdout.startsWith('first\n') && answer.stdout.endsWith('last\n'));
}

function sizeOf(directory: string): number {
  const names = readdirSync(directory, { encoding: 'utf8', recursive: true });
  const stats = names.map((name) => statSync(join(directory, name)));
  return stats.reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
}
