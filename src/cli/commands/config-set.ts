// queuectl config set KEY VALUE: stored in the database, seen by running workers within
// a second.

import { normalizeSetting, settingName, SETTINGS, storedName } from '../../config.ts';
import { defineCommand } from '../command.ts';
import { withQueue } from '../open.ts';
import { labelOf, QUEUE_FLAG, queueOf } from '../queue-setting.ts';

export const command = defineCommand({
  summary: 'change a setting',
  usage: ['config set KEY VALUE [--queue Q]'],
  about: [
    'max_retries and timeout are fixed when a job is enqueued, the backoff when an attempt\n' +
      'fails; everything else reaches running workers within a second.',
  ],
  flags: { queue: QUEUE_FLAG },
  operands: { min: 2, max: 2, name: 'argument', each: ['key', 'value'] },
  examples: [
    ['queuectl config set backoff_base 2', 'wait 2, 4, 8 … seconds between attempts'],
    ['queuectl config set retention 1d --queue video', 'for the jobs of one queue'],
    ['queuectl config set timeout 1h', 'end attempts after an hour, unless a job says otherwise'],
  ],
  async run({ flags, operands, io }) {
    const [key = '', text = ''] = operands;
    const name = settingName(key);
    const value = normalizeSetting(name, text);
    const of = queueOf(flags.queue);
    const stored = storedName(name, of);
    await withQueue(io, async ({ queue }) => await queue.store.setSetting(stored, value));
    if (io.json) io.printJson({ name, queue: of, value: SETTINGS[name].toJson(value) ?? null });
    else if (!io.quiet) io.print(`${labelOf(name, of)} = ${value}`);
    return 0;
  },
});
