// queuectl dlq purge: deletes dead jobs and their logs. Asks first.

import { defineCommand, NO_OPERANDS } from '../command.ts';
import { ask, mustBeAsked } from '../ask.ts';
import { logRemover } from '../logs.ts';
import { DEAD_FLAGS, deadFilter } from '../dead.ts';
import { type Opened, withQueue } from '../open.ts';
import { type Bulk, inBatches } from '../in-batches.ts';
import { count, visible } from '../text.ts';
import type { Io } from '../io.ts';
import type { Selection } from '../../queue.ts';
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
      const only = flags.yes ? null : await opened.queue.select(filter);
      if (only === null || (await ask(io, question(only, filter)))) {
        await purge(opened, filter, only, io);
        return 0;
      }
      io.note('Nothing was deleted.');
      if (io.json) io.printJson({ purged: 0 });
      return 0;
    });
  },
});

async function purge(
  { queue, location }: Opened,
  filter: Filter,
  only: Selection | null,
  io: Io,
): Promise<void> {
  const removeLogs = await logRemover(location);
  const bulk: Bulk<number> = {
    doing: 'Deleting',
    only,
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

function question({ keys }: Selection, filter: Filter): string {
  const where = filter.queue === null ? '' : ` of the queue ${visible(filter.queue)}`;
  return `Delete ${count(keys.length, 'dead job')}${where} and their logs?`;
}
