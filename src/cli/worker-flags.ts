// What people tell `worker start` about the workers they want, checked.

import { mustBe } from '../invalid.ts';
import { LOG_FORMATS, type LogFormat } from '../worker/log.ts';
import { isName, NAME_EXPECTED } from '../spec.ts';
import type { Flags, Values } from './command.ts';
import { wholeNumber } from './numbers.ts';

/** More on one machine is a slip of the hand. */
const MOST_WORKERS = 1000;
const MOST_SLOTS = 10_000;

export const WORKER_FLAGS = {
  concurrency: {
    type: 'text',
    value: 'C',
    help: 'attempts that each worker runs at a time (default: 1)',
  },
  queue: { type: 'list', value: 'Q', help: 'serve only this queue (default: all)' },
  drain: { type: 'boolean', help: 'end when nothing is left to run' },
} as const satisfies Flags;

export const LOG_FLAGS = {
  'log-format': {
    type: 'text',
    value: 'FORMAT',
    choices: LOG_FORMATS,
    help: 'text for people, json for one object a line (default: text)',
  },
} as const satisfies Flags;

export interface WorkerOptions {
  readonly concurrency: number;
  readonly queues: readonly string[] | null;
  readonly drain: boolean;
}

export function workerOptions(flags: Values<typeof WORKER_FLAGS>): WorkerOptions {
  for (const queue of flags.queue) {
    // A name that no job can have would wait for ever without a word.
    if (!isName(queue)) throw mustBe('--queue', NAME_EXPECTED, queue);
  }
  return {
    concurrency: wholeNumber('--concurrency', flags.concurrency, 1, MOST_SLOTS) ?? 1,
    queues: flags.queue.length > 0 ? [...new Set(flags.queue)] : null,
    drain: flags.drain,
  };
}

export function logFormat({ 'log-format': text = 'text' }: Values<typeof LOG_FLAGS>): LogFormat {
  // Checked against the choices when it was parsed.
  return LOG_FORMATS.find((format) => format === text) ?? 'text';
}

export function workerCount(text: string | undefined): number {
  return wholeNumber('--count', text, 1, MOST_WORKERS) ?? 1;
}
