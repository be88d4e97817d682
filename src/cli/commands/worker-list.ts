// queuectl worker list: who is alive, where, and running what.

import type { WorkerRecord } from '../../store/store.ts';
import { defineCommand, NO_OPERANDS } from '../command.ts';
import { workerJson, workerState } from '../json.ts';
import { withQueue } from '../open.ts';
import type { Style } from '../style.ts';
import { type Column, Table } from '../table.ts';
import { age } from '../time.ts';

export const command = defineCommand({
  summary: 'show living workers and what they run',
  usage: ['worker list'],
  flags: {},
  operands: NO_OPERANDS,
  examples: [["queuectl worker list --json | jq -r '.[].pid'", 'their process ids']],
  async run({ io }) {
    const workers = await withQueue(io, async ({ queue }) => await queue.workers());
    if (io.json) {
      io.printJson(workers.map(workerJson));
    } else if (workers.length === 0) {
      io.print('No worker is running. Try: queuectl worker start --count 2');
    } else {
      const columns = workerColumns(workers, io.style, io.now());
      const table = new Table(columns, io.style, io.context.stdout.columns);
      io.print((await table.page(workers)).join('\n'));
    }
    return 0;
  },
});

function workerColumns(
  workers: readonly WorkerRecord[],
  style: Style,
  now: number,
): Column<WorkerRecord>[] {
  const hosts = new Set(workers.map(({ identity }) => identity.host));
  return [
    { title: 'WORKER', text: ({ name }) => name },
    { title: 'PID', text: ({ identity }) => String(identity.pid), right: true },
    ...(hosts.size > 1 ? [hostColumn] : []),
    {
      title: 'STATE',
      text: workerState,
      paint: (text) => STATE_PAINT[text]?.(style)(text) ?? text,
    },
    { title: 'SINCE', text: ({ startedAt }) => age(now - startedAt), right: true, dispensable: 1 },
    {
      title: 'BUSY',
      text: ({ jobs, concurrency }) => `${jobs.length}/${concurrency}`,
      right: true,
    },
    { title: 'QUEUES', text: ({ queues }) => queues?.join(',') ?? 'all', most: 30, dispensable: 2 },
    { title: 'JOBS', text: ({ jobs }) => jobs.join(' '), stretch: true },
  ];
}

const hostColumn: Column<WorkerRecord> = { title: 'HOST', text: ({ identity }) => identity.host };

const STATE_PAINT: Readonly<Record<string, (style: Style) => (text: string) => string>> = {
  idle: (style) => style.dim,
  busy: (style) => style.good,
  stopping: (style) => style.warn,
};
