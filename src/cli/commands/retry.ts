// queuectl retry ID… or by filter: dead jobs back to `pending`.

import { defineCommand, type Flags } from '../command.ts';
import { withQueue } from '../open.ts';
import { retryIds, tellRetried } from '../retry.ts';
import { actOnMatching, SELECTION_FLAGS, selectionOf, type Verb } from '../selection.ts';

const VERB = { name: 'retry', doing: 'Retrying', states: ['dead'] } as const satisfies Verb;

const FLAGS = {
  state: { type: 'list', value: 'S', choices: VERB.states, help: 'only dead ones can be: dead' },
  ...SELECTION_FLAGS,
} as const satisfies Flags;

export const command = defineCommand({
  summary: 'run dead jobs again, with all their retries',
  usage: ['retry ID…', 'retry [filters] [--dry-run] [--yes]'],
  about: ['By filter it asks first; queuectl dlq retry --all does not.'],
  flags: FLAGS,
  operands: { min: 0, max: null, name: 'ID' },
  examples: [
    ['queuectl retry nightly', 'after its cause was fixed'],
    ['queuectl retry --tag batch=7', 'the dead ones of a batch'],
    ['queuectl dlq retry --all', 'all that are dead'],
  ],
  async run({ flags, operands, io }) {
    const filter = selectionOf(VERB, operands, flags, io);
    return await withQueue(io, async ({ queue }) => {
      if (filter === null) return await retryIds(operands, queue, io);
      return await actOnMatching(
        queue,
        filter,
        { verb: VERB, flags, io },
        {
          nothing: 0,
          act: (options) => queue.retryAll(filter, options),
          tell: (retried) => tellRetried(retried, filter, queue, io),
        },
      );
    });
  },
});
