// The log interface, and logs as files. Guards guarantee 11: the output of a job is kept
// byte for byte up to the cap, head and tail, and no error of the log disk ever fails a
// job or throws here. log-format.ts says how the files look.

import {
  closeSync,
  constants,
  ftruncateSync,
  mkdirSync,
  openSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeSync,
  writevSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { systemCode } from '../errors.ts';
import type { Env } from '../env.ts';
import type { StreamName } from '../platform/starter.ts';
import { type PathWatch, watchDirectory } from '../platform/watch.ts';
import {
  FRAME_HEADER_BYTES,
  isMissing,
  listLogFiles,
  logDirectory,
  logFile,
  type LogFileName,
  TAIL_HEADER_BYTES,
  TIME_MARK_BYTES,
  timeMark,
  writeFrameHeader,
} from './log-format.ts';
import { type LogChunk, type LogPosition, readLog } from './log-reader.ts';
import { tidier } from './log-tidy.ts';

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
  remove(keys: readonly number[]): void;
  /** Bytes on disk that the log of an attempt takes. */
  size(key: number, attempt: number): number;
  /**
   * Compresses the logs of attempts that have ended and removes those of jobs that are gone.
   * `all` false: only where something has changed since the last call.
   */
  tidy(owners: LogOwners, all: boolean): Promise<void>;
}

/** What `tidy` has to know, and how it keeps out of the way. */
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
    tidy: tidier(root),
  };
}

/** As exactly as people ask for a time, and little enough to pay for. */
export const TIME_STEP_MS = 100;
/** A tail file that time marks would fill is better without. */
const LEAST_TAIL_WITH_TIMES = 256;
/** Less than this cannot hold headers, head and tail. */
const LEAST_CAP = 64;
/** Private: output may hold secrets. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
/** `remove` of another job may delete the directory just before a file is made in it. */
const OPEN_TRIES = 3;

const NEW_FILE =
  constants.O_WRONLY |
  constants.O_CREAT |
  constants.O_EXCL |
  constants.O_APPEND |
  // Windows knows neither it nor the links it guards against.
  (constants.O_NOFOLLOW ?? 0);

/** Shared by all writers: a frame is written before anything else runs. */
const frameHeader = new DataView(new ArrayBuffer(FRAME_HEADER_BYTES));

interface WriterOptions {
  readonly root: string;
  readonly key: number;
  readonly attempt: number;
  readonly maxBytes: number;
  readonly onTrouble: (error: unknown) => void;
}

class FileLogWriter implements LogWriter {
  readonly #root: string;
  readonly #key: number;
  readonly #attempt: number;
  readonly #headBytes: number;
  readonly #tailBytes: number;
  readonly #onTrouble: (error: unknown) => void;
  #fd: number | null = null;
  /** The file being written: 0 is the head; −1 before the first byte. */
  #segment = -1;
  /** Bytes of that file written whole, and how many more it may take. */
  #written = 0;
  #room = 0;
  #seen = 0;
  /** Of the last time mark in the current file, ms since 1970. */
  #time = Number.NEGATIVE_INFINITY;
  /** Bytes of output in the files before the one being written: the head, then the last tail. */
  #headKept = 0;
  #tailKept = 0;
  /** And in that one. */
  #fileKept = 0;
  /** Something was given up since the last byte that was written. */
  #broken = false;
  /** The current file ends with the mark that says so. */
  #marked = false;
  #told = false;
  #over = false;

  constructor({ root, key, attempt, maxBytes, onTrouble }: WriterOptions) {
    const cap = Math.max(maxBytes, LEAST_CAP);
    this.#root = root;
    this.#key = key;
    this.#attempt = attempt;
    this.#headBytes = Math.floor(cap / 2);
    this.#tailBytes = Math.floor(cap / 4);
    this.#onTrouble = onTrouble;
  }

