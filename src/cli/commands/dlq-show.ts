// queuectl dlq show ID: one dead job; anything else is a conflict, as the state is wrong.

import { QueuectlError } from '../../errors.ts';
import { defineCommand } from '../command.ts';
import { withQueue } from '../open.ts';
import { showJob } from '../show.ts';

export const command = defineCommand({
  summary: 'show one dead job with all its attempts',
  usage: ['dlq show ID'],
  flags: {},
  operands: { min: 1, max: 1, name: 'ID', jobs: ['dead'] },
  examples: [['queuectl dlq show nightly', 'why it failed, each time']],
  run: async ({ operands, io }) =>
    await withQueue(io, async (opened) => {
      const story = await opened.queue.story(operands[0] ?? '');
      const { job } = story;
      if (job.state !== 'dead') {
        throw new QueuectlError('wrong_state', `job ${job.id} is ${job.state}, not dead`, {
          hint: `queuectl show ${job.id}`,
        });
      }
      await showJob(story, opened, io);
      return 0;
    }),
});
