// The storage alone, on one connection: how near claims and results come to what the disk
// takes in commits, and what a finished job leaves behind.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { median, perSecond } from './lib/figures.ts';
import { runFloor } from './lib/floor.ts';
import { Home, newPath } from './lib/place.ts';
import { printTable, type Row } from './lib/table.ts';

const COMMITS = import.meta.resolve('./floor/commits.ts');
const TURNS = import.meta.resolve('./floor/turns.ts');

const JOBS = 8000;
const RUNS = 5;
/** Room in the database for one finished job. */
const BYTES = 400;

export function storage(): boolean {
  return printTable(`Storage: one connection, ${RUNS} runs of each in turn`, [
    ...rates(1),
    ...rates(8),
    bytes(),
  ]);
}

function rates(slots: number): Row[] {
  const rows: number[] = [];
  const jobs: number[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const name = `storage-${slots}-${run}`;
    const floor = runFloor<{ ms: number }>(COMMITS, newPath(`${name}.db`), JOBS, slots);
    rows.push(JOBS / (floor.ms / 1000));
    const home = new Home(name);
    const { ms } = runFloor<{ ms: number }>(TURNS, home.path, JOBS, slots, JOBS);
    jobs.push(JOBS / (ms / 1000));
  }
  const each = slots === 1 ? 'one a commit' : `${slots} a commit`;
  const ratio = median(jobs.map((rate, index) => rate / (rows[index] ?? Number.NaN)));
  return [
    { what: `rows inserted, ${each}`, median: perSecond(median(rows), 'rows') },
    {
      what: `jobs claimed and recorded, ${each}`,
      median: perSecond(median(jobs), 'jobs'),
      ratio: `× ${ratio.toFixed(2)} of the rate`,
    },
  ];
}

function bytes(): Row {
  const home = new Home('bytes');
  const database = join(home.path, 'queue.db');
  const size = (): number => {
    home.query('PRAGMA wal_checkpoint(TRUNCATE)');
    return statSync(database).size;
  };
  const empty = size();
  runFloor(TURNS, home.path, JOBS, 8, JOBS);
  const each = (size() - empty) / JOBS;
  return {
    what: 'database per finished job',
    median: `${Math.round(each)} bytes`,
    target: `≤ ${BYTES} bytes`,
    met: each <= BYTES,
  };
}
