// queuectl list: jobs, newest first.

import { STATES, type State } from '../../job.ts';
import { SORT_ORDERS, type SortOrder } from '../../store/store.ts';
import { defineCommand, NO_OPERANDS } from '../command.ts';
import { jobColumns } from '../job-table.ts';
import { LIMIT_FLAGS, limitOf, printJobs } from '../listing.ts';
import { withQueue } from '../open.ts';
import { splitTags } from '../tags.ts';

export const command = defineCommand({
  summary: 'show jobs, newest first',
  usage: ['list [flags]'],
  flags: {
    state: { type: 'list', value: 'S', choices: STATES, help: `only these: ${STATES.join(', ')}` },
    queue: { type: 'text', value: 'Q', help: 'only jobs of this queue' },
    tag: { type: 'list', value: 'K=V', help: 'only jobs with this label' },
    search: { type: 'text', value: 'TEXT', help: 'only jobs with this text in id or command' },
    sort: {
      type: 'text',
      value: 'ORDER',
      choices: SORT_ORDERS,
      help: `one of: ${SORT_ORDERS.join(', ')} (default: newest)`,
    },
    ...LIMIT_FLAGS,
  },
  operands: NO_OPERANDS,
  examples: [
    ['queuectl list', 'the newest 50 jobs'],
    ['queuectl list --state failed,dead', 'what went wrong'],
    ['queuectl list --queue video --sort priority', 'a queue, most urgent first'],
    ['queuectl list --quiet --state dead | xargs queuectl show', 'ids alone, for scripts'],
  ],
  async run({ flags, io }) {
    const query = {
      // Checked against the choices when they were parsed.
      states: flags.state as readonly State[],
      queue: flags.queue ?? null,
      tags: splitTags(flags.tag),
      search: flags.search ?? null,
      sort: (flags.sort ?? 'newest') as SortOrder,
      limit: limitOf(flags.limit),
      cursor: flags.cursor ?? null,
    };
    const filtered =
      query.states.length > 0 ||
      query.queue !== null ||
      query.tags.length > 0 ||
      query.search !== null;
    await withQueue(io, async ({ queue }) => {
      const nothing = async (): Promise<string> => {
        if (query.cursor !== null) return 'No more jobs.';
        const { counts } = await queue.stats();
        return filtered && counts.length > 0
          ? 'No job matches. Without filters: queuectl list'
          : 'No jobs yet. Try: queuectl enqueue -- echo hello';
      };
      await printJobs(queue, { query, columns: jobColumns, nothing }, io);
    });
    return 0;
  },
});
