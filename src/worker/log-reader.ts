// Reading an attempt's log, finished or still growing. Guards guarantee 11 from the
// reader's side: bytes come out as they went in, in order, what was cut is said with its
// length, and a log that ends anywhere (a worker that died writing) reads up to there.

import { closeSync, constants, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import type { StreamName } from '../platform/starter.ts';
import {
  COMPRESSED,
  FRAME_HEADER_BYTES,
  isMissing,
  listLogFiles,
  logDirectory,
  logFile,
  readFrameHeader,
  TAIL_HEADER_BYTES,
  TIME_MARK_BYTES,
} from './log-format.ts';

/** Where reading goes on. Opaque, and plain data. */
export interface LogPosition {
  readonly segment: number;
  /** In that file. */
  readonly at: number;
  /** Bytes of output that lie before this point, cut or not. */
  readonly offset: number;
  /** The frame that is being read: its stream and time, and how much of it is to come. */
  readonly stream: StreamName;
  readonly left: number;
  readonly time: number;
  /** The disk refused what came after this, until the next file. */
  readonly refused: boolean;
}

export type LogChunk =
  | {
      readonly kind: 'output';
      readonly stream: StreamName;
      /** When it was read from the command, ms since 1970. */
      readonly time: number;
      readonly bytes: Uint8Array;
      readonly next: LogPosition;
    }
  /** So many bytes are not kept: the output was longer than the cap. */
  | { readonly kind: 'cut'; readonly bytes: number; readonly next: LogPosition }
  /** The log disk refused so many bytes here; null: all from here on, as far as is known. */
  | { readonly kind: 'broken'; readonly bytes: number | null; readonly next: LogPosition };

const START: LogPosition = {
  segment: 0,
  at: 0,
  offset: 0,
  stream: 'stdout',
  left: 0,
  time: 0,
  refused: false,
};

/** Enough that system calls don't count, little enough to hold several. */
const READ_BYTES = 64 * 1024;

/** See LogStore.read. Nothing is kept open between two calls of this. */
export function* readLog(
  root: string,
  key: number,
  attempt: number,
  from: LogPosition = START,
): Generator<LogChunk, void> {
  let position = from;
  for (;;) {
    // Asked before reading: once a later file exists, this one grows no more.
    const later = segmentAfter(root, key, attempt, position.segment);
    for (const chunk of readSegment(logFile(root, key, attempt, position.segment), position)) {
      position = chunk.next;
      // The next file tells how much.
      if (later === null || chunk.kind !== 'broken' || chunk.bytes !== null) yield chunk;
    }
    if (later === null) return;
    position = { ...position, segment: later, at: 0, left: 0 };
  }
}

/** The next file there is; the one after `segment` may be deleted already. */
function segmentAfter(root: string, key: number, attempt: number, segment: number): number | null {
  const next = logFile(root, key, attempt, segment + 1);
  if (existsSync(next) || existsSync(next + COMPRESSED)) return segment + 1;
  const later = listLogFiles(logDirectory(root, key))
    .filter((file) => file.key === key && file.attempt === attempt && file.segment > segment)
    .map((file) => file.segment);
  return later.length === 0 ? null : Math.min(...later);
}

/**
 * Bytes of a finished attempt's output that its disk did not take, by how many there were;
 * also where the log is gone altogether. What the cap has cut is not counted.
 */
export function refusedBytes(root: string, key: number, attempt: number, logBytes: number): number {
  let refused = 0;
  let offset = 0;
  for (const { kind, bytes, next } of readLog(root, key, attempt)) {
    if (kind === 'broken') refused += bytes ?? 0;
    ({ offset } = next);
  }
  return refused + Math.max(logBytes - offset, 0);
}

function* readSegment(path: string, from: LogPosition): Generator<LogChunk, void> {
  const file = openIfThere(path);
  if (file === null) return;
  try {
    let position = from;
    if (position.segment > 0 && position.at === 0) {
      const start = tailStart(file);
      if (start === null) return;
      const bytes = start - position.offset;
      const kind = position.refused ? 'broken' : 'cut';
      position = { ...position, at: TAIL_HEADER_BYTES, offset: start, refused: false };
      if (bytes > 0) yield { kind, bytes, next: position };
    }
    yield* readFrames(file, position);
  } finally {
    file.close();
  }
}

/** A log file, compressed or not. */
interface Source {
  /** Fills the buffer from this position on; answers how many bytes there were. */
  read(buffer: Uint8Array, at: number): number;
  close(): void;
}

function openIfThere(path: string): Source | null {
  const fd = openPlain(path);
  if (fd !== null) {
    return {
      read: (buffer, at) => readSync(fd, buffer, 0, buffer.length, at),
      close: () => closeSync(fd),
    };
  }
  // In this order: the compressed file is in place before the plain one goes.
  const compressed = openPlain(path + COMPRESSED);
  return compressed === null ? null : openCompressed(compressed);
}

function openCompressed(fd: number): Source | null {
  let bytes: Uint8Array;
  try {
    bytes = process.getBuiltinModule('node:zlib').zstdDecompressSync(readFileSync(fd));
  } catch {
    // Somebody else's file under this name, or one that a disk has spoilt.
    return null;
  } finally {
    closeSync(fd);
  }
  return {
    read: (buffer, at) => {
      const piece = bytes.subarray(at, at + buffer.length);
      buffer.set(piece);
      return piece.length;
    },
    close: () => {
      // Nothing is open.
    },
  };
}

function openPlain(path: string): number | null {
  try {
    // A link is no log of ours. Windows knows neither the flag nor the danger.
    return openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  } catch (error) {
    // Not made yet, or deleted because the output has gone on.
    if (isMissing(error)) return null;
    throw error;
  }
}

/** Where in the output a tail file begins; null while that is not written yet. */
function tailStart(file: Source): number | null {
  const header = Buffer.alloc(TAIL_HEADER_BYTES);
  if (file.read(header, 0) < TAIL_HEADER_BYTES) return null;
  return Number(header.readBigUInt64LE());
}

function* readFrames(file: Source, from: LogPosition): Generator<LogChunk, void> {
  let { at, offset, stream, left, time, refused } = from;
  const { segment } = from;
  const here = (): LogPosition => ({ segment, at, offset, stream, left, time, refused });
  for (;;) {
    // A new one each time: the reader may keep what it was given.
    const buffer = new Uint8Array(READ_BYTES);
    const view = new DataView(buffer.buffer);
    const length = file.read(buffer, at);
    let used = 0;
    while (used < length) {
      if (left === 0) {
        if (length - used < FRAME_HEADER_BYTES) break;
        const header = readFrameHeader(view, used);
        if (header.length === 0 && header.stream === 'stderr') {
          if (length - used < TIME_MARK_BYTES) break;
          time = view.getFloat64(used + FRAME_HEADER_BYTES, true);
          used += TIME_MARK_BYTES;
          at += TIME_MARK_BYTES;
          continue;
        }
        ({ stream, length: left } = header);
        used += FRAME_HEADER_BYTES;
        at += FRAME_HEADER_BYTES;
        if (left > 0) continue;
        refused = true;
        yield { kind: 'broken', bytes: null, next: here() };
        continue;
      }
      const bytes = buffer.subarray(used, Math.min(used + left, length));
      used += bytes.length;
      at += bytes.length;
      offset += bytes.length;
      left -= bytes.length;
      yield { kind: 'output', stream, time, bytes, next: here() };
    }
    // The end, or not even a whole header: a frame that is being written, or never will be.
    if (used === 0) return;
  }
}
