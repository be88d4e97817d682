// What looking a storage over brings to light.

import type { ErrorCode } from '../errors.ts';
import type { Job } from '../job.ts';
import type { Store, WorkerRecord } from './store.ts';

export interface Finding {
  /** What was looked at, in a word or two. */
  readonly check: string;
  readonly level: 'ok' | 'warning' | 'failure';
  readonly text: string;
  /** What to do about it. */
  readonly hint?: string;
  /** Of a failure: which one. */
  readonly code?: ErrorCode;
}

/** What a sound storage says about its queue, read beside the findings. */
export interface QueueRecords extends Pick<Store, 'oneMachine'> {
  /** Those on record, whether they live or not. */
  readonly workers: readonly WorkerRecord[];
  /** The queues of jobs that wait to run. */
  readonly waiting: readonly string[];
  /** When a job was last changed; null where there is none. */
  readonly newestChange: number | null;
}

export interface Inspection {
  readonly findings: readonly Finding[];
  /** Null where there is nothing yet, or nothing that could be read. */
  readonly records: QueueRecords | null;
}

/** A job out of a damaged storage, whole as it was enqueued. */
export interface SalvagedJob {
  readonly job: Job;
  /** Null where it is lost; the job's own is then empty. */
  readonly queue: string | null;
  /** Its directory; as above. */
  readonly cwd: string | null;
}

export interface Salvaged {
  readonly jobs: number;
  /** How many more there must have been, so far as that can be told. */
  readonly lost: number;
  /** The first of them that are known by name. */
  readonly lostIds: readonly string[];
}
