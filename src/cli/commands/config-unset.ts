// queuectl config unset KEY: the default holds again.

import { settingName, SETTINGS, storedName } from '../../config.ts';
import { defineCommand } from '../command.ts';
import { withQueue } from '../open.ts';
import { labelOf, QUEUE_FLAG, queueOf } from '../queue-setting.ts';

export const command = defineCommand({
  summary: 'go back to the default of a setting',
  usage: ['config unset KEY [--queue Q]'],
  flags: { queue: QUEUE_FLAG },
  operands: { min: 1, max: 1, name: 'key' },
  examples: [['queuectl config unset backoff_base', 'the default again']],
  async run({ flags, operands, io }) {
    const name = settingName(operands[0] ?? '');
    const of = queueOf(flags.queue);
    const stored = storedName(name, of);
    const all = await withQueue(io, async ({ queue }) => {
      await queue.store.setSetting(stored, null);
      return await queue.store.settings();
    });
    const { fallbackText, normalize, toJson } = SETTINGS[name];
    // Of a queue: what holds for all queues holds for it again.
    const value = normalize(all.get(name) ?? fallbackText) ?? fallbackText;
    const why = all.has(name) ? 'as for all queues' : 'the default';
    if (io.json) io.printJson({ name, queue: of, value: toJson(value) ?? null });
    else if (!io.quiet) io.print(`${labelOf(name, of)} = ${value} (${why})`);
    return 0;
  },
});
