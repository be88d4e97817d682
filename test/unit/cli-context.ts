// A process in memory for the tests of the command line: what it was given, what it said.

import type { Context, Input, Output } from '../../src/cli/context.ts';

export interface FakeOptions {
  readonly argv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Chunks of stdin, then its end. */
  readonly stdin?: readonly string[];
  /** Columns where a stream is a terminal. */
  readonly terminal?: number;
  readonly now?: number;
  readonly cwd?: string;
  /** Thrown by every write to stdout. */
  readonly stdoutError?: Error;
  readonly rawArguments?: Uint8Array;
}

export interface FakeContext extends Context {
  readonly said: { out: string; err: string };
}

export const NOW = Date.UTC(2026, 10, 25, 9, 0, 0);

export function fakeContext(options: FakeOptions = {}): FakeContext {
  const said = { out: '', err: '' };
  const { terminal = null, stdoutError } = options;
  const output = (name: 'out' | 'err'): Output => ({
    isTerminal: terminal !== null,
    columns: terminal,
    rows: null,
    write(data) {
      if (name === 'out' && stdoutError !== undefined) throw stdoutError;
      said[name] += typeof data === 'string' ? data : new TextDecoder().decode(data);
    },
  });
  const chunks = [...(options.stdin ?? [])];
  const stdin: Input = {
    isTerminal: terminal !== null,
    read() {
      const chunk = chunks.shift();
      return Promise.resolve(chunk === undefined ? null : new TextEncoder().encode(chunk));
    },
  };
  return {
    argv: options.argv ?? [],
    env: options.env ?? {},
    cwd: () => options.cwd ?? '/srv',
    homeDirectory: () => '/nonexistent',
    rawArguments: () => options.rawArguments ?? null,
    stdin,
    stdout: output('out'),
    stderr: output('err'),
    hasReader: () => Promise.resolve(true),
    now: () => options.now ?? NOW,
    interrupted: () => new AbortController().signal,
    said,
  };
}