  write(stream: StreamName, bytes: Uint8Array, time = 0): void {
    const start = this.#seen;
    this.#seen += bytes.length;
    if (this.#over) return;
    try {
      for (let at = 0; at < bytes.length;) {
        // Also after a gap: a file begins by saying where in the output it does.
        if (this.#broken) this.#goOn(start + at);
        else if (this.#room <= this.#overhead(time)) this.#nextFile(start + at);
        this.#writeTime(time);
        const piece = bytes.subarray(at, at + this.#room - FRAME_HEADER_BYTES);
        this.#writeFrame(stream, piece);
        at += piece.length;
      }
    } catch (error) {
      // Full, gone, forbidden or failing: the job goes on without a log (guarantee 11).
      this.#broken = true;
      this.#mark();
      if (!this.#told) this.#onTrouble(error);
      this.#told = true;
    }
  }

  end(): number {
    this.#over = true;
    if (this.#fd !== null) {
      // There may be room again for the mark.
      if (this.#broken) this.#mark();
      try {
        closeSync(this.#fd);
      } catch {
        // A network file system may report only here that it is full.
      }
      this.#fd = null;
    }
    return this.#seen;
  }

  get kept(): number {
    return this.#headKept + this.#tailKept + this.#fileKept;
  }

  /** What a frame that is written now costs beside its bytes. */
  #overhead(time: number): number {
    return FRAME_HEADER_BYTES + (this.#isTimeDue(time) ? TIME_MARK_BYTES : 0);
  }

  #isTimeDue(time: number): boolean {
    // A clock that was set back is told as well.
    if (time === 0 || this.#tailBytes < LEAST_TAIL_WITH_TIMES) return false;
    return Math.abs(time - this.#time) >= TIME_STEP_MS;
  }

  #writeTime(time: number): void {
    if (!this.#isTimeDue(time)) return;
    if (this.#fd === null) throw new Error('the log is closed');
    const length = writeSync(this.#fd, timeMark(time));
    if (length !== TIME_MARK_BYTES) throw new Error('short write');
    this.#time = time;
    this.#written += length;
    this.#room -= length;
  }

  #writeFrame(stream: StreamName, piece: Uint8Array): void {
    if (this.#fd === null) throw new Error('the log is closed');
    writeFrameHeader(frameHeader, stream, piece.length);
    const length = FRAME_HEADER_BYTES + piece.length;
    // A short write is a disk that has just become full.
    if (writevSync(this.#fd, [frameHeader, piece]) !== length) throw new Error('short write');
    this.#written += length;
    this.#room -= length;
    this.#fileKept += piece.length;
  }

  /** After a gap: what was given up is marked, even where not a byte had been kept. */
  #goOn(position: number): void {
    if (this.#fd === null) this.#nextFile(0);
    this.#mark();
    this.#nextFile(position);
    this.#broken = false;
  }

  /** `position`: of the next byte in the whole output. What fails leaves all as it was. */
  #nextFile(position: number): void {
    const segment = this.#segment + 1;
    const fd = this.#createFile(segment);
    const headerBytes = segment === 0 ? 0 : TAIL_HEADER_BYTES;
    if (headerBytes > 0) {
      const header = Buffer.alloc(headerBytes);
      header.writeBigUInt64LE(BigInt(position));
      try {
        if (writeSync(fd, header) !== headerBytes) throw new Error('short write');
      } catch (error) {
        closeSync(fd);
        unlinkIfThere(this.#path(segment));
        throw error;
      }
    }
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = fd;
    if (segment === 1) this.#headKept = this.#fileKept;
    else this.#tailKept = this.#fileKept;
    this.#fileKept = 0;
    this.#segment = segment;
    this.#marked = false;
    this.#time = Number.NEGATIVE_INFINITY;
    this.#written = headerBytes;
    this.#room = (segment === 0 ? this.#headBytes : this.#tailBytes) - headerBytes;
    if (segment > 2) unlinkIfThere(this.#path(segment - 2));
  }

  #createFile(segment: number): number {
    const path = this.#path(segment);
    for (let tries = 1; ; tries += 1) {
      try {
        return openSync(path, NEW_FILE, FILE_MODE);
      } catch (error) {
        if (tries === OPEN_TRIES) throw error;
        const code = systemCode(error);
        if (code === 'ENOENT') mkdirSync(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
        // Left by another database that had this home: attempts are never run twice.
        else if (code === 'EEXIST') this.#removeLeftovers(segment);
        else throw error;
      }
    }
  }

  #removeLeftovers(from: number): void {
    const directory = logDirectory(this.#root, this.#key);
    for (const { name, segment } of filesOf(this.#root, this.#key, this.#attempt)) {
      if (segment >= from) unlinkIfThere(join(directory, name));
    }
  }

  #path(segment: number): string {
    return logFile(this.#root, this.#key, this.#attempt, segment);
  }

  /** Says in the log that something is missing, if the disk takes these four bytes. */
  #mark(): void {
    if (this.#marked || this.#fd === null) return;
    try {
      // Whatever was written of the frame that failed would be read as one.
      ftruncateSync(this.#fd, this.#written);
      writeFrameHeader(frameHeader, 'stdout', 0);
      this.#marked = writevSync(this.#fd, [frameHeader]) === FRAME_HEADER_BYTES;
    } catch {
      // end() tries again.
    }
  }
}

function filesOf(root: string, key: number, attempt: number): LogFileName[] {
  return listLogFiles(logDirectory(root, key)).filter(
    (file) => file.key === key && file.attempt === attempt,
  );
}

function removeLogs(root: string, keys: readonly number[]): void {
  for (const [directory, some] of Map.groupBy(keys, (key) => logDirectory(root, key))) {
    const wanted = new Set(some);
    const files = listLogFiles(directory);
    const doomed = files.filter((file) => wanted.has(file.key));
    for (const { name } of doomed) unlinkIfThere(join(directory, name));
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

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Somebody has just made a log in it, or has removed it.
  }
}
