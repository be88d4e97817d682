// queuectl dlq purge: deletes dead jobs and their logs. Asks first.

import { defineCommand, NO_OPERANDS } from '../command.ts';
import { ask, mustBeAsked } from '../ask.ts';
import { logRemover } from '../logs.ts';
import { DEAD_FLAGS, deadFilter } from '../dead.ts';
import { type Opened, withQueue } from '../open.ts';
import { type Bulk, inBatches } from '../in-batches.ts';
import { count, visible } from '../text.ts';
import type { Io } from '../io.ts';
import type { Filter } from '../../store/store.ts';

export const command = defineCommand({
  summary: 'delete dead jobs and their logs',
  usage: ['dlq purge [filters] [--older-than DURATION] [--yes]'],
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
      if (agreed) await purge(opened, filter, io);
      else if (io.json) io.printJson({ purged: 0 });
      return 0;
    });
  },
});

async function purge({ queue, location }: Opened, filter: Filter, io: Io): Promise<void> {
  const removeLogs = await logRemover(location);
  const bulk: Bulk<number> = {
    doing: 'Deleting',
    total: null,
    act: ({ onBatch, ...options }) =>
      queue.deleteAll(filter, {
        ...options,
        onBatch: async (keys) => {
          await removeLogs(keys);
          await onBatch(keys);
        },
      }),
    tell: (purged) => {
      if (io.json) io.printJson({ purged });
      else if (!io.quiet) {
        io.print(purged === 0 ? 'No dead job matches.' : `Deleted ${count(purged, 'dead job')}`);
      }
    },
  };
  await inBatches(bulk, io);
}

async function question({ queue }: Opened, filter: Filter): Promise<string> {
  const where = filter.queue === null ? '' : ` of the queue ${visible(filter.queue)}`;
  return `Delete ${count(await queue.count(filter), 'dead job')}${where} and their logs?`;
}
