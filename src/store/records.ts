// What goes into the store and comes out of it: the shapes that the contract in store.ts
// speaks of. Times are ms since 1970 unless a field says that it is the boot clock.

import type { BackoffPolicy } from '../backoff.ts';
import type { QueuectlError } from '../errors.ts';
import type { Attempt, Job, Outcome, State } from '../job.ts';
import type { ProcessIdentity } from '../platform/identity.ts';

export interface Watch {
  close(): void;
}

export interface EnqueueOptions {
  readonly ifAbsent?: boolean;
  readonly onProgress?: (written: number) => void;
}

export interface Enqueued {
  readonly key: number;
  readonly id: string;
  readonly state: State;
  /** False: a job with this id was there already. */
  readonly created: boolean;
}

export const SORT_ORDERS = ['newest', 'oldest', 'updated', 'priority'] as const;
export type SortOrder = (typeof SORT_ORDERS)[number];

/** Which jobs; an empty list or null is no condition. Times are ms since 1970. */
export interface Filter {
  readonly states: readonly State[];
  readonly queue: string | null;
  /** Every pair must match. */
  readonly tags: readonly (readonly [string, string])[];
  /** Substring of id or command; ASCII letters match either case. */
  readonly search: string | null;
  /** Stored at this instant or later. */
  readonly since: number | null;
  /** Stored before this instant. */
  readonly until: number | null;
  /** Last changed before this instant: what is in a terminal state came into it then. */
  readonly unchangedSince: number | null;
}

/** Every job. */
export const NO_FILTER: Filter = {
  states: [],
  queue: null,
  tags: [],
  search: null,
  since: null,
  until: null,
  unchangedSince: null,
};

export interface ListQuery extends Filter {
  readonly sort: SortOrder;
  /** At least 1. */
  readonly limit: number;
  /**
   * The last job of the page before: by its id, which rejects with `not_found` where nobody
   * has it, or where it stood then, which needs it no more.
   */
  readonly cursor: string | Position | null;
}

export interface MatchQuery extends Filter {
  /** Only keys above this one; 0 begins. */
  readonly after: number;
  /** Only keys up to this one: the newest key when the act began. */
  readonly upTo: number;
  readonly limit: number;
}

/** What is too old or too much in one queue; null: no such bound. */
export interface OverdueQuery {
  readonly queue: string;
  /** Completed and cancelled jobs that ended before this instant, ms since 1970. */
  readonly endedBefore: number | null;
  /** Dead jobs that died before this instant. */
  readonly diedBefore: number | null;
  /** More completed and cancelled jobs than this. */
  readonly jobs: number | null;
  /** More bytes of kept output than this. */
  readonly logBytes: number | null;
  /** Whatever ended at this instant or later stays: somebody may wait for it still. */
  readonly spareFrom: number;
  readonly limit: number;
}

export interface AttemptPosition {
  /** Of the job. */
  readonly key: number;
  readonly number: number;
}

/** A stretch of all attempts there are. */
export interface AttemptPage {
  /** Keys of the workers that ran them, each once. */
  readonly workers: readonly number[];
  /** Its last attempt, to go on after; null: there are no more. */
  readonly next: AttemptPosition | null;
}

/** Jobs that a filter has found; whoever acts on them looks again whether they match. */
export interface Found {
  readonly keys: readonly number[];
  readonly filter: Filter;
}

/** Everything up to now, by numbers that only grow: no clock that is set back matters. */
export interface Horizon {
  /** Key of the newest job; 0: there is none. */
  readonly key: number;
  /** The last run token that was handed out. */
  readonly runToken: number;
}

/** A job with every attempt, oldest first. */
export interface Story {
  readonly job: Job;
  readonly history: readonly Attempt[];
}

/** Where a job stands in every order of a list, or stood when it was read. */
export type Position = Pick<Job, 'key' | 'updatedAt' | 'priority'>;

/** What of a waiting job may be changed; what is not named stays. */
export interface Changes {
  readonly queue?: string;
  readonly priority?: number;
  readonly maxRetries?: number;
  /** Ms; null: none. */
  readonly timeout?: number | null;
  /** Ms since 1970; null: at once. */
  readonly runAt?: number | null;
}

export interface Page {
  readonly jobs: Job[];
  readonly more: boolean;
}

export interface Stats {
  /** Jobs by queue and state; only what is not zero. */
  readonly counts: readonly { readonly queue: string; readonly state: State; readonly n: number }[];
  /**
   * When the longest-waiting job that is due became due; null if none waits. Where the clock
   * was set back, what was due before counts as due until a claim has looked at it again.
   */
  readonly oldestWaiting: number | null;
  /** Its id. */
  readonly oldestWaitingId: string | null;
  /** When the next job that is not yet due will be; null if there is none. */
  readonly nextDue: number | null;
  /**
   * Attempts that succeeded or failed (lost ones too) in each of the sixty minutes before
   * the newest, newest last, without empty ones. Those given back or cancelled do not count.
   */
  readonly throughput: readonly {
    /** Start of the minute, ms since 1970. */
    readonly minute: number;
    readonly succeeded: number;
    readonly failed: number;
  }[];
}

