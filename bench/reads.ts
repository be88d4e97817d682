// A queue with a million jobs against one with next to none: looking at it must not take
// longer, nor running what is in it.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { writeJobs } from './bulk.ts';
import { median, medianDifference, medianRatio, ms, perSecond, times } from './lib/figures.ts';
import { runFloor } from './lib/floor.ts';
import { inTurn, type Timed } from './lib/in-turn.ts';
import { environment, Home, QUEUECTL } from './lib/place.ts';
import { printTable, type Row } from './lib/table.ts';

const MILLION = 1_000_000;
const FEW = 200;
const DEAD = 100_000;
const RUNS = 40;
/** Ms beyond which a difference is no noise. */
const TOLERANCE = 1;
/** The same for rates. */
const RATE = 0.9;

const TURNS = import.meta.resolve('./floor/turns.ts');
const TURN_JOBS = 4000;
const TURN_RUNS = 5;

/** More than a worker gets through in this time. */
const DRAIN_JOBS = 20_000;
const DRAIN_SECONDS = 3;
const DRAIN_RUNS = 3;

const LOOKS: Readonly<Record<string, readonly string[]>> = {
  status: ['status'],
  list: ['list'],
  'list --state dead': ['list', '--state', 'dead'],
  'list --queue default': ['list', '--queue', 'default'],
  'dlq list': ['dlq', 'list'],
  'show ID': ['show', 'in-the-middle'],
};

export function reads(): boolean {
  const few = filled('few', FEW, FEW / 4);
  const million = filled('million', MILLION, DEAD);
  const commands = Object.entries(LOOKS).flatMap(([what, args]): [string, Timed][] => [
    [`few ${what}`, { command: [QUEUECTL, ...args], home: few.path }],
    [`million ${what}`, { command: [QUEUECTL, ...args], home: million.path }],
  ]);
  const samples = inTurn(Object.fromEntries(commands), { runs: RUNS });
  const looks = Object.keys(LOOKS).map((what): Row => {
    const with_ = samples[`million ${what}`]?.wall ?? [];
    const without = samples[`few ${what}`]?.wall ?? [];
    const more = medianDifference(with_, without);
    return {
      what,
      median: ms(median(with_)),
      ratio: `${more < 0 ? '' : '+'}${ms(more)}, ${times(median(with_) / median(without))}`,
      target: `+${TOLERANCE} ms`,
      met: more <= TOLERANCE,
    };
  });
  return printTable(
    `A queue of ${MILLION.toLocaleString('en')} jobs, ${DEAD.toLocaleString('en')} of them dead; floor: the same with ${FEW}`,
    [...looks, turns(million, few), drained(million, few)],
  );
}

/** Jobs of which the first `dead` are dead, and one in the middle has an id to ask for. */
function filled(name: string, jobs: number, dead: number): Home {
  const home = new Home(name);
  const half = writeJobs(jobs / 2);
  home.queuectl('enqueue', '--quiet', '--file', half);
  home.queuectl('enqueue', '--quiet', '--id', 'in-the-middle', '--', 'true');
  home.queuectl('enqueue', '--quiet', '--file', half);
  const db = new DatabaseSync(join(home.path, 'queue.db'));
  db.exec('BEGIN IMMEDIATE');
  db.exec(`UPDATE job SET state = 'dead' WHERE key <= ${dead}`);
  db.exec(`DELETE FROM ready WHERE job <= ${dead}`);
  db.exec('COMMIT');
  db.close();
  return home;
}

/** The storage alone: claims and results of 8 jobs a turn. */
function turns(million: Home, few: Home): Row {
  const rate = (home: Home, enqueue: number): number => {
    const turned = runFloor<Turned>(TURNS, home.path, TURN_JOBS, 8, enqueue);
    return turned.recorded / (turned.ms / 1000);
  };
  const without: number[] = [];
  const with_: number[] = [];
  for (let run = 0; run < TURN_RUNS; run += 1) {
    without.push(rate(few, TURN_JOBS));
    with_.push(rate(million, 0));
  }
  return ofTheRate('storage: claims and results, 8 a turn', with_, without);
}

interface Turned {
  readonly ms: number;
  readonly recorded: number;
}

/** Part of the million through a real worker, for some seconds, and as many of few. */
function drained(million: Home, few: Home): Row {
  const without: number[] = [];
  const with_: number[] = [];
  for (let run = 0; run < DRAIN_RUNS; run += 1) {
    with_.push(drain(million));
    few.queuectl('enqueue', '--quiet', '--file', writeJobs(DRAIN_JOBS));
    without.push(drain(few));
  }
  return ofTheRate('one worker, concurrency 8, `true`', with_, without);
}

/** Jobs per second. */
function drain(home: Home): number {
  const worker = ['worker', 'start', '--foreground', '--concurrency', '8'];
  spawnSync('timeout', ['--signal=TERM', String(DRAIN_SECONDS), QUEUECTL, ...worker], {
    env: environment(home.path),
    stdio: 'ignore',
  });
  const [run] = home.query<{ n: number; span: number }>(
    `SELECT count(*) AS n, max(finished_at) - min(started_at) AS span FROM attempt
     WHERE worker = (SELECT max(worker) FROM attempt) AND outcome = 'exited'`,
  );
  return run === undefined ? Number.NaN : run.n / (run.span / 1000);
}

function ofTheRate(what: string, with_: readonly number[], without: readonly number[]): Row {
  const ratio = medianRatio(with_, without);
  return {
    what,
    median: perSecond(median(with_), 'jobs'),
    ratio: `× ${ratio.toFixed(2)} of the rate`,
    target: `≥ × ${RATE.toFixed(2)}`,
    met: ratio >= RATE,
  };
}
