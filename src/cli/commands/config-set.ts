// queuectl config set KEY VALUE: stored in the database, seen by running workers within
// a second.

import { normalizeSetting, settingName, SETTINGS } from '../../config.ts';
import { defineCommand } from '../command.ts';
import { withQueue } from '../open.ts';

export const command = defineCommand({
  summary: 'change a setting',
  usage: ['config set KEY VALUE'],
  about: [
    'max_retries and timeout are fixed when a job is enqueued, the backoff when an attempt\n' +
      'fails; everything else reaches running workers within a second.',
  ],
  flags: {},
  operands: { min: 2, max: 2, name: 'argument' },
  examples: [
    ['queuectl config set backoff_base 2', 'wait 2, 4, 8 … seconds between attempts'],
    ['queuectl config set timeout 1h', 'end attempts after an hour, unless a job says otherwise'],
  ],
  async run({ operands, io }) {
    const [key = '', text = ''] = operands;
    const name = settingName(key);
    const value = normalizeSetting(name, text);
    await withQueue(io, async ({ queue }) => await queue.store.setSetting(name, value));
    if (io.json) io.printJson({ name, value: SETTINGS[name].toJson(value) ?? null });
    else if (!io.quiet) io.print(`${name} = ${value}`);
    return 0;
  },
});
