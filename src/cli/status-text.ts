// The status page for people: one row a queue, then workers, what waits, what was done.

import { grouped } from '../invalid.ts';
import { type State, STATES } from '../job.ts';
import type { Stats, WorkerRecord } from '../store/store.ts';
import { workerState } from './json.ts';
import type { Style } from './style.ts';
import { type Column, Table } from './table.ts';
import { count, visible } from './text.ts';
import { age, relative } from './time.ts';

/** Always shown, so that the picture does not jump; the others only where they occur. */
const ALWAYS: readonly State[] = ['pending', 'processing', 'completed', 'failed', 'dead'];

/** Minutes of throughput that are summed up. */
const RECENT_MINUTES = 10;

/** Letters of a state that tell it from the others. */
const SHORT = 4;

interface Row {
  readonly title: string;
  readonly isTotal: boolean;
  readonly counts: ReadonlyMap<State, number>;
}

export interface StatusView {
  readonly stats: Stats;
  readonly workers: readonly WorkerRecord[];
  /** Attempts that ended per second, of late; null where nobody has watched. */
  readonly rate: number | null;
}

export async function statusText(
  { stats, workers, rate }: StatusView,
  style: Style,
  now: number,
  width: number | null,
  height: number | null = null,
): Promise<string> {
  const facts = [
    workersFact(workers),
    ...waitingFacts(stats, now),
    ...recentFact(stats, now),
    ...rateFacts(rate, stats),
  ];
  const titles = Math.max(...facts.map(([title]) => title.length));
  const lines = facts.map(([title, text]) => `${style.dim(title.padEnd(titles))}  ${text}`);
  if (stats.counts.length === 0) {
    return ['No jobs yet. Try: queuectl enqueue -- echo hello', '', ...lines].join('\n');
  }
  const rows = rowsOf(stats);
  let lineUp = await tableOf(rows, { style, width, short: false });
  // Where they do not fit, the first letters of the states do.
  if (lineUp.length > rows.length + 1) lineUp = await tableOf(rows, { style, width, short: true });
  // What stands below the table says more than its last queues.
  const room = height === null ? null : Math.max(2, height - lines.length - 1);
  return [...cut(lineUp, room, rows.length + 1), '', ...lines].join('\n');
}

/** `whole`: how many lines it has where each queue takes one. */
function cut(lines: readonly string[], room: number | null, whole: number): readonly string[] {
  if (room === null || lines.length <= room) return lines;
  // The last one is the sum of all.
  const shown = lines.slice(0, Math.max(1, room - 2));
  const left = lines.length - shown.length - 1;
  const told = lines.length === whole ? count(left, 'more queue') : 'more';
  return [...shown, `… ${told}`, ...lines.slice(-1)];
}

interface Looks {
  readonly style: Style;
  readonly width: number | null;
  readonly short: boolean;
}

function tableOf(rows: readonly Row[], { style, width, short }: Looks): Promise<string[]> {
  return new Table(columnsOf(rows, style, short), style, width).page(rows);
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

function columnsOf(rows: readonly Row[], style: Style, short: boolean): Column<Row>[] {
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
      title: state.toUpperCase().slice(0, short ? SHORT : undefined),
      text: ({ counts }) => grouped(counts.get(state) ?? 0),
      paint: (text) => (text === '0' ? style.dim(text) : style.state(state, text)),
      right: true,
      ...(short && !ALWAYS.includes(state) && { dispensable: 1 }),
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

function waitingFacts(stats: Stats, now: number): Fact[] {
  const { oldestWaiting, oldestWaitingId, nextDue } = stats;
  const facts: Fact[] = [];
  if (oldestWaiting !== null) {
    const id = oldestWaitingId === null ? '' : `: ${visible(oldestWaitingId)}`;
    facts.push(['Waiting', `the oldest for ${age(now - oldestWaiting)}${id}`]);
  }
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

function rateFacts(rate: number | null, { counts }: Stats): Fact[] {
  if (rate === null) return [];
  const waiting = counts
    .filter(({ state }) => state === 'pending' || state === 'failed')
    .reduce((sum, { n }) => sum + n, 0);
  const left = rate > 0 && waiting > 0 ? `, ${age((waiting / rate) * 1000)} for what waits` : '';
  return [['Rate', `${rate.toFixed(rate < 10 ? 1 : 0)} attempts/s${left}`]];
}
