// Many jobs through one pipe: how long `enqueue -` takes, and what it needs in memory.

import { closeSync, openSync, writeSync } from 'node:fs';
import { median, mebibytes, ms, perSecond } from './lib/figures.ts';
import { Home, newPath, QUEUECTL } from './lib/place.ts';
import { printTable, type Row } from './lib/table.ts';
import { watched } from './lib/watched.ts';

export async function bulk(): Promise<boolean> {
  return printTable('Bulk: queuectl enqueue - < jobs.ndjson, into an empty queue', [
    await enqueued(200_000, 3, 4),
    await enqueued(1_000_000, 1),
  ]);
}

async function enqueued(jobs: number, runs: number, target?: number): Promise<Row> {
  const file = writeJobs(jobs);
  const samples = [];
  for (let run = 0; run < runs; run += 1) {
    const home = new Home(`bulk-${jobs}-${run}`);
    samples.push(await watched([QUEUECTL, 'enqueue', '-'], { home: home.path, stdin: file }));
  }
  const wall = median(samples.map((sample) => sample.wall));
  const cpu = median(samples.map((sample) => sample.cpu));
  const peak = Math.max(...samples.map((sample) => sample.peak));
  return {
    what: `${jobs.toLocaleString('en')} jobs`,
    median: `${ms(wall)}, CPU ${ms(cpu)}, ${perSecond(jobs / (wall / 1000), 'jobs')}, peak ${mebibytes(peak)}`,
    ...(target !== undefined && { target: `< ${target} s`, met: wall < target * 1000 }),
  };
}

/** A file of jobs that run a program with two arguments, each with another one. */
export function writeJobs(jobs: number): string {
  const path = newPath(`jobs-${jobs}.ndjson`);
  const file = openSync(path, 'w');
  for (let from = 0; from < jobs; from += 10_000) {
    const lines = Array.from({ length: Math.min(10_000, jobs - from) }, (_, index) =>
      JSON.stringify({ args: ['true', `in/${from + index}.wav`, `out/${from + index}.flac`] }),
    );
    writeSync(file, `${lines.join('\n')}\n`);
  }
  closeSync(file);
  return path;
}
