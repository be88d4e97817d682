// queuectl show ID: one job with all its attempts.

import { defineCommand } from '../command.ts';
import { withQueue } from '../open.ts';
import { showJob } from '../show.ts';

export const command = defineCommand({
  summary: 'show one job with all its attempts',
  usage: ['show ID'],
  flags: {},
  operands: { min: 1, max: 1, name: 'ID' },
  examples: [
    ['queuectl show nightly', 'everything about a job'],
    ["queuectl show nightly --json | jq '.history[-1].outcome'", 'how its last attempt ended'],
  ],
  run: async ({ operands, io }) =>
    await withQueue(io, async (opened) => {
      await showJob(await opened.queue.story(operands[0] ?? ''), opened, io);
      return 0;
    }),
});
