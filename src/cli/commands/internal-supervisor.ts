// queuectl __supervisor: what `worker start` runs in the background, or in the foreground
// in its own process. Not for people, so not in the help.

import { integerFlag, PROCESS_FLAGS, processOptions } from '../worker-process.ts';
import { defineCommand, NO_OPERANDS } from '../command.ts';

export const command = defineCommand({
  summary: 'supervise workers (internal)',
  usage: ['__supervisor --count N'],
  flags: {
    ...PROCESS_FLAGS,
    count: { type: 'text', value: 'N', help: 'workers to keep alive' },
  },
  operands: NO_OPERANDS,
  examples: [],
  async run({ flags, io }) {
    const { runSupervisorProcess } = await import('../../worker/process.ts');
    return await runSupervisorProcess({
      ...processOptions(flags, io),
      count: integerFlag('count', flags.count, 1),
      background: flags.background,
    });
  },
});