export type CancelAnswer = 'cancelled' | 'cancel_requested' | 'already_finished' | 'not_found';
export type RetryAnswer = 'retried' | 'wrong_state' | 'not_found';
export type EditAnswer = 'edited' | 'wrong_state' | 'not_found';
/** The key names the log files that are the caller's to remove. */
export type DeleteAnswer = { readonly deleted: number } | 'wrong_state' | 'not_found';

export interface NewSupervisor {
  readonly identity: ProcessIdentity;
  readonly count: number;
}

export interface NewWorker {
  readonly identity: ProcessIdentity;
  /** null for a worker without one. */
  readonly supervisor: number | null;
  /** null: all queues. */
  readonly queues: readonly string[] | null;
  readonly concurrency: number;
}

export interface RegisteredWorker {
  readonly key: number;
  /** Short, unique in this database, never used twice: `w17`. */
  readonly name: string;
}

export type StopMode =
  /** Claim nothing more and let attempts finish, until `stopBy` if that is set. */
  | 'graceful'
  /** End the attempts and give their jobs back. */
  | 'now';

export interface WorkerRecord extends NewWorker {
  readonly key: number;
  readonly name: string;
  readonly ready: boolean;
  readonly startedAt: number;
  readonly heartbeatAt: number;
  /** Boot-clock ms of its machine: by then it renews, or it is gone. */
  readonly leaseUntil: number;
  readonly stop: StopMode | null;
  /** Ids of the jobs it runs, oldest claim first. */
  readonly jobs: readonly string[];
}

export interface SupervisorRecord extends NewSupervisor {
  readonly key: number;
  readonly startedAt: number;
  readonly stop: StopMode | null;
}

export interface StopRequest {
  /** Keys; all that have not ended when both are null. */
  readonly workers: readonly number[] | null;
  readonly supervisors: readonly number[] | null;
  readonly mode: StopMode;
  /** Boot-clock ms after which `graceful` turns into `now`; null: as long as it takes. */
  readonly stopBy: number | null;
}

/** Which attempt a write is about. The run token is the fence, the rest finds the row. */
export interface AttemptRef {
  readonly key: number;
  readonly number: number;
  readonly runToken: number;
}

/** An attempt that ended, with everything the transaction needs to settle the job. */
export interface Ended {
  readonly attempt: AttemptRef;
  readonly outcome: Outcome;
  /** Bytes the command wrote; null where nobody counted. */
  readonly logBytes: number | null;
  /** How many of them its log holds; absent: all. */
  readonly logKept?: number;
  /** Uniform in [0, 1): the draw for the backoff's jitter. */
  readonly random: number;
}

export interface Turn {
  readonly worker: number;
  readonly ended: readonly Ended[];
  readonly backoff: BackoffPolicy;
  /** Free slots, those of `ended` included; 0 claims nothing. */
  readonly slots: number;
  /** Lease of what is claimed, ms. */
  readonly lease: number;
}

export interface TurnResult {
  readonly recorded: readonly Recorded[];
  readonly claimed: readonly Claimed[];
  /**
   * When the next delayed job becomes due, ms since 1970; null: none known. Not in the
   * future: more may be claimable already than this claim could move.
   */
  readonly nextDue: number | null;
}

export type Recorded =
  | { readonly stale: true }
  | { readonly stale: false; readonly state: State; readonly runAt: number | null };

/** All that a worker needs to start an attempt. */
export interface Claimed extends AttemptRef {
  readonly id: string;
  readonly kind: Job['kind'];
  readonly command: string;
  readonly spec: Job['spec'];
  readonly cwd: string;
  readonly path: string | null;
  readonly queue: string;
  /** null: none. */
  readonly timeout: number | null;
  /** Attempts charged, this one included. */
  readonly attempts: number;
  readonly maxRetries: number;
}

export interface Renewal {
  readonly worker: number;
  readonly attempts: readonly AttemptRef[];
  readonly lease: number;
}

export interface Attention {
  /** Run tokens of this worker's attempts whose job was cancelled. */
  readonly cancelRequested: readonly number[];
  readonly stop: StopMode | null;
  /** Boot-clock ms; see StopRequest. */
  readonly stopBy: number | null;
  /** False: the record was ended by somebody else; the worker must stop. */
  readonly registered: boolean;
  /** Something may be claimable for it now. */
  readonly ready: boolean;
  /** When the next delayed job becomes due, ms since 1970; null: none known. */
  readonly nextDue: number | null;
  /** Waiting or running jobs of its queues: with none, `--drain` is done. */
  readonly unfinished: boolean;
  /**
   * Why this program is too old for the database by now (`newer_schema`): the worker gets
   * no more jobs, and must stop once it has recorded what it has. Null: it is not.
   */
  readonly outdated: QueuectlError | null;
}

export interface RunningAttempt extends AttemptRef {
  readonly jobId: string;
  readonly worker: number;
  readonly workerName: string;
  readonly owner: ProcessIdentity;
  /** Boot-clock ms of the owner's machine. */
  readonly leaseUntil: number;
  readonly cancelRequested: boolean;
}

export interface Reaping {
  readonly attempt: AttemptRef;
  /** As read: the write is refused if it was renewed since. */
  readonly leaseUntil: number;
  readonly reason: string;
  readonly backoff: BackoffPolicy;
  readonly random: number;
}
