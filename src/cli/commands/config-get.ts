// queuectl config get KEY: the bare value, for scripts.

import { settingName, SETTINGS, storedName } from '../../config.ts';
import { defineCommand } from '../command.ts';
import { withQueue } from '../open.ts';
import { QUEUE_FLAG, queueOf } from '../queue-setting.ts';

export const command = defineCommand({
  summary: 'print the value of a setting',
  usage: ['config get KEY [--queue Q]'],
  flags: { queue: QUEUE_FLAG },
  operands: { min: 1, max: 1, name: 'key' },
  examples: [['queuectl config get backoff_base', 'the value alone, set or default']],
  async run({ flags, operands, io }) {
    const name = settingName(operands[0] ?? '');
    const own = storedName(name, queueOf(flags.queue));
    const stored = await withQueue(io, async ({ queue }) => await queue.store.settings());
    const { normalize, fallbackText, toJson } = SETTINGS[name];
    const set = stored.get(own) ?? stored.get(name);
    const value = normalize(set ?? fallbackText) ?? fallbackText;
    if (io.json) io.printJson(toJson(value) ?? null);
    else io.print(value);
    return 0;
  },
});
