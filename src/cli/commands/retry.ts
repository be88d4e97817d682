// queuectl retry ID…: dead jobs back to `pending`; the same as `dlq retry ID…`.

import { defineCommand } from '../command.ts';
import { withQueue } from '../open.ts';
import { retryIds } from '../retry.ts';

export const command = defineCommand({
  summary: 'run dead jobs again, with all their retries',
  usage: ['retry ID…'],
  flags: {},
  operands: { min: 1, max: null, name: 'ID' },
  examples: [
    ['queuectl retry nightly', 'after its cause was fixed'],
    ['queuectl dlq retry --all', 'all that are dead'],
  ],
  run: async ({ operands, io }) =>
    await withQueue(io, async ({ queue }) => await retryIds(operands, queue, io)),
});
