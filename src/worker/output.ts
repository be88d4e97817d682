// The log interface, and logs as files behind it. Guards guarantee 11: the output of a job is
// kept byte for byte up to the cap. log-format.ts says how the files look.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Env } from '../env.ts';
import { failpoint } from '../failpoint.ts';
import type { StreamName } from '../platform/starter.ts';
import { type PathWatch, watchDirectory } from '../platform/watch.ts';
import { filesOf, listLogFiles, logDirectory, removeIfEmpty, removeIfThere } from './log-format.ts';
import { type LogChunk, type LogPosition, readLog } from './log-reader.ts';
import { sweepLogs, tidier } from './log-tidy.ts';
import { FileLogWriter } from './log-writer.ts';

/** Where the output of attempts is kept. Keys are those of jobs. */
export interface LogStore {
  /**
   * For one attempt, once; an attempt's number is never used again. `onTrouble` is told, the
   * first time, why something could not be kept.
   */
  writer(
    key: number,
    attempt: number,
    maxBytes: number,
    onTrouble?: (error: unknown) => void,
  ): LogWriter;
  /**
   * What there is from `from` on, by default everything, in order of arrival; of an
   * attempt that still runs as well. Go on later from the `next` of the last chunk.
   */
  read(key: number, attempt: number, from?: LogPosition): Iterable<LogChunk>;
  /**
   * Calls `listener` within milliseconds of a log of this job growing. A hint, and only of
   * some life: poll beneath it, and make it anew with each poll. Null where there is no watch
   * to be had.
   */
  watch(key: number, env: Env, listener: () => void): PathWatch | null;
  /** Deletes the logs of all attempts of these jobs. Never of a job that runs. */
  remove(keys: readonly number[]): Promise<void>;
  /** Bytes on disk that the log of an attempt takes. */
  size(key: number, attempt: number): number;
  /** Removes the logs of jobs that are gone: of whoever was killed before it did. */
  sweep(owners: LogOwners): Promise<void>;
  /**
   * Compresses the logs of attempts that have ended and removes those of jobs that are gone.
   * `all` false: only where something has changed since the last call.
   */
  tidy(owners: LogOwners, all: boolean): Promise<void>;
}

/** What `tidy` and `sweep` have to know, and how they keep out of the way. */
export interface LogOwners {
  /** Which of the jobs with keys from `first` to `last` there are. */
  existing(first: number, last: number): Promise<ReadonlySet<number>>;
  /** `key.attempt` of every attempt that runs. */
  running(): Promise<ReadonlySet<string>>;
  /** Wall clock, ms since 1970. */
  now(): number;
  /** Called between two small steps; false ends it. */
  pause(): Promise<boolean>;
}

export interface LogWriter {
  /**
   * The bytes are in the file, or counted and given up, when this returns. Never throws. What
   * comes after something was given up is kept again as soon as the disk takes it. `time`:
   * when they came, ms since 1970; 0 where nobody asks.
   */
  write(stream: StreamName, bytes: Uint8Array, time?: number): void;
  /** Closes the log. Answers how many bytes it was given, kept or not. Idempotent. */
  end(): number;
  /** How many of them the files hold. */
  readonly kept: number;
}

/** Logs as files under `root`, which is made with the first of them. */
export function createLogStore(root: string): LogStore {
  return {
    writer: (key, attempt, maxBytes, onTrouble = () => {}) =>
      new FileLogWriter({ root, key, attempt, maxBytes, onTrouble }),
    read: (key, attempt, from) => readLog(root, key, attempt, from),
    watch: (key, env, listener) =>
      watchDirectory(logDirectory(root, key), {
        sleep: (ms, signal) => env.sleep(ms, signal),
        listener,
        wanted: (name) => name.startsWith(`${key}.`),
      }),
    remove: (keys) => removeLogs(root, keys),
    size: (key, attempt) => sizeOfLog(root, key, attempt),
    sweep: (owners) => sweepLogs(root, owners),
    tidy: tidier(root),
  };
}

async function removeLogs(root: string, keys: readonly number[]): Promise<void> {
  for (const [directory, some] of Map.groupBy(keys, (key) => logDirectory(root, key))) {
    const wanted = new Set(some);
    const files = listLogFiles(directory);
    const doomed = files.filter((file) => wanted.has(file.key));
    for (const { name } of doomed) {
      await removeIfThere(join(directory, name));
      failpoint('log-removed');
    }
    if (doomed.length === files.length) removeIfEmpty(directory);
  }
}

function sizeOfLog(root: string, key: number, attempt: number): number {
  let size = 0;
  for (const { name } of filesOf(root, key, attempt)) {
    const path = join(logDirectory(root, key), name);
    size += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }
  return size;
}
