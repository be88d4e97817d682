// queuectl config get KEY: the bare value, for scripts.

import { settingName, SETTINGS } from '../../config.ts';
import { defineCommand } from '../command.ts';
import { withQueue } from '../open.ts';

export const command = defineCommand({
  summary: 'print the value of a setting',
  usage: ['config get KEY'],
  flags: {},
  operands: { min: 1, max: 1, name: 'key' },
  examples: [['queuectl config get backoff_base', 'the value alone, set or default']],
  async run({ operands, io }) {
    const name = settingName(operands[0] ?? '');
    const stored = await withQueue(io, async ({ queue }) => await queue.store.settings());
    const { normalize, fallbackText, toJson } = SETTINGS[name];
    const value = normalize(stored.get(name) ?? fallbackText) ?? fallbackText;
    if (io.json) io.printJson(toJson(value) ?? null);
    else io.print(value);
    return 0;
  },
});
