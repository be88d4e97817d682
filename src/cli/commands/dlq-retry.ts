// queuectl dlq retry ID… | --all [filters]: dead jobs back to `pending`.

import { defineCommand } from '../command.ts';
import { DEAD_FLAGS, deadFilter } from '../dead.ts';
import { withQueue } from '../open.ts';
import { usage } from '../parse.ts';
import { Progress } from '../progress.ts';
import { retryIds } from '../retry.ts';
import { hintUnserved } from '../serving.ts';
import { count } from '../text.ts';

export const command = defineCommand({
  summary: 'run dead jobs again, with all their retries',
  usage: ['dlq retry ID…', 'dlq retry --all [--queue Q] [--older-than DURATION]'],
  flags: {
    all: { type: 'boolean', help: 'all that are dead now' },
    ...DEAD_FLAGS,
    yes: { type: 'boolean', help: 'accepted; nothing is asked' },
  },
  operands: { min: 0, max: null, name: 'ID' },
  examples: [
    ['queuectl dlq retry nightly', 'one job'],
    ['queuectl dlq retry --all', 'all of them, after the cause was fixed'],
    ['queuectl dlq retry --all --queue video', 'those of one queue'],
  ],
  async run({ flags, operands, io }) {
    const filter = deadFilter(flags, io);
    const filtered = filter.queue !== null || filter.before !== null;
    if (operands.length > 0 && (flags.all || filtered)) {
      throw usage(`ids and ${flags.all ? '--all' : 'filters'} exclude each other`, 'dlq retry');
    }
    if (operands.length === 0 && !flags.all) {
      throw usage('dlq retry needs an ID, or --all', 'dlq retry');
    }
    return await withQueue(io, async ({ queue }) => {
      if (operands.length > 0) return await retryIds(operands, queue, io);
      const progress = new Progress(io);
      const retried = await queue.retryAllDead(filter, (n) =>
        progress.update('Retrying', n, null, 'jobs'),
      );
      progress.clear();
      if (io.json) io.printJson({ retried });
      else if (!io.quiet) io.print(retriedText(retried, filtered));
      if (retried > 0) await hintUnserved(queue, await waitingQueues(queue), io);
      return 0;
    });
  },
});

function retriedText(retried: number, filtered: boolean): string {
  if (retried > 0) return `Retrying ${count(retried, 'job')}`;
  return filtered ? 'No dead job matches.' : 'No dead jobs: nothing to retry.';
}

async function waitingQueues(queue: Parameters<typeof hintUnserved>[0]): Promise<string[]> {
  const { counts } = await queue.stats();
  return counts.filter(({ state }) => state === 'pending').map((row) => row.queue);
}
