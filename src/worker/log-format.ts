// How an attempt's output lies on disk: names and layout, shared by who writes and who
// reads it. Guards that a log is readable after a crash at any byte.
//
// A log is frames in order of arrival: 4 bytes of header (little endian: the top bit says
// stderr, the rest is the length), then that many bytes of output. A frame of stderr with
// length 0 is a time mark: the 8 bytes behind it say when what follows was read, in ms since
// 1970; one is written when the last is 100 ms old. The head file
//     <directory>/<key / 1000>/<key>.<attempt>.log
// takes up to half of the cap. What follows goes to the tail files `….log.1`, `….log.2` …,
// a quarter of the cap each, headers counted; making one deletes the last but one. A tail
// file begins with the position of its first byte in the whole output (8 bytes, little
// endian), which tells how much was deleted before it. A frame of stdout with length 0 ends a file whose
// disk refused what came then; where it took more later, that is in the next file.
//
// Once its attempt has ended a file may be replaced by the same bytes compressed with zstd,
// under its name with `.zst` behind it (log-tidy.ts).

import { readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../errors.ts';
import type { StreamName } from '../platform/starter.ts';

export const FRAME_HEADER_BYTES = 4;
export const TIME_MARK_BYTES = 12;
export const TAIL_HEADER_BYTES = 8;

const STDERR_BIT = 0x8000_0000;

export interface FrameHeader {
  readonly stream: StreamName;
  /** 0: a mark, on stdout that output is missing from here on, on stderr of the time. */
  readonly length: number;
}

export function writeFrameHeader(target: DataView, stream: StreamName, length: number): void {
  target.setUint32(0, (length | (stream === 'stderr' ? STDERR_BIT : 0)) >>> 0, true);
}

export function timeMark(time: number): DataView {
  const mark = new DataView(new ArrayBuffer(TIME_MARK_BYTES));
  writeFrameHeader(mark, 'stderr', 0);
  mark.setFloat64(FRAME_HEADER_BYTES, time, true);
  return mark;
}

export function readFrameHeader(source: DataView, at: number): FrameHeader {
  const word = source.getUint32(at, true);
  return {
    stream: word >= STDERR_BIT ? 'stderr' : 'stdout',
    length: word % STDERR_BIT,
  };
}

/** Jobs per directory: a directory stays quick to list, and there are few of them. */
export const KEYS_PER_DIRECTORY = 1000;

export function logDirectory(root: string, key: number): string {
  return join(root, String(Math.floor(key / KEYS_PER_DIRECTORY)));
}

/** Segment 0 is the head, the tail counts from 1. */
export function logFile(root: string, key: number, attempt: number, segment: number): string {
  const name = `${key}.${attempt}.log${segment === 0 ? '' : `.${segment}`}`;
  return join(logDirectory(root, key), name);
}

/** Of a file's compressed form. */
export const COMPRESSED = '.zst';

export interface LogFileName {
  readonly name: string;
  readonly key: number;
  readonly attempt: number;
  readonly segment: number;
  readonly compressed: boolean;
}

const LOG_FILE = /^(\d+)\.(\d+)\.log(?:\.(\d+))?(\.zst)?$/;

/** The log files in a directory, of all jobs; none if there is no such directory. */
export function listLogFiles(directory: string): LogFileName[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  return names.flatMap((name) => {
    const [, key, attempt, segment = '0', ending] = LOG_FILE.exec(name) ?? [];
    if (key === undefined || attempt === undefined) return [];
    const compressed = ending !== undefined;
    return [
      { name, key: Number(key), attempt: Number(attempt), segment: Number(segment), compressed },
    ];
  });
}

/** No such file of ours, whatever is in its place; ELOOP: a link, which we do not follow. */
export function isMissing(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP';
}

/** The files of an attempt's log, in no order. */
export function filesOf(root: string, key: number, attempt: number): LogFileName[] {
  return listLogFiles(logDirectory(root, key)).filter(
    (file) => file.key === key && file.attempt === attempt,
  );
}

/**
 * For many: a file system that is busy with somebody's sync keeps whoever deletes a file waiting
 * for tens of ms, which is no time for a worker's event loop to stand still.
 */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** Throws where it is there and cannot be removed. */
export function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** A directory of logs in which there are none any more. */
export function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Somebody has just made a log in it, or has removed it.
  }
}
