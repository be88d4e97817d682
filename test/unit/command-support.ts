// What the tests of running commands share: a runner with real children and real files in
// a directory of its own, and ways to ask what became of them.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemEnv } from '../../src/env.ts';
import { isOver, readStat } from '../../src/platform/identity.ts';
import { killAndWait, markerOf } from '../../src/platform/processes.ts';
import type { Claimed } from '../../src/store/store.ts';
import { type CommandRunnerOptions, createCommandRunner } from '../../src/worker/command.ts';
import { createLogStore, type LogStore } from '../../src/worker/output.ts';
import type { AttemptEnd, RunningAttempt } from '../../src/worker/runner.ts';

/** Real pipes, limits and real-time signals need Bun's `bun:ffi`; node.ts says what differs. */
export const BUN = process.versions['bun'] !== undefined;

export const LINUX = process.platform === 'linux';

/** For tests that need what only Linux has. */
export const linuxOnly = LINUX ? {} : { skip: 'needs /proc' };

/**
 * For what only the executable's own runtime does. `npm test` runs these files under Bun
 * and under Node; on Node there is no such behaviour to test (src/platform/node.ts).
 */
export function testOnBun(name: string, body: (t: TestContext) => Promise<void>): void {
  if (BUN && LINUX) void test(name, body);
}

export function tempDirectory(t: TestContext): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'queuectl-test-')));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export interface Harness {
  readonly directory: string;
  readonly databaseId: string;
  readonly logs: LogStore;
  readonly warnings: string[];
  readonly start: (job: JobInput) => Started;
  /** Starts and waits for the end. */
  readonly run: (job: JobInput) => Promise<Finished>;
}

/** A job; a bare text is a command for the shell. */
export type JobInput = string | Partial<Claimed>;

export interface Started extends RunningAttempt {
  readonly job: Claimed;
  /** What is in the log now, both streams. */
  output(): string;
  /** Resolves when the log holds this text. */
  says(text: string): Promise<void>;
}

export interface Finished extends AttemptEnd {
  readonly stdout: string;
  readonly stderr: string;
  /** Both streams in order of arrival. */
  readonly output: string;
  readonly ms: number;
}

export function harness(
  t: TestContext,
  options: Partial<CommandRunnerOptions> & { killAfter?: number; logMaxBytes?: number } = {},
): Harness {
  const directory = tempDirectory(t);
  const databaseId = randomUUID();
  const logs = options.logs ?? createLogStore(join(directory, 'logs'));
  const warnings: string[] = [];
  const runner = createCommandRunner({
    env: systemEnv,
    logs,
    settings: () => ({
      killAfter: options.killAfter ?? 5000,
      logMaxBytes: options.logMaxBytes ?? 10 * 1024 * 1024,
    }),
    databaseId,
    baseEnv: process.env,
    jobEnv: { QUEUECTL_HOME: directory },
    nofile: null,
    log: (message) => warnings.push(message),
    ...options,
  });
  let key = 0;
  t.after(() => sweep(databaseId, key));

  const start = (input: JobInput): Started => {
    key += 1;
    const job: Claimed = {
      key,
      number: 1,
      runToken: key,
      id: `job-${key}`,
      kind: 'command',
      command: typeof input === 'string' ? input : 'true',
      spec: {},
      cwd: directory,
      path: process.env['PATH'] ?? null,
      queue: 'default',
      timeout: null,
      attempts: 1,
      maxRetries: 3,
      ...(typeof input === 'string' ? {} : input),
    };
    const attempt = runner.start(job);
    const output = (): string => textOf(logs, job.key).output;
    return {
      job,
      ended: attempt.ended,
      end: (cause) => attempt.end(cause),
      output,
      says: (text) => until(() => output().includes(text), `the job says ${text}`),
    };
  };

  return {
    directory,
    databaseId,
    logs,
    warnings,
    start,
    async run(input) {
      const before = performance.now();
      const started = start(input);
      const end = await started.ended;
      return { ...end, ...textOf(logs, started.job.key), ms: performance.now() - before };
    },
  };
}

/** A failing test leaves nothing behind either. */
async function sweep(databaseId: string, tokens: number): Promise<void> {
  const traces = Array.from({ length: tokens }, (_, index) => ({
    marker: markerOf(databaseId, index + 1),
    leader: null,
  }));
  await killAndWait(traces, { sleep: (ms) => delay(ms) });
}

export function textOf(
  logs: LogStore,
  key: number,
): { stdout: string; stderr: string; output: string } {
  const pieces = {
    stdout: [] as Uint8Array[],
    stderr: [] as Uint8Array[],
    output: [] as Uint8Array[],
  };
  for (const chunk of logs.read(key, 1)) {
    if (chunk.kind !== 'output') continue;
    pieces[chunk.stream].push(chunk.bytes);
    pieces.output.push(chunk.bytes);
  }
  const text = (some: Uint8Array[]): string => Buffer.concat(some).toString();
  return { stdout: text(pieces.stdout), stderr: text(pieces.stderr), output: text(pieces.output) };
}

/** Polls, for what no event tells; fails after 10 s. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) assert.fail(`waited in vain until ${what}`);
    await delay(5);
  }
}

/** Neither running nor stopped: no such process, or a zombie that nobody reaps. */
export function isGone(pid: number | string): boolean {
  const stat = readStat(Number(pid));
  return stat === null || isOver(stat);
}

/** Numbers after this word in an output: `pid 123`. */
export function pidsIn(output: string, word = 'pid'): number[] {
  return [...output.matchAll(new RegExp(`${word} (\\d+)`, 'g'))].map(([, pid]) => Number(pid));
}
