// The log files of background workers and supervisors: many processes append to one file, and
// whoever finds it too large puts it aside. Invariants: no line is lost or torn by another
// process, whenever one of them is killed; a log that cannot be written stops nobody.
//
// It needs no lock. The file is opened for each line, so none is kept that was put aside; what
// is appended to it in that very moment is in the older file. It is put aside under a name of
// its own, so that two who do it at once never overwrite anything: the second one puts aside
// what the first has begun, which costs nothing but a short file.

import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Env } from '../env.ts';
import { messageOf, QueuectlError, systemCode } from '../errors.ts';
import type { Location } from '../location.ts';

type Clock = Pick<Env, 'now' | 'newId'>;

interface Bounds {
  readonly bytes: number;
  /** Older files that are kept. */
  readonly kept: number;
}

/** A file of 10 MiB holds some 100,000 events and opens in any editor. */
const LOGS: Bounds = { bytes: 10 * 1024 * 1024, kept: 3 };
/** Some hundred crash reports of the runtime. */
const CRASHES: Bounds = { bytes: 1024 * 1024, kept: 1 };

/** All background workers and supervisors of a database write to one file. */
export function workerLogFile(location: Pick<Location, 'workerLogs'>): string {
  return join(location.workerLogs, 'workers.log');
}

/** Their stderr: what the runtime itself says when it crashes. Empty if all is well. */
export function crashFile(location: Location): string {
  return join(location.workerLogs, 'crashes.log');
}

const FLAGS =
  constants.O_RDWR |
  constants.O_CREAT |
  constants.O_APPEND |
  // Windows knows neither it nor the links it guards against.
  (constants.O_NOFOLLOW ?? 0);

/** Appends a line to the file of this location. Throws what the system says. */
export function appendLine(
  location: Pick<Location, 'workerLogs'>,
  env: Clock,
  line: string,
  bounds = LOGS,
): void {
  const fd = openWithRoom(workerLogFile(location), bounds, env);
  try {
    // A full disk may have cut somebody's line: ours does not become a part of it.
    writeSync(fd, endsWithinLine(fd) ? `\n${line}` : line);
  } finally {
    closeSync(fd);
  }
}

/** A descriptor for the stderr of a process that is about to be started. */
export function openCrashFile(location: Location, env: Clock): number {
  return openWithRoom(crashFile(location), CRASHES, env);
}

/** Whether workers can log, before any is started. Throws `unavailable`. */
export function checkLogFiles(location: Location): void {
  for (const path of [workerLogFile(location), crashFile(location)]) {
    try {
      closeSync(openSync(path, FLAGS, 0o600));
    } catch (cause) {
      const known = { EACCES: 'permission denied', ELOOP: 'it is a link' }[systemCode(cause) ?? ''];
      const message = `the workers cannot log to ${path}: ${known ?? messageOf(cause)}`;
      throw new QueuectlError('unavailable', message, { hint: 'move it away', cause });
    }
  }
}

function openWithRoom(path: string, { bytes, kept }: Bounds, env: Clock): number {
  const fd = openSync(path, FLAGS, 0o600);
  if (fstatSync(fd).size < bytes) return fd;
  closeSync(fd);
  putAside(path, kept, env);
  return openSync(path, FLAGS, 0o600);
}

/** `20261125T100000000Z-1f0c93ab`: in order of time, and never used twice. */
const STAMP = /^\d{8}T\d{9}Z-[0-9a-f]{8}$/;

function putAside(path: string, kept: number, env: Clock): void {
  const stamp = new Date(env.now()).toISOString().replaceAll(/[-:.]/g, '');
  try {
    renameSync(path, `${path}.${stamp}-${env.newId().slice(-8)}`);
    const name = `${basename(path)}.`;
    const older = readdirSync(dirname(path))
      .filter((file) => file.startsWith(name) && STAMP.test(file.slice(name.length)))
      .toSorted();
    for (const file of older.slice(0, -kept)) unlinkSync(join(dirname(path), file));
  } catch {
    // Another process was faster, or may do what we may not: then it goes on growing.
  }
}

const byte = new Uint8Array(1);
const NEWLINE = 10;

function endsWithinLine(fd: number): boolean {
  const { size } = fstatSync(fd);
  return size > 0 && readSync(fd, byte, 0, 1, size - 1) === 1 && byte[0] !== NEWLINE;
}
