// What the tests of the command line add to a sandbox: refusals, processes that go on
// running, and a terminal.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import type { TestContext } from 'node:test';
import { type Answer, type CallOptions, EXECUTABLE, sandbox } from './support.ts';

export const QUEUECTL = EXECUTABLE;

/** Present on every Debian, not on every system. */
export const hasScript = spawnSync('script', ['--version']).status === 0;

type Environment = Readonly<Record<string, string | undefined>>;

export interface Box {
  readonly home: string;
  /** For the test's own files; calls are made from it. */
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
  q(args: readonly string[], options?: CallOptions): Promise<Answer>;
  ok(args: readonly string[], options?: CallOptions): Promise<string>;
  /** The JSON it answers. */
  json<T>(args: readonly string[], options?: CallOptions): Promise<T>;
  /** For what must be refused: one line of message, perhaps a hint. Answers them. */
  refused(args: readonly string[], code: number, options?: CallOptions): Promise<string>;
  /** Starts it and leaves it running; it is killed with the test. */
  start(args: readonly string[]): ChildProcess;
  /** Runs a shell line on a terminal, queuectl first in PATH; answers what it showed. */
  terminal(line: string, options?: TerminalOptions): Promise<Shown>;
}

export interface TerminalOptions {
  /** Typed at once. */
  readonly keys?: string;
  readonly columns?: number;
}

export interface Shown {
  readonly code: number | null;
  readonly shown: string;
}

export function box(t: TestContext): Box {
  const base = sandbox(t);
  const { directory, env } = base;
  return {
    home: base.home,
    directory,
    env,
    q: async (args, options) => await base.q(args, options),
    ok: async (args, options) => await base.ok(args, options),
    // First: what stands after `--` is not ours.
    json: async <T>(args: readonly string[], options?: CallOptions) =>
      JSON.parse(await base.ok(['--json', ...args], options)) as T,
    refused: async (args, code, options) => {
      const answer = await base.q(args, options);
      const what = `queuectl ${args.join(' ').slice(0, 200)}`;
      assert.equal(answer.code, code, `${what}: ${answer.stderr}`);
      assert.equal(answer.stdout, '', what);
      assert.match(answer.stderr, /^queuectl: .+\n(hint: .+\n)?$/, what);
      return answer.stderr;
    },
    start: (args) => {
      const child = spawn(QUEUECTL, args, { cwd: directory, env });
      t.after(async () => await end(child));
      return child;
    },
    terminal: (line, options = {}) => onTerminal(line, directory, env, options),
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Resolves with what the child has written once that matches. */
export async function untilOutput(
  child: ChildProcess,
  pattern: RegExp,
  stream: 'stdout' | 'stderr' = 'stdout',
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = '';
  const look = (chunk: Buffer): void => {
    text += chunk.toString();
    if (pattern.test(text)) resolve(text);
  };
  const ended = (): void => reject(new Error(`ended before ${String(pattern)}: ${text}`));
  const source = child[stream] ?? assert.fail(`no ${stream}`);
  source.on('data', look);
  source.on('close', ended);
  try {
    return await promise;
  } finally {
    // It goes on flowing, so that the child never waits for us.
    source.off('close', ended);
  }
}

export async function exitCode(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

async function onTerminal(
  line: string,
  cwd: string,
  env: Environment,
  { keys = '', columns = 80 }: TerminalOptions,
): Promise<Shown> {
  const child = spawn('script', ['-qec', `stty cols ${columns} -echo; ${line}`, '/dev/null'], {
    cwd,
    env: { ...env, TERM: 'xterm', PATH: `${dirname(QUEUECTL)}:${env['PATH'] ?? ''}` },
  });
  // Not ended before it is over: script would take that for the end of the terminal.
  child.stdin.on('error', () => {});
  child.stdin.write(keys);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(child, 'close');
  return { code: child.exitCode, shown: Buffer.concat(chunks).toString() };
}
