// queuectl config unset KEY: the default holds again.

import { settingName, SETTINGS } from '../../config.ts';
import { defineCommand } from '../command.ts';
import { withQueue } from '../open.ts';

export const command = defineCommand({
  summary: 'go back to the default of a setting',
  usage: ['config unset KEY'],
  flags: {},
  operands: { min: 1, max: 1, name: 'key' },
  examples: [['queuectl config unset backoff_base', 'the default again']],
  async run({ operands, io }) {
    const name = settingName(operands[0] ?? '');
    await withQueue(io, async ({ queue }) => await queue.store.setSetting(name, null));
    const { fallbackText, toJson } = SETTINGS[name];
    if (io.json) io.printJson({ name, value: toJson(fallbackText) ?? null });
    else if (!io.quiet) io.print(`${name} = ${fallbackText} (the default)`);
    return 0;
  },
});
