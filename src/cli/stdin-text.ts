// `--stdin -`: what enqueue is given on its own stdin, to be stored with the job. Invariant:
// what the job will read is what was given here, byte for byte, or it is refused.

import { MAX_STDIN_BYTES, stdinTooLong } from '../limits.ts';
import { QueuectlError } from '../errors.ts';
import type { Io } from './io.ts';

export async function readStdinText(io: Io): Promise<string> {
  const { stdin } = io.context;
  if (stdin.isTerminal) io.note('reading what the job gets on stdin; Ctrl-D ends it');
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (let chunk = await stdin.read(); chunk !== null; chunk = await stdin.read()) {
    length += chunk.length;
    // Not read to its end: it may have none.
    if (length > MAX_STDIN_BYTES) throw stdinTooLong('--stdin -');
    chunks.push(chunk);
  }
  try {
    // A byte order mark is the command's to judge.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch (error) {
    throw new QueuectlError('invalid', '--stdin - takes text, and this is not valid UTF-8', {
      hint: 'put it in a file and name that: it is read when the job runs',
      cause: error,
    });
  }
}
