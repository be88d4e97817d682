// queuectl dlq purge: deletes dead jobs and their logs. Asks first.

import { defineCommand, NO_OPERANDS } from '../command.ts';
import { ask, mustBeAsked } from '../ask.ts';
import { DEAD_FLAGS, type DeadFilter, deadFilter } from '../dead.ts';
import { type Opened, withQueue } from '../open.ts';
import { Progress } from '../progress.ts';
import { count, visible } from '../text.ts';
import type { Io } from '../io.ts';

export const command = defineCommand({
  summary: 'delete dead jobs and their logs',
  usage: ['dlq purge [--queue Q] [--older-than DURATION] [--yes]'],
  flags: {
    ...DEAD_FLAGS,
    yes: { type: 'boolean', help: 'do not ask' },
  },
  operands: NO_OPERANDS,
  examples: [
    ['queuectl dlq purge --older-than 30d', 'what died more than a month ago'],
    ['queuectl dlq purge --queue video --yes', 'from a script'],
  ],
  async run({ flags, io }) {
    const filter = deadFilter(flags, io);
    if (!flags.yes) mustBeAsked(io, 'dlq purge');
    return await withQueue(io, async (opened) => {
      const agreed = flags.yes || (await ask(io, await question(opened, filter)));
      if (!agreed) io.note('Nothing was deleted.');
      const purged = agreed ? await purge(opened, filter, io) : 0;
      if (io.json) {
        io.printJson({ purged });
      } else if (agreed && !io.quiet) {
        io.print(purged === 0 ? 'No dead job matches.' : `Deleted ${count(purged, 'dead job')}`);
      }
      return 0;
    });
  },
});

async function purge({ queue, location }: Opened, filter: DeadFilter, io: Io): Promise<number> {
  const { createLogStore } = await import('../../worker/output.ts');
  const logs = createLogStore(location.jobLogs);
  const progress = new Progress(io);
  let done = 0;
  const purged = await queue.purgeAllDead(filter, (keys) => {
    done += keys.length;
    progress.update('Deleting', done, null, 'jobs');
    logs.remove(keys);
  });
  progress.clear();
  return purged;
}

async function question({ queue }: Opened, filter: DeadFilter): Promise<string> {
  const where = filter.queue === null ? '' : ` of the queue ${visible(filter.queue)}`;
  if (filter.before !== null)
    return `Delete the dead jobs${where} that are so old, with their logs?`;
  const { counts } = await queue.stats();
  const n = counts
    .filter((row) => row.state === 'dead' && (filter.queue ?? row.queue) === row.queue)
    .reduce((sum, row) => sum + row.n, 0);
  return `Delete ${count(n, 'dead job')}${where} and their logs?`;
}
