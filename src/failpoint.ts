// A test's way to stop, kill or fail a process of ours at one exact step. For tests only:
// nobody sets QUEUECTL_FAILPOINT in earnest, no help names it and no job inherits it.
//
//   QUEUECTL_FAILPOINT=step:kill|stop|error[@n]   the nth time this process gets there (1)
//   QUEUECTL_FAILPOINT_ONCE=file                  only in the process that makes this file,
//                                                 which writes its pid into it
//
// Guards that a test cannot pass for nothing: what is armed and not understood is an error
// in the first process that opens the database.

import { writeFileSync } from 'node:fs';
import { QueuectlError, systemCode } from './errors.ts';

/**
 * Every step, and what may happen there. `signals`: only kill and stop, because nothing
 * can fail at that point.
 */
const STEPS = {
  /** Anybody: the database is about to be opened. */
  open: 'anything',

  /** Who makes a database: before each statement of the schema. */
  'migrate-statement': 'anything',
  /** The new database is complete, under its temporary name. */
  'create-before-link': 'anything',
  /** It is in place, the temporary name still there. */
  'create-after-link': 'anything',

  'enqueue-before-commit': 'anything',
  /** Before whoever waits is woken, and before the reply. */
  'enqueue-after-commit': 'anything',
  'cancel-before-commit': 'anything',
  'cancel-after-commit': 'anything',

  /** Jobs are about to be deleted, by a command or by their retention. */
  'delete-before-commit': 'anything',
  /** They are, and their logs are there still. */
  'delete-after-commit': 'anything',
  /** Another file of their logs is gone. */
  'log-removed': 'anything',

  /** A worker's turn that has claimed something. */
  'claim-before-commit': 'anything',
  /** Claimed, nothing started. */
  'claim-after-commit': 'anything',
  /** A command runs, and its worker has not yet written down which process it is. */
  'after-spawn': 'signals',
  /** An attempt has ended and nobody but its worker knows. */
  'after-exit': 'signals',
  /** A worker's turn that records results; it may claim, too. */
  'record-before-commit': 'anything',
  'record-after-commit': 'anything',

  /** Who reaps: the processes of the attempt are gone, nothing is written. */
  'reap-after-kill': 'anything',
  'reap-before-commit': 'anything',
  /** The attempt is recorded, the record of its worker has not ended. */
  'reap-after-commit': 'anything',
} as const satisfies Readonly<Record<string, 'anything' | 'signals'>>;

export type Step = keyof typeof STEPS;

const ACTIONS = ['kill', 'stop', 'error'] as const;
export type Action = (typeof ACTIONS)[number];

/** Transactions with a step at either side of their commit. */
export type Write = 'enqueue' | 'cancel' | 'delete' | 'claim' | 'record' | 'reap';

const armed = process.env['QUEUECTL_FAILPOINT'];

/** Does what is armed for this step; nearly always nothing. */
export function failpoint(step: Step): void {
  if (armed !== undefined) reach(step, (plan ??= parse(armed)));
}

/** Of an environment: for the processes that we start. */
export function armedFailpoints(
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => name.startsWith('QUEUECTL_FAILPOINT')),
  );
}

interface Plan {
  readonly step: Step;
  readonly action: Action;
  readonly nth: number;
}

let plan: Plan | undefined;
let reached = 0;

function parse(text: string): Plan {
  const [, step = '', action, nth = '1'] = /^([a-z-]+):([a-z]+)(?:@(\d+))?$/.exec(text) ?? [];
  const known = ACTIONS.find((one) => one === action);
  if (!isStep(step) || known === undefined || Number(nth) === 0) {
    const hint = `step:${ACTIONS.join('|')}[@n]; steps: ${Object.keys(STEPS).join(', ')}`;
    throw new QueuectlError('usage', `there is no failpoint ${JSON.stringify(text)}`, { hint });
  }
  if (known === 'error' && STEPS[step] === 'signals') {
    throw new QueuectlError('usage', `failpoint: nothing can fail at ${step}`);
  }
  return { step, action: known, nth: Number(nth) };
}

function isStep(name: string): name is Step {
  return Object.hasOwn(STEPS, name);
}

function reach(step: Step, { step: wanted, action, nth }: Plan): void {
  if (step !== wanted) return;
  reached += 1;
  if (reached !== nth || !isFirst()) return;
  switch (action) {
    case 'kill':
      end('SIGKILL', Number.POSITIVE_INFINITY);
      return;
    case 'stop':
      end('SIGSTOP', STOPPED_WITHIN_MS);
      return;
    case 'error':
      throw new QueuectlError('unavailable', `failpoint ${step}`);
  }
}

/** Of a supervisor and all its workers only one is meant. */
function isFirst(): boolean {
  const file = process.env['QUEUECTL_FAILPOINT_ONCE'];
  if (file === undefined) return true;
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw new QueuectlError('usage', `QUEUECTL_FAILPOINT_ONCE: cannot make ${file}`, {
      cause: error,
    });
  }
}

/** A stop reaches all threads some time after the call; nothing may go on until it has. */
const STOPPED_WITHIN_MS = 100;

function end(signal: 'SIGKILL' | 'SIGSTOP', ms: number): void {
  process.kill(process.pid, signal);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
