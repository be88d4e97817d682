// What a job is: its fields, its states, the one table of transitions, and the rule that
// turns the end of an attempt into the job's next state. Pure: no clock, no storage.
// docs/states.md is tested against TRANSITIONS and `settle`.

import { backoffDelay, type BackoffPolicy } from './backoff.ts';

export const STATES = [
  /** Waits for other jobs. Nothing enters this state yet: dependencies come with `--after`. */
  'blocked',
  /** Will run as soon as a slot is free and its `run_at`, if any, has come. */
  'pending',
  /** One attempt owns it. Left only by a write that carries that attempt's run token. */
  'processing',
  /** Terminal: an attempt exited with 0. */
  'completed',
  /** An attempt failed and retries are left: it will be claimed again at `run_at`. */
  'failed',
  /** Terminal until somebody retries it: no retries left. The dead letter queue. */
  'dead',
  /** Terminal: somebody cancelled it. */
  'cancelled',
] as const;

export type State = (typeof STATES)[number];

/** States in which a job stays unless a person acts. `dead` is one: `dlq retry` is such an act. */
export const TERMINAL_STATES = ['completed', 'dead', 'cancelled'] as const satisfies State[];

export function isTerminal(state: State): boolean {
  return TERMINAL_STATES.some((terminal) => terminal === state);
}

/** How an attempt ended. A failed command is a value, never an exception. */
export type Outcome =
  /** The command ended by itself; 0 is success, everything else a failure. */
  | { readonly kind: 'exited'; readonly code: number }
  /** A signal that we did not send ended it. `signal` is a name: `SIGSEGV`, `SIGRTMIN+1`. */
  | { readonly kind: 'signaled'; readonly signal: string; readonly number: number }
  /** We ended it because its timeout was over. */
  | { readonly kind: 'timed_out' }
  /**
   * It never ran. `code` is what a shell would answer: 127 not found, 126 found but not
   * startable. `transient`: the machine lacked a resource (processes, descriptors, memory),
   * so the job is given back without using a retry.
   */
  | {
      readonly kind: 'spawn_failed';
      readonly error: string;
      readonly code: 126 | 127;
      readonly transient: boolean;
    }
  /** Its worker died, or lost its lease. */
  | { readonly kind: 'lost' }
  /** We ended it because somebody cancelled the job. */
  | { readonly kind: 'cancelled' }
  /** We ended it because its worker was told to stop: the job is given back. */
  | { readonly kind: 'interrupted' };

export type OutcomeKind = Outcome['kind'];

function isSuccess(outcome: Outcome): boolean {
  return outcome.kind === 'exited' && outcome.code === 0;
}

/** What moves a job from one state to another; the same verbs in CLI, library, storage and tests. */
export type Verb =
  | 'enqueue'
  | 'claim'
  | 'complete'
  | 'fail'
  | 'release'
  | 'reap'
  | 'cancel'
  | 'retry'
  | 'edit'
  | 'delete';

export interface Transition {
  readonly verb: Verb;
  /** `null`: the job does not exist yet. */
  readonly from: State | null;
  /** `null`: the job is deleted. */
  readonly to: State | null;
  readonly when: string;
}

/** Every change of state there is. What is not in this table cannot happen. */
export const TRANSITIONS: readonly Transition[] = [
  { verb: 'enqueue', from: null, to: 'pending', when: 'the job is stored' },
  { verb: 'claim', from: 'pending', to: 'processing', when: 'a slot is free and run_at has come' },
  { verb: 'claim', from: 'failed', to: 'processing', when: 'a slot is free and run_at has come' },
  { verb: 'complete', from: 'processing', to: 'completed', when: 'the attempt exited with 0' },
  { verb: 'fail', from: 'processing', to: 'failed', when: 'the attempt failed, retries left' },
  { verb: 'fail', from: 'processing', to: 'dead', when: 'the attempt failed, no retries left' },
  {
    verb: 'release',
    from: 'processing',
    to: 'pending',
    when: 'its worker stops, or the machine lacks a resource to start it; no retry is used',
  },
  { verb: 'reap', from: 'processing', to: 'failed', when: 'its worker is gone, retries left' },
  { verb: 'reap', from: 'processing', to: 'dead', when: 'its worker is gone, no retries left' },
  { verb: 'cancel', from: 'blocked', to: 'cancelled', when: 'asked' },
  { verb: 'cancel', from: 'pending', to: 'cancelled', when: 'asked' },
  { verb: 'cancel', from: 'failed', to: 'cancelled', when: 'asked' },
  {
    verb: 'cancel',
    from: 'processing',
    to: 'cancelled',
    when: 'asked, and its attempt has ended or its worker is gone',
  },
  { verb: 'retry', from: 'dead', to: 'pending', when: 'asked; attempts starts again at 0' },
  { verb: 'edit', from: 'blocked', to: 'blocked', when: 'asked' },
  { verb: 'edit', from: 'pending', to: 'pending', when: 'asked' },
  { verb: 'edit', from: 'failed', to: 'failed', when: 'asked' },
  { verb: 'delete', from: 'blocked', to: null, when: 'asked' },
  { verb: 'delete', from: 'pending', to: null, when: 'asked' },
  { verb: 'delete', from: 'failed', to: null, when: 'asked' },
  { verb: 'delete', from: 'completed', to: null, when: 'asked, or its retention is over' },
  { verb: 'delete', from: 'dead', to: null, when: 'asked, or its retention is over' },
  { verb: 'delete', from: 'cancelled', to: null, when: 'asked, or its retention is over' },
];

