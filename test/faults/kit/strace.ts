// What a program asks of the kernel, in order, and errors in the place of its answers:
// strace, run and read. Faults 5 and 10.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Box, QUEUECTL } from '../../cli/box.ts';
import type { Answer } from '../../cli/support.ts';

/** For `skip`: also where the tool is there and may not trace. */
export const untraceable =
  spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0 ? false : 'needs strace';

export interface SystemCall {
  /** Of the thread. */
  readonly pid: number;
  readonly name: string;
  /** As strace writes them: `6</home/queue.db-wal>, "…", 24, 32`. */
  readonly args: string;
  /** −1 for an error; null where it never returned. */
  readonly result: number | null;
  readonly injected: boolean;
  /** Places in one order of all beginnings and ends. */
  readonly begun: number;
  readonly ended: number;
}

export interface Tracing {
  /** Names of system calls. */
  readonly calls: readonly string[];
  /** `fsync,fdatasync:error=EIO:when=2+`: each thread counts for itself. */
  readonly inject?: string;
  /** Only calls about these files. */
  readonly files?: readonly string[];
  readonly input?: string;
  /** Ms until all of it is killed; default 60,000. */
  readonly timeout?: number;
}

export interface Traced extends Answer {
  readonly calls: readonly SystemCall[];
  /** How many of them were answered with an error of ours. */
  readonly injected: number;
}

let traces = 0;

/** Calls queuectl under strace, children included. */
export async function traced(
  box: Pick<Box, 'directory' | 'env'>,
  args: readonly string[],
  tracing: Tracing,
): Promise<Traced> {
  const output = join(box.directory, `trace${(traces += 1)}`);
  const options = ['-f', '-y', '-s', '16', '--seccomp-bpf', '-o', output];
  options.push('-e', `trace=${tracing.calls.join()}`);
  if (tracing.inject !== undefined) options.push('-e', `inject=${tracing.inject}`);
  for (const file of tracing.files ?? []) options.push('-P', file);
  // A group of its own: who is killed takes what it traces along.
  const child = spawn('strace', [...options, QUEUECTL, ...args], {
    cwd: box.directory,
    env: box.env,
    stdio: 'pipe',
    detached: true,
  });
  const chunks = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => (chunks[name] += chunk));
  }
  child.stdin.on('error', () => {});
  child.stdin.end(tracing.input ?? '');
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    process.kill(-(child.pid ?? assert.fail()), 'SIGKILL');
  }, tracing.timeout ?? 60_000);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  clearTimeout(timer);
  assert.ok(!late, `strace queuectl ${args.join(' ')} did not end: ${chunks.stderr}`);
  const calls = parseTrace(readFileSync(output, 'utf8'));
  rmSync(output);
  const injected = calls.filter((call) => call.injected).length;
  return { code, ...chunks, calls, injected };
}

/** What `strace -f -o` has written. Calls that others interrupt stand on two lines. */
export function parseTrace(text: string): SystemCall[] {
  const calls: SystemCall[] = [];
  const unfinished = new Map<string, { args: string; begun: number; at: number }>();
  for (const [place, line] of text.split('\n').entries()) {
    const [, thread, rest] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (thread === undefined || rest === undefined || /^(?:---|\+\+\+)/.test(rest)) continue;
    const resumed = /^<\.\.\. (\w+) resumed>(.*)$/.exec(rest);
    const key = (name: string): string => `${thread} ${name}`;
    if (resumed !== null) {
      const [, name = '', tail = ''] = resumed;
      const first = unfinished.get(key(name));
      unfinished.delete(key(name));
      if (first === undefined) continue;
      const at = { begun: first.begun, ended: place };
      calls[first.at] = callOf(thread, name, first.args + tail, at);
      continue;
    }
    const [, name, tail] = /^(\w+)\((.*)$/.exec(rest) ?? [];
    if (name === undefined || tail === undefined) continue;
    const [args, cut] = tail.split(' <unfinished ...>');
    if (cut !== undefined)
      unfinished.set(key(name), { args: args ?? '', begun: place, at: calls.length });
    const at = { begun: place, ended: cut === undefined ? place : Number.POSITIVE_INFINITY };
    calls.push(callOf(thread, name, args ?? '', at));
  }
  return calls;
}

function callOf(
  thread: string,
  name: string,
  text: string,
  at: Pick<SystemCall, 'begun' | 'ended'>,
): SystemCall {
  const [, args = text, result] = /^(.*)\) += (-?\d+|\?)/.exec(text) ?? [];
  return {
    pid: Number(thread),
    name,
    args,
    result: result === undefined || result === '?' ? null : Number(result),
    injected: text.includes('(INJECTED)'),
    ...at,
  };
}

/** Path of the file whose descriptor is the first argument. */
export function fileOf({ args }: SystemCall): string | null {
  return /^\d+<([^>]*)>/.exec(args)?.[1] ?? null;
}

const WRITES = new Set(['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2', 'ftruncate']);
const SYNCS = new Set(['fsync', 'fdatasync']);

/** For `Tracing.calls`: everything that `unsynced` has to see. */
export const STORAGE_CALLS: readonly string[] = [...WRITES, ...SYNCS, 'link', 'linkat', 'mkdir'];

/**
 * What a power cut at the moment `before` could take: files that were written, and
 * directories that got a name, with no successful sync of them begun after that and ended
 * before `before`. `by`: only what this thread wrote.
 */
export function unsynced(
  calls: readonly SystemCall[],
  before: number,
  matters: (path: string) => boolean,
  by?: number,
): string[] {
  const changed = new Map<string, number>();
  for (const call of calls) {
    if (call.begun >= before || (by !== undefined && call.pid !== by)) continue;
    const path = changedBy(call);
    if (path !== null && matters(path)) {
      changed.set(path, Math.max(changed.get(path) ?? 0, call.ended));
    }
  }
  for (const call of calls) {
    if (!SYNCS.has(call.name) || call.result !== 0 || call.ended >= before) continue;
    const path = fileOf(call);
    if (path !== null && call.begun > (changed.get(path) ?? Number.POSITIVE_INFINITY)) {
      changed.delete(path);
    }
  }
  return [...changed.keys()];
}

function changedBy(call: SystemCall): string | null {
  if (call.result !== null && call.result < 0) return null;
  if (WRITES.has(call.name)) return fileOf(call);
  if (!/^(?:link|linkat|mkdir)$/.test(call.name)) return null;
  // The last path named is the new one: its directory has changed.
  const name = [...call.args.matchAll(/"([^"]*)"/g)].at(-1)?.[1];
  return name === undefined ? null : name.slice(0, name.lastIndexOf('/')) || '/';
}
