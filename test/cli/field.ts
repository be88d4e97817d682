// What the field cases (../shared/cases) share: a home with a worker in which failures are
// final, shell lines with queuectl in PATH, and waiting for what can be looked at.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import type { TestContext } from 'node:test';
import { type Box, box, QUEUECTL } from './box.ts';
import type { Answer } from './support.ts';

export interface AttemptJson {
  readonly attempt: number;
  readonly outcome: string;
  readonly exit_code: number | null;
  readonly signal: string | null;
  readonly error: string | null;
}

export interface JobJson {
  readonly id: string;
  readonly command: string;
  readonly state: string;
  readonly attempts: number;
  readonly priority: number;
  readonly queue: string;
  readonly cwd: string;
  readonly run_at: string | null;
  readonly timeout: number | null;
  readonly args: string[] | null;
  readonly env: Record<string, string>;
  readonly tags: Record<string, string>;
  readonly history: AttemptJson[];
}

/** As each case begins: nothing is retried, four slots. */
export async function working(t: TestContext, concurrency = 4): Promise<Box> {
  const cli = box(t);
  await cli.ok(['config', 'set', 'max_retries', '0']);
  await cli.ok(['worker', 'start', '--concurrency', String(concurrency)]);
  return cli;
}

export function shell(id: string, command: string, ...flags: string[]): string[] {
  return ['enqueue', '--id', id, ...flags, '--shell', command];
}

export interface LineOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Ms until its whole group is killed and the test fails; default 20,000. */
  readonly timeout?: number;
}

export interface LineAnswer extends Answer {
  /** Stdout as it was. */
  readonly bytes: Buffer;
}

/**
 * Runs a line in bash as somebody would type it, queuectl first in PATH. It is over when
 * nobody holds its output any more, not when bash has ended.
 */
export async function line(
  cli: Box,
  text: string,
  { cwd = cli.directory, env = {}, timeout = 20_000 }: LineOptions = {},
): Promise<LineAnswer> {
  const PATH = `${dirname(QUEUECTL)}:${cli.env['PATH'] ?? ''}`;
  const child = spawn('bash', ['-c', text], {
    cwd,
    env: { ...cli.env, PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    child.stdout.destroy();
    child.stderr.destroy();
  }, timeout);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  const bytes = Buffer.concat(out);
  const stderr = Buffer.concat(err).toString();
  assert.ok(!late, `not over after ${timeout} ms: ${text}\n${bytes.toString()}\n${stderr}`);
  return { code, bytes, stdout: bytes.toString(), stderr };
}

/** Looks until it answers something other than undefined. */
export async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + 40_000;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    assert.ok(Date.now() < end, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Waits until a job is in this state. */
export async function untilState(cli: Box, id: string, state: string): Promise<JobJson> {
  return await until(`${id} ${state}`, async () => {
    const job = await cli.json<JobJson>(['show', id]);
    return job.state === state ? job : undefined;
  });
}

export const isRoot = process.getuid?.() === 0;
