// Writing an attempt's log as files. Guards guarantee 11: head and tail within the cap, bytes on
// file before the next are read, and no error of the disk ever reaches the job.

import {
  closeSync,
  constants,
  ftruncateSync,
  mkdirSync,
  openSync,
  writeSync,
  writevSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { systemCode } from '../errors.ts';
import type { StreamName } from '../platform/starter.ts';
import {
  filesOf,
  FRAME_HEADER_BYTES,
  logDirectory,
  logFile,
  TAIL_HEADER_BYTES,
  TIME_MARK_BYTES,
  timeMark,
  unlinkIfThere,
  writeFrameHeader,
} from './log-format.ts';
import type { LogWriter } from './output.ts';

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

export class FileLogWriter implements LogWriter {
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
