// queuectl dlq list: dead jobs, the latest death first, each with its last error.

import { defineCommand, NO_OPERANDS } from '../command.ts';
import { FILTER_FLAGS, filterOf } from '../filter.ts';
import { deadColumns } from '../job-table.ts';
import { LIMIT_FLAGS, limitOf, printJobs } from '../listing.ts';
import { withQueue } from '../open.ts';

export const command = defineCommand({
  summary: 'show jobs that failed for good, each with its last error',
  usage: ['dlq list [flags]'],
  flags: {
    ...FILTER_FLAGS,
    ...LIMIT_FLAGS,
  },
  operands: NO_OPERANDS,
  examples: [
    ['queuectl dlq list', 'what failed, and why'],
    ['queuectl dlq retry --all', 'after the cause was fixed'],
  ],
  async run({ flags, io }) {
    await withQueue(io, async ({ queue }) => {
      const query = {
        ...filterOf(flags, ['dead'], io),
        sort: 'updated' as const,
        limit: limitOf(flags.limit),
        cursor: flags.cursor ?? null,
      };
      const nothing = async (): Promise<string> => {
        if (query.cursor !== null) return 'No more dead jobs.';
        const { counts } = await queue.stats();
        return counts.some(({ state }) => state === 'dead')
          ? 'No dead job matches. Without filters: queuectl dlq list'
          : 'No dead jobs: the dead letter queue is empty.';
      };
      await printJobs(queue, { query, columns: deadColumns, nothing }, io);
    });
    return 0;
  },
});
