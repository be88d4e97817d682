// queuectl prune: deletes finished jobs and their logs, by the retention that is set or by an
// age given here. Workers do the former by themselves. Logs that a killed one has left behind
// go as well.

import { systemEnv } from '../../env.ts';
import {
  applyRetention,
  countOverdue,
  forgetWorkers,
  sweepLogs,
} from '../../worker/housekeeping.ts';
import { createLogStore } from '../../worker/output.ts';
import { ask, mustBeAsked } from '../ask.ts';
import { type Call, defineCommand, type Flags, NO_OPERANDS } from '../command.ts';
import { FILTER_FLAGS, filterOf, isNarrowed } from '../filter.ts';
import { type Bulk, inBatches } from '../in-batches.ts';
import { durationFlag } from '../numbers.ts';
import { type Opened, withQueue } from '../open.ts';
import { usage } from '../parse.ts';
import { count } from '../text.ts';

const FLAGS = {
  'older-than': {
    type: 'text',
    value: 'DURATION',
    help: 'completed and cancelled jobs that ended longer ago, whatever the retention: 12h, 30d',
  },
  ...FILTER_FLAGS,
  'dry-run': { type: 'boolean', help: 'only say what would be done' },
  yes: { type: 'boolean', help: 'do not ask' },
} as const satisfies Flags;

type PruneCall = Call<typeof FLAGS>;

export const command = defineCommand({
  summary: 'delete old finished jobs and their logs',
  usage: ['prune [--dry-run]', 'prune --older-than DURATION [filters] [--dry-run] [--yes]'],
  about: [
    'Without an age it does what workers do every minute: it deletes what the settings\n' +
      'retention, retention_dead, retention_jobs and retention_log_bytes have no room for.\n' +
      'With an age it asks first. Jobs that wait or run, and dead ones, are never touched by it;\n' +
      'queuectl dlq purge deletes dead ones.',
  ],
  flags: FLAGS,
  operands: NO_OPERANDS,
  examples: [
    ['queuectl prune --dry-run', 'how many jobs the retention is over for'],
    ['queuectl prune --older-than 1d --queue video', 'of one queue, now'],
    ['queuectl config set retention 30d', 'keep them longer'],
  ],
  async run(call) {
    const { flags, io } = call;
    const age = durationFlag('--older-than', flags['older-than']);
    const filter = filterOf(flags, ['completed', 'cancelled'], io);
    if (age === null && isNarrowed(filter)) {
      throw usage(
        'filters need --older-than: without it the retention of each queue decides',
        'prune',
      );
    }
    return await withQueue(io, async (opened) => {
      if (age === null) return await pruneByRetention(opened, call);
      const old = { ...filter, unchangedSince: io.now() - age };
      const only = flags['dry-run'] || !flags.yes ? await opened.queue.select(old) : null;
      if (only !== null) {
        if (flags['dry-run']) return tellRehearsal(only.keys.length, call);
        mustBeAsked(io, 'prune --older-than');
        if (!(await ask(io, `Delete ${count(only.keys.length, 'job')} and their logs?`))) {
          io.note('Nothing was deleted.');
          if (io.json) io.printJson({ deleted: 0 });
          return 0;
        }
      }
      const logs = createLogStore(opened.location.jobLogs);
      const act: Bulk<number>['act'] = async ({ onBatch, ...options }) => {
        const deleted = await opened.queue.deleteAll(old, {
          ...options,
          onBatch: async (keys) => {
            await logs.remove(keys);
            await onBatch(keys);
          },
        });
        if (!options.signal.aborted) {
          await sweepLogs({ store: opened.queue.store, env: systemEnv, logs }, options.signal);
        }
        return deleted;
      };
      await inBatches({ doing: 'Deleting', only, act, tell: tellDeleted(call) }, io);
      return 0;
    });
  },
});

async function pruneByRetention({ queue, location }: Opened, call: PruneCall): Promise<number> {
  const { flags, io } = call;
  const { store } = queue;
  if (flags['dry-run']) return tellRehearsal(await countOverdue({ store, env: systemEnv }), call);
  const logs = createLogStore(location.jobLogs);
  const house = { store, env: systemEnv, logs };
  const act: Bulk<number>['act'] = async ({ onBatch, signal, onStop }) => {
    const deleted = await applyRetention(house, signal, { hurry: true, onStep: onBatch, onStop });
    if (!signal.aborted) await sweepLogs(house, signal);
    if (!signal.aborted) await forgetWorkers(house, signal);
    return deleted;
  };
  await inBatches({ doing: 'Deleting', only: null, act, tell: tellDeleted(call) }, io);
  return 0;
}

function tellRehearsal(n: number, { io }: PruneCall): number {
  if (io.json) io.printJson({ dry_run: true, jobs: n });
  else io.print(`Would delete ${count(n, 'job')}`);
  return 0;
}

function tellDeleted({ io }: PruneCall): (deleted: number) => void {
  return (deleted) => {
    if (io.json) io.printJson({ deleted });
    else if (!io.quiet) io.print(`Deleted ${count(deleted, 'job')}`);
  };
}
