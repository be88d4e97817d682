// How an attempt's output lies on disk: names and layout, shared by who writes and who
// reads it. Guards that a log is readable after a crash at any byte.
//
// A log is frames in order of arrival: 4 bytes of header (little endian: the top bit says
// stderr, the rest is the length), then that many bytes of output. The head file
//     <directory>/<key / 1000>/<key>.<attempt>.log
// takes up to half of the cap. What follows goes to the tail files `….log.1`, `….log.2` …,
// a quarter of the cap each, headers counted; making one deletes the last but one. A tail
// file begins with the position of its first byte in the whole output (8 bytes, little
// endian), which tells how much was deleted before it. A frame of length 0 ends a file whose
// disk refused what came then; where it took more later, that is in the next file.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemCode } from '../errors.ts';
import type { StreamName } from '../platform/starter.ts';

export const FRAME_HEADER_BYTES = 4;
export const TAIL_HEADER_BYTES = 8;

const STDERR_BIT = 0x8000_0000;

export interface FrameHeader {
  readonly stream: StreamName;
  /** 0: the mark that output is missing from here on. */
  readonly length: number;
}

export function writeFrameHeader(target: DataView, stream: StreamName, length: number): void {
  target.setUint32(0, (length | (stream === 'stderr' ? STDERR_BIT : 0)) >>> 0, true);
}

export function readFrameHeader(source: DataView, at: number): FrameHeader {
  const word = source.getUint32(at, true);
  return {
    stream: word >= STDERR_BIT ? 'stderr' : 'stdout',
    length: word % STDERR_BIT,
  };
}

/** Jobs per directory: a directory stays quick to list, and there are few of them. */
const KEYS_PER_DIRECTORY = 1000;

export function logDirectory(root: string, key: number): string {
  return join(root, String(Math.floor(key / KEYS_PER_DIRECTORY)));
}

/** Segment 0 is the head, the tail counts from 1. */
export function logFile(root: string, key: number, attempt: number, segment: number): string {
  const name = `${key}.${attempt}.log${segment === 0 ? '' : `.${segment}`}`;
  return join(logDirectory(root, key), name);
}

export interface LogFileName {
  readonly name: string;
  readonly key: number;
  readonly attempt: number;
  readonly segment: number;
}

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
    const [, key, attempt, segment = '0'] = /^(\d+)\.(\d+)\.log(?:\.(\d+))?$/.exec(name) ?? [];
    if (key === undefined || attempt === undefined) return [];
    return [{ name, key: Number(key), attempt: Number(attempt), segment: Number(segment) }];
  });
}

/** No such file of ours, whatever is in its place; ELOOP: a link, which we do not follow. */
export function isMissing(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP';
}
