// queuectl dlq retry ID… | --all [filters]: dead jobs back to `pending`.

import { defineCommand } from '../command.ts';
import { DEAD_FLAGS, deadFilter } from '../dead.ts';
import { isNarrowed } from '../filter.ts';
import { withQueue } from '../open.ts';
import { usage } from '../parse.ts';
import { inBatches } from '../in-batches.ts';
import { retryIds, tellRetried } from '../retry.ts';

export const command = defineCommand({
  summary: 'run dead jobs again, with all their retries',
  usage: ['dlq retry ID…', 'dlq retry --all [filters]'],
  flags: {
    all: { type: 'boolean', help: 'all that are dead now' },
    ...DEAD_FLAGS,
    yes: { type: 'boolean', help: 'accepted; nothing is asked' },
  },
  operands: { min: 0, max: null, name: 'ID', jobs: ['dead'] },
  examples: [
    ['queuectl dlq retry nightly', 'one job'],
    ['queuectl dlq retry --all', 'all of them, after the cause was fixed'],
    ['queuectl dlq retry --all --queue video', 'those of one queue'],
  ],
  async run({ flags, operands, io }) {
    const filter = deadFilter(flags, io);
    if (operands.length > 0 && (flags.all || isNarrowed(filter))) {
      throw usage(`ids and ${flags.all ? '--all' : 'filters'} exclude each other`, 'dlq retry');
    }
    if (operands.length === 0 && !flags.all) {
      throw usage('dlq retry needs an ID, or --all', 'dlq retry');
    }
    return await withQueue(io, async ({ queue }) => {
      if (operands.length > 0) return await retryIds(operands, queue, io);
      await inBatches(
        {
          doing: 'Retrying',
          only: null,
          act: (options) => queue.retryAll(filter, options),
          tell: (retried) => tellRetried(retried, filter, queue, io),
        },
        io,
      );
      return 0;
    });
  },
});
