// The arguments that supervisor and worker processes are started with: written by
// workerArguments in worker/process.ts, read back here.

import { systemEnv } from '../env.ts';
import { QueuectlError } from '../errors.ts';
import type { Location } from '../location.ts';
import { appendLine } from '../worker/log-file.ts';
import type { ProcessOptions } from '../worker/process.ts';
import type { Flags, Values } from './command.ts';
import type { Context } from './context.ts';
import type { Io } from './io.ts';
import { locationOf } from './open.ts';
import { LOG_FLAGS, logFormat } from './worker-flags.ts';

export const PROCESS_FLAGS = {
  concurrency: { type: 'text', value: 'C', help: 'attempts at a time' },
  queue: { type: 'list', value: 'Q', help: 'queues to serve' },
  drain: { type: 'boolean', help: 'end when nothing is left to run' },
  nofile: { type: 'text', value: 'N', help: 'soft limit on open files for commands' },
  ...LOG_FLAGS,
  background: { type: 'boolean', help: 'log to the file of this queue, not to stderr' },
} as const satisfies Flags;

export function processOptions(flags: Values<typeof PROCESS_FLAGS>, io: Io): ProcessOptions {
  const { context } = io;
  const location = locationOf(io);
  const toStderr = stderrWriter(context);
  return {
    location,
    env: systemEnv,
    environment: context.env,
    concurrency: integerFlag('concurrency', flags.concurrency, 1),
    queues: flags.queue.length === 0 ? null : flags.queue,
    drain: flags.drain,
    nofile: flags.nofile === undefined ? null : integerFlag('nofile', flags.nofile, 1),
    logFormat: logFormat(flags),
    write: flags.background ? fileWriter(location, toStderr) : toStderr,
  };
}

/** Where workers in the foreground log to. */
export function stderrWriter({ stderr }: Context): (line: string) => void {
  return (line) => stderr.write(line);
}

/** Where all others do: without a descriptor left, say, to what we were started with. */
function fileWriter(location: Location, otherwise: (line: string) => void) {
  return (line: string): void => {
    try {
      appendLine(location, systemEnv, line);
    } catch {
      otherwise(line);
    }
  };
}

export function integerFlag(name: string, text: string | undefined, least: number): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new QueuectlError('usage', `--${name} must be a whole number from ${least}`);
}
