// The status page for people: one row a queue, then workers, what waits, what was done.

import { grouped } from '../invalid.ts';
import { type State, STATES } from '../job.ts';
import type { Stats, WorkerRecord } from '../store/store.ts';
import { workerState } from './json.ts';
import type { Style } from './style.ts';
import { type Column, Table } from './table.ts';
import { count } from './text.ts';
import { age, relative } from './time.ts';

/** Always shown, so that the picture does not jump; the others only where they occur. */
const ALWAYS: readonly State[] = ['pending', 'processing', 'completed', 'failed', 'dead'];

/** Minutes of throughput that are summed up. */
const RECENT_MINUTES = 10;

interface Row {
  readonly title: string;
  readonly isTotal: boolean;
  readonly counts: ReadonlyMap<State, number>;
}

export async function statusText(
  { stats, workers }: { readonly stats: Stats; readonly workers: readonly WorkerRecord[] },
  style: Style,
  now: number,
  width: number | null,
): Promise<string> {
  const facts = [workersFact(workers), ...waitingFacts(stats, now), ...recentFact(stats, now)];
  const titles = Math.max(...facts.map(([title]) => title.length));
  const lines = facts.map(([title, text]) => `${style.dim(title.padEnd(titles))}  ${text}`);
  if (stats.counts.length === 0) {
    return ['No jobs yet. Try: queuectl enqueue -- echo hello', '', ...lines].join('\n');
  }
  const rows = rowsOf(stats);
  const table = new Table(columnsOf(rows, style), style, width);
  return [...(await table.page(rows)), '', ...lines].join('\n');
}

function rowsOf({ counts }: Stats): Row[] {
  const queues = [...new Set(counts.map(({ queue }) => queue))].toSorted();
  const sum = (of: Stats['counts']): ReadonlyMap<State, number> => {
    const sums = new Map<State, number>();
    for (const { state, n } of of) sums.set(state, (sums.get(state) ?? 0) + n);
    return sums;
  };
  const rows = queues.map((queue) => ({
    title: queue,
    isTotal: false,
    counts: sum(counts.filter((row) => row.queue === queue)),
  }));
  return queues.length > 1 ? [...rows, { title: 'all', isTotal: true, counts: sum(counts) }] : rows;
}

function columnsOf(rows: readonly Row[], style: Style): Column<Row>[] {
  const shown = STATES.filter(
    (state) => ALWAYS.includes(state) || rows.some(({ counts }) => counts.has(state)),
  );
  return [
    {
      title: 'QUEUE',
      text: ({ title }) => title,
      paint: (text, { isTotal }) => (isTotal ? style.bold(text) : text),
    },
    ...shown.map((state): Column<Row> => ({
      title: state.toUpperCase(),
      text: ({ counts }) => grouped(counts.get(state) ?? 0),
      paint: (text) => (text === '0' ? style.dim(text) : style.state(state, text)),
      right: true,
    })),
  ];
}

type Fact = readonly [title: string, text: string];

function workersFact(workers: readonly WorkerRecord[]): Fact {
  if (workers.length === 0) return ['Workers', 'none'];
  const slots = workers.reduce((sum, { concurrency }) => sum + concurrency, 0);
  const running = workers.reduce((sum, { jobs }) => sum + jobs.length, 0);
  const stopping = workers.filter((worker) => workerState(worker) === 'stopping').length;
  const note = stopping > 0 ? `, ${stopping} stopping` : '';
  return ['Workers', `${grouped(workers.length)}, running ${running} of ${slots}${note}`];
}

function waitingFacts({ oldestWaiting, nextDue }: Stats, now: number): Fact[] {
  const facts: Fact[] = [];
  if (oldestWaiting !== null) facts.push(['Waiting', `the oldest for ${age(now - oldestWaiting)}`]);
  if (nextDue !== null) facts.push(['Next due', relative(nextDue, now)]);
  return facts;
}

function recentFact({ throughput }: Stats, now: number): Fact[] {
  const recent = throughput.filter(({ minute }) => minute > now - RECENT_MINUTES * 60_000);
  const succeeded = recent.reduce((sum, minute) => sum + minute.succeeded, 0);
  const failed = recent.reduce((sum, minute) => sum + minute.failed, 0);
  if (succeeded + failed === 0) return [];
  const attempts = count(succeeded + failed, 'attempt');
  return [
    [
      `Last ${RECENT_MINUTES}m`,
      `${attempts}: ${grouped(succeeded)} succeeded, ${grouped(failed)} failed`,
    ],
  ];
}
