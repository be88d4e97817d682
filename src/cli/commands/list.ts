// queuectl list: jobs, newest first.

import { STATES, type State } from '../../job.ts';
import { SORT_ORDERS, type SortOrder } from '../../store/store.ts';
import { defineCommand, NO_OPERANDS } from '../command.ts';
import { FILTER_FLAGS, filterOf, isNarrowed } from '../filter.ts';
import { jobColumns } from '../job-table.ts';
import { LIMIT_FLAGS, limitOf, printJobs } from '../listing.ts';
import { withQueue } from '../open.ts';

export const command = defineCommand({
  summary: 'show jobs, newest first',
  usage: ['list [flags]'],
  about: [
    '--cursor goes on after a job, however many came before it or have come since. By newest,\n' +
      'oldest and priority no job is shown twice or left out, as long as nobody edits it. By\n' +
      'updated a job that changes meanwhile goes to the top: look there again.',
  ],
  flags: {
    state: { type: 'list', value: 'S', choices: STATES, help: `only these: ${STATES.join(', ')}` },
    ...FILTER_FLAGS,
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
    ['queuectl list --since 2h --search ffmpeg', 'what was enqueued in the last two hours'],
    ['queuectl list --quiet --state dead | xargs -n1 queuectl show', 'ids alone, for scripts'],
  ],
  async run({ flags, io }) {
    // Checked against the choices when they were parsed.
    const states = flags.state as readonly State[];
    const filter = filterOf(flags, states, io);
    const query = {
      ...filter,
      sort: (flags.sort ?? 'newest') as SortOrder,
      limit: limitOf(flags.limit),
      cursor: flags.cursor ?? null,
    };
    const filtered = states.length > 0 || isNarrowed(filter);
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
