// A job that writes without end: the worker's memory stays flat, the disk bounded, and the
// command is not held up much more than by `cat`.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mebibytes, median, medianRatio, ms, seconds, times } from './lib/figures.ts';
import { inTurn } from './lib/in-turn.ts';
import { environment, Home, newPath, QUEUECTL } from './lib/place.ts';
import { printTable, type Row } from './lib/table.ts';
import { peakOf } from './lib/watched.ts';

const RUNS = 3;
const PEAK = 150 * 2 ** 20;
const DISK = 10 * 2 ** 20;

export async function output(): Promise<boolean> {
  const file = newPath('output');
  const floor: number[] = [];
  const ours: Written[] = [];
  const one = new Home('output-1g');
  for (let run = 0; run < RUNS; run += 1) {
    const cat = ['sh', '-c', `head -c 1G /dev/zero | cat >${file}`];
    floor.push(...inTurn({ cat: { command: cat } }, { runs: 1, warmUp: 0 }).cat.wall);
    ours.push(await written(one, '1G'));
  }
  const ten = await written(new Home('output-10g'), '10G');
  const spans = ours.map(({ span }) => span);
  return printTable('Output of one job', [
    { what: '1 GiB through `cat` to a file', median: ms(median(floor)) },
    {
      what: '1 GiB through the worker',
      median: ms(median(spans)),
      ratio: times(medianRatio(spans, floor)),
    },
    { what: '10 GiB through the worker', median: seconds(ten.span / 1000) },
    memory('its peak of memory, 1 GiB', Math.max(...ours.map(({ peak }) => peak))),
    memory('its peak of memory, 10 GiB', ten.peak),
    {
      what: 'bytes kept of 10 GiB',
      median: mebibytes(ten.disk),
      target: `≤ ${mebibytes(DISK)}`,
      met: ten.disk <= DISK,
    },
  ]);
}

function memory(what: string, bytes: number): Row {
  const target = `≤ ${mebibytes(PEAK)}`;
  return { what, median: mebibytes(bytes), target, met: bytes <= PEAK };
}

interface Written {
  /** Ms between start and end of the job. */
  readonly span: number;
  readonly peak: number;
  readonly disk: number;
}

async function written(home: Home, size: string): Promise<Written> {
  home.queuectl('enqueue', '--', 'head', '-c', size, '/dev/zero');
  const supervisor = spawn(QUEUECTL, ['worker', 'start', '--foreground', '--drain'], {
    env: environment(home.path),
    stdio: 'ignore',
  });
  const ended = once(supervisor, 'close');
  let peak = 0;
  while (supervisor.exitCode === null) {
    const [worker] = home.query<{ pid: number }>('SELECT pid FROM worker WHERE ended_at IS NULL');
    if (worker !== undefined) peak = Math.max(peak, peakOf(worker.pid));
    await sleep(50);
  }
  await ended;
  const [last] = home.query<{ span: number; job: number }>(
    'SELECT finished_at - started_at AS span, job FROM attempt ORDER BY run_token DESC LIMIT 1',
  );
  return { span: last?.span ?? Number.NaN, peak, disk: sizeOf(home, last?.job ?? 0) };
}

function sizeOf(home: Home, job: number): number {
  const logs = join(home.path, 'logs/jobs/0');
  const names = readdirSync(logs).filter((name) => name.startsWith(`${job}.`));
  return names.reduce((sum, name) => sum + statSync(join(logs, name)).size, 0);
}
