// Starting a command: in a session of its own, with real pipes where the runtime has them,
// found in the job's own PATH and directory. Guards two promises: what cannot be started
// is told with its true cause (field case SH-21), and a throw means that nothing runs.

import { closeSync, constants, openSync, statSync } from 'node:fs';
import { createBunStarter } from './bun.ts';
import { findProgram, isTransient, SpawnError, whyNotStarted, whyNoStdin } from './diagnose.ts';
import { startWithNode } from './node.ts';

export interface CommandToStart {
  /** A path, taken from `cwd` where it is relative, or a name to be found in `env.PATH`. */
  readonly file: string;
  readonly args: readonly string[];
  /** The whole environment; an object without a prototype, so that any name is a name. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Path of the file that becomes stdin; null: end of file at once. */
  readonly stdin: string | null;
  /** Soft limit on open files for the command; null: ours. Never above the hard limit. */
  readonly nofile: number | null;
  /** Windows: do not quote the arguments. */
  readonly verbatim: boolean;
}

export interface ExitStatus {
  /** null: a signal ended it. */
  readonly code: number | null;
  readonly signal: { readonly name: string; readonly number: number } | null;
}

export type StreamName = 'stdout' | 'stderr';

/** A process that runs, or has run. */
export interface Spawned {
  /** Also the number of its group and its session. */
  readonly pid: number;
  /** As /proc/<pid>/stat says it, in clock ticks since boot; '' where there is no /proc. */
  readonly startTime: string;
  /** When the process itself has ended, whoever still holds its output. Never rejects. */
  readonly exited: Promise<ExitStatus>;
  /**
   * Hands each piece of output to `write`, which must not throw, and reads on when that
   * has returned. Call once; resolves when both streams have ended or were closed.
   */
  pump(write: (stream: StreamName, bytes: Uint8Array) => void): Promise<void>;
  /** True as soon as both streams have ended, a moment before `pump` resolves. */
  outputEnded(): boolean;
  /** Stops reading, whoever still writes. Idempotent; never rejects. */
  closeOutput(): Promise<void>;
}

/** What a runtime gets to start: everything found and opened. */
export interface StartRequest extends CommandToStart {
  /** What is executed; `file` is what the command sees as its name. */
  readonly program: string;
  /** An open descriptor. The caller closes it. */
  readonly stdinFd: number | 'ignore';
}

export type Starter = (request: StartRequest) => Spawned;

/** Starts the command or throws a SpawnError; then nothing was started. Does not wait. */
export type Spawner = (command: CommandToStart) => Spawned;

/** The spawner of this runtime: real pipes under Bun on Linux, sockets elsewhere. */
export function createSpawner(): Spawner {
  const start = createBunStarter() ?? startWithNode;
  return (command) => {
    const program = findProgram(command);
    const stdinFd = openStdin(command.stdin);
    try {
      return start({ ...command, program, stdinFd });
    } catch (error) {
      throw whyNotStarted(error, command, program);
    } finally {
      if (stdinFd !== 'ignore') closeSync(stdinFd);
    }
  };
}

/**
 * Opened here and not by the child: where the limit on open files is lowered for the
 * child, it might not have a number left below it to open /dev/null with.
 */
function openStdin(path: string | null): number | 'ignore' {
  if (path === null && process.platform === 'win32') return 'ignore';
  const file = path ?? '/dev/null';
  try {
    if (path !== null) {
      const stat = statSync(path);
      // Opening a FIFO would block the whole worker until somebody writes to it.
      if (!stat.isFile() && !stat.isCharacterDevice()) throw whyNoStdin(path, 'not a regular file');
    }
    return openSync(file, constants.O_RDONLY | (constants.O_NOCTTY ?? 0));
  } catch (error) {
    if (error instanceof SpawnError) throw error;
    throw isTransient(error) ? whyNotStarted(error, null, file) : whyNoStdin(file, error);
  }
}