/** What a job carries into the decision about its next state. */
export interface Settling {
  /** Attempts charged so far, the one that just ended included. */
  readonly attempts: number;
  readonly maxRetries: number;
  /** Read in the transaction that writes the result: a cancel that was acknowledged wins. */
  readonly cancelRequested: boolean;
  readonly backoff: BackoffPolicy;
  /** Uniform in [0, 1): the draw for this attempt's jitter. */
  readonly random: number;
}

export interface Settled {
  readonly verb: 'complete' | 'fail' | 'release' | 'reap' | 'cancel';
  readonly state: Exclude<State, 'blocked' | 'processing'>;
  /** Milliseconds to wait before the next claim; null where there is none, or at once. */
  readonly delay: number | null;
  /** False where the attempt is taken off again. */
  readonly charged: boolean;
}

/**
 * How long a job waits that was given back because the machine lacked a resource. One
 * second: long enough not to spin on a full process table, short enough to go unnoticed.
 */
const RESOURCE_DELAY_MS = 1000;

/** The end of an attempt → the job's next state. The only place where this is decided. */
export function settle(outcome: Outcome, job: Settling): Settled {
  // Guarantee 9: a cancel that was acknowledged before this write wins, also over a success.
  if (job.cancelRequested || outcome.kind === 'cancelled') {
    return { verb: 'cancel', state: 'cancelled', delay: null, charged: true };
  }
  if (isSuccess(outcome)) {
    return { verb: 'complete', state: 'completed', delay: null, charged: true };
  }
  if (outcome.kind === 'interrupted') {
    return { verb: 'release', state: 'pending', delay: null, charged: false };
  }
  if (outcome.kind === 'spawn_failed' && outcome.transient) {
    return { verb: 'release', state: 'pending', delay: RESOURCE_DELAY_MS, charged: false };
  }
  const verb = outcome.kind === 'lost' ? 'reap' : 'fail';
  if (job.attempts > job.maxRetries) {
    return { verb, state: 'dead', delay: null, charged: true };
  }
  const delay = backoffDelay(job.attempts, job.backoff, job.random);
  return { verb, state: 'failed', delay, charged: true };
}

/**
 * What a command job asks for beyond its command line: version 1 of the `spec` column.
 * Stored as JSON, absent fields left out, `NULL` where nothing is left.
 */
export interface CommandSpec {
  /** Program and arguments, started without a shell. Absent: `command` runs through the shell. */
  readonly args?: readonly string[];
  /** Variables set for the command, by name. Iterate with Object.entries, never assign by key. */
  readonly env?: Readonly<Record<string, string>>;
  /** Names of variables taken from the worker's environment when the attempt starts. */
  readonly env_from?: readonly string[];
  /** Absolute path of the file that becomes stdin; /dev/null without it. */
  readonly stdin?: string;
  /** What it reads from stdin instead, byte for byte as UTF-8. */
  readonly stdin_text?: string;
}

/** `command`: a shell command or program. In-process handlers will be a second kind. */
export const KINDS = ['command'] as const;
export type Kind = (typeof KINDS)[number];

/** A job as it is asked for, validated and with everything resolved that the caller knows. */
export interface NewJob {
  readonly id: string;
  readonly kind: Kind;
  /** What people read and search: the shell command, or the arguments quoted for pasting. */
  readonly command: string;
  readonly spec: CommandSpec;
  /** Absolute working directory. */
  readonly cwd: string;
  /** `PATH` of the caller; null where it had none. */
  readonly path: string | null;
  readonly queue: string;
  /** −1000 … 1000, higher first. */
  readonly priority: number;
  /** Retries after the first attempt; null takes the stored setting when the job is stored. */
  readonly maxRetries: number | null;
  /** Milliseconds; null takes the stored setting, 0 means none whatever is stored. */
  readonly timeout: number | null;
  /** Not before this instant, ms since 1970; null: at once. */
  readonly runAt: number | null;
  /** Not before this many ms after it is stored, by the clock that decides; excludes `runAt`. */
  readonly delay: number | null;
  readonly tags: Readonly<Record<string, string>> | null;
}

/** A job as it is stored. Times are ms since 1970, durations ms. */
export interface Job {
  /** The integer key: grows with arrival and is never used twice. Names log files. */
  readonly key: number;
  readonly id: string;
  readonly kind: Kind;
  readonly command: string;
  readonly spec: CommandSpec;
  readonly cwd: string;
  readonly path: string | null;
  readonly queue: string;
  readonly priority: number;
  readonly state: State;
  /** Attempts charged since it was enqueued or last retried. */
  readonly attempts: number;
  /** Number of the newest attempt over the job's whole life; 0: none yet. */
  readonly lastAttempt: number;
  readonly maxRetries: number;
  /** null: none. */
  readonly timeout: number | null;
  readonly tags: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly runAt: number | null;
  /** True while a running attempt was asked to end. */
  readonly cancelRequested: boolean;
  /** The newest attempt, null before the first. */
  readonly last: Attempt | null;
}

/** One numbered run of a job. */
export interface Attempt {
  readonly number: number;
  readonly runToken: number;
  readonly worker: string;
  readonly host: string;
  /** The worker's pid. */
  readonly pid: number;
  readonly startedAt: number;
  /** null while it runs. */
  readonly finishedAt: number | null;
  readonly outcome: OutcomeKind | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly error: string | null;
  /** Bytes of output the command wrote, cut or not; null where nobody could count them. */
  readonly logBytes: number | null;
}
