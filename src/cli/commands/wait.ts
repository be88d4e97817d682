// queuectl wait ID…: returns when they are finished, and answers as the job did.
// Invariant: stdout stays empty without --json, so that scripts can wait anywhere; exit
// codes are those of `docker run` and `env` (cli.md), so a failure of our own is 125.

import { formatDuration } from '../../duration.ts';
import { isTerminal, type Job } from '../../job.ts';
import { defineCommand } from '../command.ts';
import { Interrupted, ReaderGone } from '../context.ts';
import { tellFailure } from '../failure.ts';
import type { Io } from '../io.ts';
import { jobJson } from '../json.ts';
import { durationFlag } from '../numbers.ts';
import { withQueue } from '../open.ts';
import { exitCodeOf, outcomeText, OURS_FAILED } from '../outcome.ts';
import { hintUnserved } from '../serving.ts';
import { visible } from '../text.ts';

export const command = defineCommand({
  summary: 'wait until jobs are finished',
  usage: ['wait ID… [--timeout DURATION] [--any]'],
  about: [
    "Exit code: the job's own; 124 if it timed out, 126 or 127 if it could not be started,\n" +
      '128+n if signal n ended it, 130 if it was cancelled; 125 if queuectl itself failed: an\n' +
      'unknown id, a lost attempt, --timeout ran out. For several jobs 0 if all succeeded, else\n' +
      'that of the first that did not, in the order asked. A job is waited for through all its\n' +
      'retries.',
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
    try {
      const jobs = await waitFor(operands, timeout, flags.any, io);
      if (io.json) io.printJson(jobs.map(jobJson));
      return answer(jobs, flags.any, timeout, io);
    } catch (error) {
      if (error instanceof Interrupted || error instanceof ReaderGone) throw error;
      tellFailure(error, io.context);
      return OURS_FAILED;
    }
  },
});

async function waitFor(
  ids: readonly string[],
  timeout: number | null,
  any: boolean,
  io: Io,
): Promise<Job[]> {
  const signal = io.context.interrupted();
  return await withQueue(io, async ({ queue }) => {
    const jobs = await Promise.all(ids.map((id) => queue.get(id)));
    const waiting = jobs.filter(({ state }) => state === 'pending' || state === 'failed');
    await hintUnserved(
      queue,
      waiting.map((job) => job.queue),
      io,
    );
    return await queue.wait(ids, { timeout, any, signal });
  });
}

/** Tells what did not succeed and answers the exit code. */
function answer(jobs: readonly Job[], any: boolean, timeout: number | null, io: Io): number {
  const finished = jobs.filter((job) => isTerminal(job.state));
  const judged = any && finished.length > 0 ? finished.slice(0, 1) : jobs;
  let first = 0;
  for (const job of judged) {
    const code = isTerminal(job.state) ? exitCodeOf(job) : OURS_FAILED;
    if (code === 0) continue;
    const why = `job ${visible(job.id)} ${visible(reason(job, timeout))}`;
    // 125 is never the job's own: its reason is told whatever was asked.
    if (code === OURS_FAILED) io.warn(why);
    else io.note(`queuectl: ${why}`);
    first ||= code;
  }
  return first;
}

function reason(job: Job, timeout: number | null): string {
  if (!isTerminal(job.state)) {
    return `is ${job.state} after ${formatDuration(timeout ?? 0)} of waiting`;
  }
  if (job.state === 'cancelled' || job.last === null) return `is ${job.state}`;
  return `is ${job.state}: ${outcomeText(job.last)}`;
}
