// What a command costs before and beside its work: `--version` against a program that does
// nothing, `enqueue` against one that only inserts a row and commits it.

import { copyFileSync } from 'node:fs';
import { basename } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { medianDifference, median, ms, times } from './lib/figures.ts';
import { compiled } from './lib/floor.ts';
import { inTurn, type Samples } from './lib/in-turn.ts';
import { Home, newPath, QUEUECTL } from './lib/place.ts';
import { printTable, type Row } from './lib/table.ts';

const RUNS = 150;

export function startup(): boolean {
  const home = new Home('startup');
  const database = floorDatabase();
  const queuectl = freshCopy(QUEUECTL);
  const { bare, version, insert, enqueue, status } = inTurn(
    {
      bare: { command: [freshCopy(compiled(import.meta.resolve('./floor/bare.ts')))] },
      version: { command: [queuectl, '--version'] },
      insert: {
        command: [freshCopy(compiled(import.meta.resolve('./floor/insert.ts'))), database],
      },
      enqueue: { command: [queuectl, 'enqueue', '--', 'true'], home: home.path },
      status: { command: [queuectl, 'status'], home: home.path },
    },
    { runs: RUNS, warmUp: 5 },
  );
  return printTable(`Start-up: whole processes, ${RUNS} runs of each in turn`, [
    floor('a compiled program that does nothing', bare),
    above('queuectl --version', version, bare, 2),
    floor('a compiled program that inserts a row', insert),
    above('queuectl enqueue -- true', enqueue, insert, 3),
    above('queuectl status, a few jobs', status, bare),
  ]);
}

/**
 * How an executable of 110 MB came into the page cache decides over a millisecond of its
 * start: one that was written is mapped in larger pieces than one that was read in bit by
 * bit. So all of them are written just before.
 */
function freshCopy(executable: string): string {
  const copy = `${newPath(basename(executable))}.copy`;
  copyFileSync(executable, copy);
  return copy;
}

/** As a queue has it: in WAL mode, which is stored in the file. */
function floorDatabase(): string {
  const path = newPath('floor.db');
  const db = new DatabaseSync(path);
  db.exec('PRAGMA journal_mode = WAL');
  db.exec('CREATE TABLE job (key INTEGER PRIMARY KEY, command TEXT NOT NULL) STRICT');
  db.close();
  return path;
}

function floor(what: string, samples: Samples): Row {
  return { what, median: figures(samples) };
}

function above(what: string, samples: Samples, least: Samples, target?: number): Row {
  const wall = medianDifference(samples.wall, least.wall);
  const cpu = mean(samples.cpu) - mean(least.cpu);
  const ratio = times(median(samples.wall) / median(least.wall));
  return {
    what,
    median: figures(samples),
    ratio: `+${ms(wall)}, CPU +${ms(cpu)}, ${ratio}`,
    ...(target !== undefined && { target: `+${target} ms`, met: wall <= target }),
  };
}

/** `times` counts in whole ms, so only a sum over many runs says something. */
function figures({ wall, cpu }: Samples): string {
  return `${ms(median(wall))}, CPU ${ms(mean(cpu))}`;
}

function mean(samples: readonly number[]): number {
  return samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
}
