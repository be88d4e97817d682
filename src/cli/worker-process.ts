// The arguments that supervisor and worker processes are started with: written by
// workerArguments in worker/process.ts, read back here.

import { systemEnv } from '../env.ts';
import { QueuectlError } from '../errors.ts';
import type { ProcessOptions } from '../worker/process.ts';
import type { Flags, Values } from './command.ts';
import type { Context } from './context.ts';
import type { Io } from './io.ts';
import { locationOf } from './open.ts';

export const PROCESS_FLAGS = {
  concurrency: { type: 'text', value: 'C', help: 'attempts at a time' },
  queue: { type: 'list', value: 'Q', help: 'queues to serve' },
  drain: { type: 'boolean', help: 'end when nothing is left to run' },
  nofile: { type: 'text', value: 'N', help: 'soft limit on open files for commands' },
} as const satisfies Flags;

export function processOptions(flags: Values<typeof PROCESS_FLAGS>, io: Io): ProcessOptions {
  const { context } = io;
  return {
    location: locationOf(io),
    env: systemEnv,
    environment: context.env,
    concurrency: integerFlag('concurrency', flags.concurrency, 1),
    queues: flags.queue.length === 0 ? null : flags.queue,
    drain: flags.drain,
    nofile: flags.nofile === undefined ? null : integerFlag('nofile', flags.nofile, 1),
    write: logWriter(context),
  };
}

/** Where workers log to. A log that cannot be written stops nobody. */
export function logWriter({ stderr }: Context): (line: string) => void {
  return (line) => {
    try {
      stderr.write(line);
    } catch {
      // The disk is full, or whoever read it is gone.
    }
  };
}

export function integerFlag(name: string, text: string | undefined, least: number): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new QueuectlError('usage', `--${name} must be a whole number from ${least}`);
}
