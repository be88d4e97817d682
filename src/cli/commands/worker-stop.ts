// queuectl worker stop: asks all workers of this machine to stop and waits until they have.

import { systemEnv } from '../../env.ts';
import { defineCommand, NO_OPERANDS } from '../command.ts';
import { durationFlag } from '../numbers.ts';
import { withQueue } from '../open.ts';
import { usage } from '../parse.ts';
import { count, enumerate, visible } from '../text.ts';

/** Ids named while waiting; a machine can run thousands at once. */
const NAMED_JOBS = 5;

export const command = defineCommand({
  summary: 'let workers finish what they run, then stop them',
  usage: ['worker stop [--grace DURATION] [--now]'],
  about: [
    'Workers claim nothing more, and stop when what they run has ended, however long that\n' +
      'takes. --grace bounds the wait; past it, and at once with --now, attempts are ended and\n' +
      'their jobs given back without using up a retry. Ctrl-C stops waiting; the workers still\n' +
      'stop.',
  ],
  flags: {
    grace: {
      type: 'text',
      value: 'DURATION',
      help: 'give jobs back that still run after this long',
    },
    now: { type: 'boolean', help: 'give running jobs back at once' },
  },
  operands: NO_OPERANDS,
  examples: [
    ['queuectl worker stop', 'when everything that runs has finished'],
    ['queuectl worker stop --grace 30s', 'not later than half a minute from now'],
    ['queuectl worker stop --now', 'at once; jobs run again later'],
  ],
  async run({ flags, io }) {
    const grace = durationFlag('--grace', flags.grace);
    if (grace !== null && flags.now)
      throw usage('--grace and --now exclude each other', 'worker stop');
    const signal = io.context.interrupted();
    const { stopWorkers } = await import('../../worker/stop.ts');
    const { createReaper } = await import('../../worker/process.ts');
    const stopped = await withQueue(
      io,
      async ({ queue, location }) =>
        await stopWorkers(queue, systemEnv, {
          reaper: createReaper({ env: systemEnv, location }, queue.store, (line) =>
            io.note(visible(line)),
          ),
          grace,
          now: flags.now,
          signal,
          onWaiting: (jobs) => io.note(waitingFor(jobs)),
        }),
    );
    if (io.json) {
      io.printJson({ stopped });
    } else if (!io.quiet) {
      io.print(stopped === 0 ? 'No worker is running.' : `Stopped ${count(stopped, 'worker')}`);
    }
    return 0;
  },
});

function waitingFor(jobs: readonly string[]): string {
  const named = jobs.slice(0, NAMED_JOBS).map((id) => visible(id));
  const more = jobs.length - named.length;
  return `waiting for ${enumerate(more > 0 ? [...named, `${more} more`] : named)}`;
}
