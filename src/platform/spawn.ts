// Starting a command: in a session of its own, with real pipes where the runtime has them,
// found in the job's own PATH and directory. Guards two promises: what cannot be started
// is told with its true cause (field case SH-21), and a throw means that nothing runs.

import { closeSync, constants, openSync, statSync } from 'node:fs';
import { createBunStarter } from './bun.ts';
import { findProgram, isTransient, SpawnError, whyNotStarted, whyNoStdin } from './diagnose.ts';
import { startWithNode } from './node.ts';
import type { CommandToStart, Spawned } from './starter.ts';

/** Starts the command or throws a SpawnError; then nothing was started. Does not wait. */
export type Spawner = (command: CommandToStart) => Spawned;

/** The spawner of this runtime: real pipes under Bun on Linux, sockets elsewhere. */
export function createSpawner(): Spawner {
  const start = createBunStarter() ?? startWithNode;
  return (command) => {
    const program = findProgram(command);
    // Text is what the starter has its own way for.
    const stdinFd = command.stdinText === undefined ? openStdin(command.stdin) : 'ignore';
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
