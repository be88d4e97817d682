// queuectl __worker: what a supervisor starts, once for each worker. Not for people, so
// not in the help.

import { integerFlag, PROCESS_FLAGS, processOptions } from '../worker-process.ts';
import { defineCommand, NO_OPERANDS } from '../command.ts';

export const command = defineCommand({
  summary: 'run one worker (internal)',
  usage: ['__worker --supervisor KEY'],
  flags: {
    ...PROCESS_FLAGS,
    supervisor: { type: 'text', value: 'KEY', help: 'the supervisor that started it' },
  },
  operands: NO_OPERANDS,
  examples: [],
  async run({ flags, io }) {
    const { runWorkerProcess } = await import('../../worker/process.ts');
    return await runWorkerProcess({
      ...processOptions(flags, io),
      supervisor: integerFlag('supervisor', flags.supervisor, 0),
    });
  },
});
