// queuectl dlq list: dead jobs, the latest death first, each with its last error.

import { defineCommand, NO_OPERANDS } from '../command.ts';
import { deadColumns } from '../job-table.ts';
import { LIMIT_FLAGS, limitOf, printJobs } from '../listing.ts';
import { withQueue } from '../open.ts';
import { splitTags } from '../tags.ts';

export const command = defineCommand({
  summary: 'show jobs that failed for good, each with its last error',
  usage: ['dlq list [flags]'],
  flags: {
    queue: { type: 'text', value: 'Q', help: 'only jobs of this queue' },
    tag: { type: 'list', value: 'K=V', help: 'only jobs with this label' },
    search: { type: 'text', value: 'TEXT', help: 'only jobs with this text in id or command' },
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
        states: ['dead'] as const,
        queue: flags.queue ?? null,
        tags: splitTags(flags.tag),
        search: flags.search ?? null,
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
