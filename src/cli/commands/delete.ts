// queuectl delete ID… or by filter: jobs, their attempts and their logs.

import { EXIT_CODE_OF } from '../../errors.ts';
import { STATES } from '../../job.ts';
import { defineCommand, type Flags } from '../command.ts';
import type { Io } from '../io.ts';
import { logRemover } from '../logs.ts';
import { type Opened, withQueue } from '../open.ts';
import { actOnMatching, NO_MATCH, SELECTION_FLAGS, selectionOf, type Verb } from '../selection.ts';
import { count, visible } from '../text.ts';

const VERB = {
  name: 'delete',
  doing: 'Deleting',
  along: ' and their logs',
  states: STATES.filter((state) => state !== 'processing'),
} as const satisfies Verb;

const FLAGS = {
  state: {
    type: 'list',
    value: 'S',
    choices: VERB.states,
    help: `only jobs in this state: ${VERB.states.join(', ')}`,
  },
  ...SELECTION_FLAGS,
} as const satisfies Flags;

export const command = defineCommand({
  summary: 'delete jobs and their logs',
  usage: ['delete ID…', 'delete [filters] [--dry-run] [--yes]'],
  about: [
    'A job that waits never runs; one that runs is a conflict (exit 4): cancel it first.\n' +
      'Deleting by filter asks first.',
  ],
  flags: FLAGS,
  operands: { min: 0, max: null, name: 'ID' },
  examples: [
    ['queuectl delete nightly', 'one job'],
    ['queuectl delete --state completed --until 30d', 'what was enqueued a month ago'],
    ['queuectl delete --tag batch=7 --dry-run', 'only see what it would be'],
  ],
  async run({ flags, operands, io }) {
    const filter = selectionOf(VERB, operands, flags, io);
    return await withQueue(io, async (opened) => {
      if (filter === null) return await deleteIds(operands, opened, io);
      const { queue, location } = opened;
      const removeLogs = await logRemover(location);
      return await actOnMatching(
        queue,
        filter,
        { verb: VERB, flags, io },
        {
          nothing: 0,
          act: ({ onBatch, ...options }) =>
            queue.deleteAll(filter, {
              ...options,
              onBatch: async (keys) => {
                await removeLogs(keys);
                await onBatch(keys);
              },
            }),
          tell: (deleted) => {
            if (io.json) io.printJson({ deleted });
            else if (!io.quiet) {
              io.print(deleted === 0 ? NO_MATCH : `Deleted ${count(deleted, 'job')}`);
            }
          },
        },
      );
    });
  },
});

async function deleteIds(
  ids: readonly string[],
  { queue, location }: Opened,
  io: Io,
): Promise<number> {
  const answers = await queue.delete(ids);
  const keys = answers.flatMap((answer) => (typeof answer === 'object' ? [answer.deleted] : []));
  const removeLogs = await logRemover(location);
  await removeLogs(keys);
  const results = ids.map((id, i) => {
    const answer = answers[i] ?? 'not_found';
    return { id, result: typeof answer === 'object' ? ('deleted' as const) : answer };
  });
  if (io.json) io.printJson(results);
  for (const { id, result } of results) {
    const shown = visible(id);
    if (result === 'not_found') io.warn(`no job "${shown}"`);
    else if (result === 'wrong_state') io.warn(`job ${shown} runs: cancel it first`);
    else if (!io.json && !io.quiet) io.print(`Deleted ${shown}`);
  }
  const failed = results.find(({ result }) => result !== 'deleted')?.result;
  if (failed === undefined || failed === 'deleted') return 0;
  return EXIT_CODE_OF[failed];
}
