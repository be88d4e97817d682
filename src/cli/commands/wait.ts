// queuectl wait ID…: returns when they are finished, and answers as the job did.
// Invariant: stdout stays empty without --json, so that scripts can wait anywhere.

import { defineCommand } from '../command.ts';
import { durationFlag } from '../numbers.ts';
import { withQueue } from '../open.ts';
import { hintWaiting, orOursFailed, waitFor } from '../waiting.ts';

export const command = defineCommand({
  summary: 'wait until jobs are finished',
  usage: ['wait ID… [--timeout DURATION] [--any]'],
  about: [
    "Exit code: the job's own; 124 if it timed out, 126 or 127 if it could not be started,\n" +
      '128+n if signal n ended it, 130 if it was cancelled; 125 if queuectl itself failed: an\n' +
      'unknown id, a lost attempt, --timeout ran out. For several jobs 0 if all succeeded, else\n' +
      'that of the first that did not, in the order asked. A job is waited for through all its\n' +
      'retries. Ctrl-C ends the waiting, with 130; the jobs go on.',
  ],
  flags: {
    timeout: { type: 'text', value: 'DURATION', help: 'wait at most this long' },
    any: { type: 'boolean', help: 'until one of them is finished' },
  },
  operands: { min: 1, max: null, name: 'ID' },
  examples: [
    ['queuectl wait nightly && echo fine', 'until it is done'],
    ['queuectl wait a b c --timeout 10m', 'for three jobs, not longer than ten minutes'],
    ['queuectl wait $(queuectl enqueue --quiet -- make)', 'enqueue and wait'],
  ],
  async run({ flags, operands, io }) {
    const timeout = durationFlag('--timeout', flags.timeout);
    return await orOursFailed(io, () =>
      withQueue(io, async ({ queue }) => {
        // Before the hint: whoever reads that may press Ctrl-C at once.
        const signal = io.context.interrupted();
        const jobs = await Promise.all(operands.map((id) => queue.get(id)));
        await hintWaiting(queue, jobs, io);
        return await waitFor(queue, operands, { any: flags.any, timeout, signal }, io);
      }),
    );
  },
});
