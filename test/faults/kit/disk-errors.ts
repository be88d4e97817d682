// The disk answers an error at the Nth write or sync, for N = 1, 2, 3 … until a run passes
// clean. After each run the queue must be sound and hold all that was acknowledged. Fault 10.

import assert from 'node:assert/strict';
import { chmodSync, cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Crew } from '../../fixtures/crew.ts';
import { enqueueAgain, type Inside, lookInside } from './look-inside.ts';
import { traced, type Traced } from './strace.ts';

/** Writes and syncs of SQLite and of the roster; what is said on stdout is not among them. */
const DISK_CALLS = ['pwrite64', 'ftruncate', 'fsync', 'fdatasync', 'link', 'linkat'];

export type DiskError = 'EIO' | 'ENOSPC';

/** `once`: that call alone. `on`: from it on the disk is gone. `burst`: for three calls. */
export type Span = 'once' | 'on' | 'burst';

export interface Sweep {
  readonly error: DiskError;
  readonly span: Span;
  /** Every `step`th N, beginning with `first`. */
  readonly first?: number;
  readonly step?: number;
}

const when = (n: number, span: Span): string =>
  `when=${{ once: n, on: `${n}+`, burst: `${n}..${n + 2}` }[span]}`;

/** No program makes more such calls for what we ask of it. */
const MOST = 5000;

export interface Refused {
  readonly n: number;
  readonly code: number | null;
  readonly stderr: string;
}

/** A copy of the queue as it was before, for each run. */
class Template {
  readonly #queue: Crew;
  readonly #saved: string;

  constructor(queue: Crew) {
    this.#queue = queue;
    this.#saved = mkdtempSync(join(dirname(queue.home), 'saved-'));
    if (existsSync(queue.home)) cpSync(queue.home, this.#saved, { recursive: true });
  }

  restore(): void {
    rmSync(this.#queue.home, { recursive: true, force: true });
    cpSync(this.#saved, this.#queue.home, { recursive: true });
    chmodSync(this.#queue.home, 0o700);
  }
}

/**
 * Runs `args`, an enqueue of these ids, again and again, each time one call further.
 * Answers what was refused; `points` counts the runs in which an error was injected.
 */
export async function sweepEnqueue(
  queue: Crew,
  args: readonly string[],
  ids: readonly string[],
  { error, span, first = 1, step = 1 }: Sweep,
  input?: string,
): Promise<{ points: number; refused: Refused[] }> {
  const template = new Template(queue);
  const refused: Refused[] = [];
  for (let n = first; n < MOST; n += step) {
    template.restore();
    const run = await traced(queue, args, {
      calls: DISK_CALLS,
      inject: `${DISK_CALLS.join()}:error=${error}:${when(n, span)}`,
      ...(input !== undefined && { input }),
    });
    const what = `${error} ${span} at call ${n}: exit code ${run.code}, ${run.stderr}`;
    if (run.injected === 0) {
      assert.equal(run.code, 0, what);
      return { points: (n - first) / step, refused };
    }
    assertAnswer(run, error, what);
    if (run.code !== 0) refused.push({ n, code: run.code, stderr: run.stderr });
    if (!existsSync(join(queue.home, 'queue.db'))) {
      assert.equal(run.code, 5, what);
      continue;
    }
    assertStored(run, ids, await lookInside(queue.home), what);
    // With the same ids, as after a lost reply: each job is there, and only one.
    const repeated = await lookInside(queue.home, enqueueAgain(ids));
    assert.deepEqual(ownIds(repeated, ids).toSorted(), [...ids].toSorted(), what);
    assert.equal(repeated.integrity, 'ok', what);
  }
  return assert.fail(`no run without an error in ${MOST}`);
}

function assertAnswer(run: Traced, error: DiskError, what: string): void {
  if (run.code === 0) return;
  assert.equal(run.code, 5, what);
  assert.equal(run.stdout, '', what);
  assert.match(run.stderr, /^queuectl: .+\n(?:hint: .+\n)?$/, what);
  const told = error === 'ENOSPC' ? /no space left|disk is full|I\/O error/ : /I\/O error/i;
  assert.match(run.stderr, told, what);
}

function ownIds({ jobs }: Inside, ids: readonly string[]): string[] {
  return jobs.map(({ id }) => id).filter((id) => ids.includes(id));
}

function assertStored(run: Traced, ids: readonly string[], inside: Inside, what: string): void {
  assert.equal(inside.integrity, 'ok', what);
  const found = ownIds(inside, ids);
  if (run.code === 0) assert.deepEqual(found, ids, what);
  // All or none, also where nobody could say which.
  else assert.ok(found.length === 0 || found.length === ids.length, what);
  if (run.stderr.includes('nothing was stored')) assert.deepEqual(found, [], what);
}

/**
 * Runs workers over the queue as it is until nothing is left, the Nth call failing in the
 * supervisor and in the worker, then workers without errors; `check` looks what became of it.
 */
export async function sweepWorker(
  queue: Crew,
  { error, span, first = 1, step = 1 }: Sweep,
  check: (what: string) => Promise<void>,
): Promise<{ points: number; injected: number; unclean: number }> {
  const template = new Template(queue);
  const drain = ['worker', 'start', '--drain', '--foreground'];
  let [injected, unclean] = [0, 0];
  for (let n = first; n < MOST; n += step) {
    template.restore();
    rmSync(join(queue.directory, 'spans'), { force: true });
    const run = await traced(queue, drain, {
      calls: DISK_CALLS,
      inject: `${DISK_CALLS.join()}:error=${error}:${when(n, span)}`,
    });
    injected += run.injected;
    const what = `${error} ${span} at call ${n}: exit code ${run.code}, ${run.stderr}`;
    if (run.injected === 0) {
      assert.equal(run.code, 0, what);
      return { points: (n - first) / step, injected, unclean };
    }
    assert.ok(run.code === 0 || run.code === 5, what);
    if (run.code !== 0) unclean += 1;
    const after = await queue.q(drain);
    assert.equal(after.code, 0, `${what}\nthen: ${after.stderr}`);
    await check(what);
    assert.equal((await lookInside(queue.home)).integrity, 'ok', what);
  }
  return assert.fail(`no run without an error in ${MOST}`);
}
