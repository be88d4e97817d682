// queuectl backup FILE: a copy of the database, consistent, while workers go on.

import { resolve } from 'node:path';
import { systemEnv } from '../../env.ts';
import { QueuectlError } from '../../errors.ts';
import { backupStore } from '../../store/open.ts';
import { defineCommand } from '../command.ts';
import { locationOf } from '../open.ts';
import { bytes, visible } from '../text.ts';

export const command = defineCommand({
  summary: 'copy the database while workers go on',
  usage: ['backup FILE [--force]'],
  about: [
    'The copy holds every job that was acknowledged before it began, and all of its history;\n' +
      'logs are not in it. Copying the file by hand loses what is still in its -wal file.',
    'To restore: stop the workers, move the database and its -wal and -shm away, and put the\n' +
      'copy in its place. What ran when the copy was made then runs again.',
  ],
  flags: { force: { type: 'boolean', help: 'replace FILE if it is there' } },
  operands: { min: 1, max: 1, name: 'FILE' },
  examples: [
    ['queuectl backup /backup/queue-$(date +%F).db', 'every night, from cron or a job'],
    ['queuectl --db /backup/queue-2030-12-01.db list', 'look into it'],
  ],
  async run({ flags, operands, io }) {
    if (operands[0] === '-') {
      throw new QueuectlError('invalid', 'a backup is a file, it cannot go to stdout', {
        hint: 'give a name; ./- is a file called -',
      });
    }
    const file = resolve(io.context.cwd(), operands[0] ?? '');
    const location = locationOf(io);
    const size = await backupStore(location, file, {
      force: flags.force,
      unique: systemEnv.newId(),
      now: systemEnv.now(),
    });
    if (io.json) io.printJson({ file, bytes: size });
    else if (!io.quiet)
      io.print(`Backed up ${visible(location.database)} to ${visible(file)} (${bytes(size)})`);
    return 0;
  },
});
