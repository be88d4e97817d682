// Questions, before something is deleted or on Ctrl-C. Invariant: nobody is asked without a terminal to
// answer at, and only a plain yes is one.

import { QueuectlError } from '../errors.ts';
import type { Io } from './io.ts';

/** Whether there is a terminal to ask at and to answer from. */
export function canAsk({ context }: Io): boolean {
  return context.stdin.isTerminal && context.stderr.isTerminal;
}

/** Rejects with `usage`, naming --yes, where there is nobody to ask. */
export function mustBeAsked(io: Io, what: string): void {
  if (canAsk(io)) return;
  throw new QueuectlError('usage', `${what} asks first, and there is no terminal to ask at`, {
    hint: 'add --yes',
  });
}

/** `question` is escaped already. Enter, end of input and everything but yes mean no. */
export async function ask(io: Io, question: string): Promise<boolean> {
  return /^y(es)?$/i.test(await askLine(io, `${question} [y/N] `));
}

/**
 * The line that is typed, without spaces around it; empty at the end of input. With a signal
 * the question can be taken back: it then rejects.
 */
export async function askLine(io: Io, prompt: string, signal?: AbortSignal): Promise<string> {
  const { stdin, stderr } = io.context;
  stderr.write(prompt);
  let line = '';
  while (!line.includes('\n')) {
    const chunk = await stdin.read(signal);
    if (chunk === null) {
      stderr.write('\n');
      break;
    }
    line += new TextDecoder().decode(chunk);
  }
  return line.split('\n', 1).join().trim();
}
