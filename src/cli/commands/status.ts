// queuectl status: counts by queue and state, workers, what waits, what was done lately.
// Its cost does not depend on the number of jobs.

import { type State, STATES } from '../../job.ts';
import type { Queue } from '../../queue.ts';
import type { Stats, WorkerRecord } from '../../store/store.ts';
import { defineCommand, NO_OPERANDS } from '../command.ts';
import type { Io } from '../io.ts';
import { iso, workerState } from '../json.ts';
import { withQueue } from '../open.ts';
import { unservedHint } from '../serving.ts';
import { statusText } from '../status-text.ts';

export const command = defineCommand({
  summary: 'show counts by state, workers and throughput',
  usage: ['status [--watch]'],
  flags: { watch: { type: 'boolean', help: 'again whenever something changes, until Ctrl-C' } },
  operands: NO_OPERANDS,
  examples: [
    ['queuectl status', 'at a glance'],
    ["queuectl status --json | jq '.jobs.dead'", 'for monitoring'],
  ],
  async run({ flags, io }) {
    await withQueue(io, async ({ queue }) => {
      if (flags.watch) {
        const { watchStatus } = await import('../status-watch.ts');
        await watchStatus(() => look(queue), queue, io);
      } else {
        await printStatus(await look(queue), io);
      }
    });
    return 0;
  },
});

export interface Status {
  readonly stats: Stats;
  readonly workers: readonly WorkerRecord[];
}

async function look(queue: Queue): Promise<Status> {
  return { stats: await queue.stats(), workers: await queue.workers() };
}

async function printStatus(status: Status, io: Io): Promise<void> {
  if (io.json) io.printJson(statusJson(status));
  else {
    const view = { ...status, rate: null };
    io.print(await statusText(view, io.style, io.now(), io.context.stdout.columns));
  }
  const hint = hintFor(status);
  if (hint !== null) io.note(`hint: ${hint}`);
}

export function hintFor({ stats, workers }: Status): string | null {
  const running = stats.counts.some(({ state }) => state === 'processing');
  if (running && workers.length === 0) {
    return 'the worker of what runs has died; to recover it: queuectl worker start';
  }
  const waiting = stats.counts.filter(({ state }) => state === 'pending' || state === 'failed');
  return unservedHint(
    workers,
    waiting.map(({ queue }) => queue),
  );
}

function byState(counts: Stats['counts']): Record<State, number> {
  const sums = Object.fromEntries(STATES.map((state) => [state, 0])) as Record<State, number>;
  for (const { state, n } of counts) sums[state] += n;
  return sums;
}

export function statusJson({ stats, workers }: Status): Record<string, unknown> {
  const queues = [...new Set(stats.counts.map(({ queue }) => queue))].toSorted();
  const states = workers.map(workerState);
  return {
    jobs: byState(stats.counts),
    queues: queues.map((queue) => ({
      queue,
      ...byState(stats.counts.filter((row) => row.queue === queue)),
    })),
    workers: {
      alive: workers.length,
      idle: states.filter((state) => state === 'idle').length,
      busy: states.filter((state) => state === 'busy').length,
      stopping: states.filter((state) => state === 'stopping').length,
      slots: workers.reduce((sum, { concurrency }) => sum + concurrency, 0),
      running: workers.reduce((sum, { jobs }) => sum + jobs.length, 0),
    },
    oldest_waiting_at: iso(stats.oldestWaiting),
    oldest_waiting_id: stats.oldestWaitingId,
    next_due_at: iso(stats.nextDue),
    throughput: stats.throughput.map(({ minute, succeeded, failed }) => ({
      minute: iso(minute),
      succeeded,
      failed,
    })),
  };
}
