// Questions before something is deleted. Invariant: nobody is asked without a terminal to
// answer at, and only a plain yes is one.

import { QueuectlError } from '../errors.ts';
import type { Io } from './io.ts';

/** Rejects with `usage`, naming --yes, where there is nobody to ask. */
export function mustBeAsked(io: Io, what: string): void {
  const { stdin, stderr } = io.context;
  if (stdin.isTerminal && stderr.isTerminal) return;
  throw new QueuectlError('usage', `${what} asks first, and there is no terminal to ask at`, {
    hint: 'add --yes',
  });
}

/** `question` is escaped already. Enter, end of input and everything but yes mean no. */
export async function ask(io: Io, question: string): Promise<boolean> {
  const { stdin, stderr } = io.context;
  stderr.write(`${question} [y/N] `);
  let line = '';
  while (!line.includes('\n')) {
    const chunk = await stdin.read();
    if (chunk === null) {
      stderr.write('\n');
      break;
    }
    line += new TextDecoder().decode(chunk);
  }
  return /^\s*y(es)?\s*$/i.test(line.split('\n', 1).join());
}
