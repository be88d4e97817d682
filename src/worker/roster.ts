// Which attempts a worker runs, written down for whoever finds the worker dead: token,
// pid and start time of each command's own process. Guards guarantee 5 where the marker
// does not help: the group of a command is found even if it cleared its environment. Those
// of its group that outlive it are written down too, each in a line like its own.
//
// One file per worker, one line of fixed length per slot, overwritten in place and never
// synced: it survives `kill -9` in the page cache, and after a power cut there is nothing
// left to find. So two short writes per attempt are all it costs.

import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { systemCode } from '../errors.ts';
import type { ProcessRef } from '../platform/processes.ts';

export interface RosterEntry {
  readonly runToken: number;
  /** The command's own process, or one of its group that outlived it. */
  readonly leader: ProcessRef;
}

export interface Roster {
  /** Notes an attempt; the function answered takes it off again. Neither ever throws. */
  add(entry: RosterEntry): () => void;
  /** Deletes the file. Idempotent. */
  close(): void;
}

/** Holds three numbers of 20 digits, which is all that 64 bits can need. */
const LINE_BYTES = 64;
const FREE_LINE = `${' '.repeat(LINE_BYTES - 1)}\n`;

const ROSTER_FILE =
  constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | (constants.O_NOFOLLOW ?? 0);

/**
 * Makes the roster of the worker `name` in `directory`, which is made if need be. `marker`
 * is the worker's own: see readWorkerMarker.
 */
export function openRoster(directory: string, name: string, marker?: string): Roster {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, name);
  let fd: number | null = openSync(path, ROSTER_FILE, 0o600);
  const free: number[] = [];
  let slots = 0;

  const writeLine = (slot: number, line: string): void => {
    if (fd === null) return;
    try {
      writeSync(fd, line, slot * LINE_BYTES, 'latin1');
    } catch {
      // A full disk must not fail a job; the marker still finds its processes.
    }
  };

  if (marker !== undefined) writeLine(slots++, `${`worker ${marker}`.padEnd(LINE_BYTES - 1)}\n`);

  return {
    add({ runToken, leader }) {
      const slot = free.pop() ?? slots++;
      const line = `${runToken} ${leader.pid} ${leader.startTime}`;
      writeLine(slot, `${line.padEnd(LINE_BYTES - 1)}\n`);
      return () => {
        writeLine(slot, FREE_LINE);
        free.push(slot);
      };
    },
    close() {
      if (fd === null) return;
      closeSync(fd);
      fd = null;
      removeRoster(directory, name);
    },
  };
}

function textOf(directory: string, name: string): string {
  try {
    return readFileSync(join(directory, name), 'latin1');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return '';
    throw error;
  }
}

/**
 * The marker in the environment of the worker `name` itself, null if it has none. Once the
 * worker is dead, who still carries it is a child that was killed between fork and exec of
 * its command: it has the worker's environment still, and is about to start the command.
 */
export function readWorkerMarker(directory: string, name: string): string | null {
  return /^worker (\S+) *$/m.exec(textOf(directory, name))?.[1] ?? null;
}

/** What the worker `name` ran when it last wrote; [] if it left nothing. Skips torn lines. */
export function readRoster(directory: string, name: string): RosterEntry[] {
  const text = textOf(directory, name);
  const entries: RosterEntry[] = [];
  for (const line of text.split('\n')) {
    // One that is cut off would be read with a number that is cut off.
    if (line.length !== LINE_BYTES - 1) continue;
    const [, runToken, pid, startTime] = /^(\d+) (\d+) (\d+) *$/.exec(line) ?? [];
    if (runToken === undefined || pid === undefined || startTime === undefined) continue;
    entries.push({ runToken: Number(runToken), leader: { pid: Number(pid), startTime } });
  }
  return entries;
}

/** Deletes the roster that a dead worker left. */
export function removeRoster(directory: string, name: string): void {
  try {
    unlinkSync(join(directory, name));
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}
