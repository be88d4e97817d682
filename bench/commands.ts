// One worker against xargs: commands that do nothing, so that all there is to see is what
// the runner adds. Ours captures their output and makes each result durable.

import { writeFileSync } from 'node:fs';
import { median, medianRatio, ms, times } from './lib/figures.ts';
import { compiledC } from './lib/floor.ts';
import { inTurn, type Samples, type Timed } from './lib/in-turn.ts';
import { Home, newPath, QUEUECTL } from './lib/place.ts';
import { printTable, type Row } from './lib/table.ts';

const WARM_UP = 1;

export function commands(): boolean {
  const spawn = compiledC('spawn');
  const few = compare(500, [2, 4, 8, 16, 32, 64], 9, spawn);
  // The same when the worker's code has been compiled: it is interpreted at first.
  const more = compare(2000, [64], 5, spawn);
  return few && more;
}

/** The target is for the best concurrency; everything is compared with xargs. */
function compare(
  count: number,
  concurrencies: readonly number[],
  runs: number,
  spawn: string | null,
): boolean {
  const workers = concurrencies.map((concurrency) => workerOf(count, concurrency));
  const floors: Record<string, Timed> = {
    ...(spawn !== null && { 'C, posix_spawn, 2 slots': { command: [spawn, String(count), '2'] } }),
    'xargs -P2': { command: ['sh', '-c', `seq ${count} | xargs -P2 -n1 sh -c true`] },
  };
  const timed = Object.fromEntries(workers.map(({ what, timed: how }) => [what, how]));
  const samples = inTurn<string>({ ...floors, ...timed }, { runs, warmUp: WARM_UP });
  const of = (what: string): Samples => samples[what] ?? { wall: [], cpu: [] };
  const xargs = of('xargs -P2');

  const rows = Object.keys(floors).map((what): Row => {
    const { wall, cpu } = of(what);
    return {
      what,
      median: `${ms(median(wall))}, CPU ${ms(median(cpu))}`,
      ratio: `${times(medianRatio(wall, xargs.wall))}, CPU ${times(medianRatio(cpu, xargs.cpu))}`,
    };
  });
  if (spawn === null) rows.push({ what: 'C, posix_spawn', median: 'skipped: needs gcc' });
  const ours = workers.map(({ what, home }) => {
    const { wall, cpu } = of(what);
    const spans = spansOf(home, count);
    const ratio = medianRatio(spans, xargs.wall);
    const whole = medianRatio(wall, xargs.wall);
    const row: Row = {
      what,
      median: `${ms(median(spans))}, whole ${ms(median(wall))}, CPU ${ms(median(cpu))}`,
      ratio: `${times(ratio)}, whole ${times(whole)}, CPU ${times(medianRatio(cpu, xargs.cpu))}`,
    };
    return { row, ratio };
  });
  const best = Math.min(...ours.map(({ ratio }) => ratio));
  for (const { row, ratio } of ours) {
    rows.push(ratio === best ? { ...row, target: '≤ × 1.00', met: ratio <= 1 } : row);
  }
  return printTable(`${count} trivial commands, ${runs} runs of each in turn; floor: xargs`, rows);
}

interface WorkerRun {
  readonly what: string;
  readonly home: Home;
  readonly timed: Timed;
}

function workerOf(count: number, concurrency: number): WorkerRun {
  const jobs = newPath(`trivial-${count}.ndjson`);
  writeFileSync(jobs, `${JSON.stringify({ command: 'true' })}\n`.repeat(count));
  const home = new Home(`commands-${count}-${concurrency}`);
  const start = 'worker start --foreground --drain --concurrency'.split(' ');
  return {
    what: `one worker, concurrency ${concurrency}`,
    home,
    timed: {
      home: home.path,
      prepare: [QUEUECTL, 'enqueue', '--quiet', '--file', jobs],
      command: [QUEUECTL, ...start, String(concurrency)],
    },
  };
}

/** Ms from the first start to the last recorded result of each run, as the database tells. */
function spansOf(home: Home, count: number): number[] {
  const runs = home.query<{ span: number; n: number }>(
    `SELECT max(finished_at) - min(started_at) AS span, count(*) AS n
     FROM attempt WHERE outcome = 'exited' AND exit_code = 0 GROUP BY worker ORDER BY worker`,
  );
  if (runs.some(({ n }) => n !== count)) throw new Error('not every job has completed');
  return runs.slice(WARM_UP).map(({ span }) => span);
}
