// The storage contract. Each method is one whole transition, done in one transaction or
// not at all; its comment is its promise, and test/contract/ holds every backend to it.
// Nothing above this file knows which database it speaks to.
//
// Rules for all methods:
// - A resolved promise means committed and, on an honest disk, safe from power loss.
// - A rejected promise means nothing was changed, except where the connection died during
//   the commit; the caller then does not know, and repeating is safe.
// - They reject with QueuectlError only: `busy` when another process held the write lock
//   for longer than the store was opened to wait, `full`, `read_only`, `damaged`,
//   `unavailable`; `newer_schema` once a newer queuectl has migrated the database. What
//   finishes what was begun (results, renewals, reaping, the end of a worker) is then
//   still written, as long as the schema bears it.
// - Every write about a running attempt is fenced by its run token; a stale token changes
//   nothing and is answered, not thrown.

import type { Attempt, Job, NewJob } from '../job.ts';
import type {
  AttemptPage,
  AttemptPosition,
  Attention,
  CancelAnswer,
  Changes,
  DeleteAnswer,
  EditAnswer,
  EnqueueOptions,
  Enqueued,
  Found,
  Horizon,
  ListQuery,
  MatchQuery,
  NewSupervisor,
  NewWorker,
  OverdueQuery,
  Page,
  Reaping,
  Recorded,
  RegisteredWorker,
  Renewal,
  RetryAnswer,
  RunningAttempt,
  Stats,
  StopRequest,
  Story,
  SupervisorRecord,
  Turn,
  TurnResult,
  Watch,
  WorkerRecord,
} from './records.ts';

export * from './records.ts';

export interface Store {
  /** Names this database: a random id made with it. Part of every attempt's marker. */
  readonly databaseId: string;
  /** All its workers are on this machine: one that belongs to another boot is gone. */
  readonly oneMachine: boolean;

  // ── clients ──────────────────────────────────────────────────────────────────────────

  /**
   * Stores all jobs or none, in the order given: arrival order, which decides between
   * jobs of equal priority and due time. Jobs without `maxRetries` or `timeout` take the
   * stored settings as of this transaction. An id that is taken, in the database or twice
   * in `jobs`, rejects with `id_taken` naming it; with `ifAbsent` the stored job stands
   * and is answered with `created: false`. `onProgress` is called with the number of jobs
   * written so far, now and then, inside the transaction.
   */
  enqueue(jobs: readonly NewJob[], options?: EnqueueOptions): Promise<Enqueued[]>;

  /** The job with this id, or null. */
  find(id: string): Promise<Job | null>;

  /** Every attempt of the job, oldest first, a running one included; [] for an unknown key. */
  attempts(key: number): Promise<Attempt[]>;

  /** Both of one moment: the job with this id and all its attempts, or null. */
  story(id: string): Promise<Story | null>;

  /** One page of jobs. `more` tells whether another page follows. */
  list(query: ListQuery): Promise<Page>;

  /** Counts and rates, in time that does not depend on the number of jobs. */
  stats(): Promise<Stats>;

  /**
   * Blocked, pending and failed jobs become `cancelled` at once and never start. A
   * processing one is flagged; its worker ends it, and whatever commits next about it
   * ends `cancelled`. One answer per id, in order; a doubled id is answered twice.
   */
  cancel(ids: readonly string[]): Promise<CancelAnswer[]>;

  /**
   * Dead jobs become `pending` with `attempts` 0, due at once; their history and run
   * tokens stay. One answer per id, in order.
   */
  retry(ids: readonly string[]): Promise<RetryAnswer[]>;

  /**
   * Changes jobs that wait (blocked, pending, failed): what is named, nothing else. They
   * take the place in the order of claims that they would have had so from the start.
   * Everything else is `wrong_state`. One answer per id, in order.
   */
  edit(ids: readonly string[], changes: Changes): Promise<EditAnswer[]>;

  /**
   * Deletes jobs and their attempts; one that runs is `wrong_state`. Their log files are
   * the caller's to remove, by the keys answered. One answer per id, in order.
   */
  delete(ids: readonly string[]): Promise<DeleteAnswer[]>;

  /**
   * Keys of up to `limit` jobs that match, ascending, of those above `after` and up to
   * `upTo`. It reads only: however long it has to look, no writer waits.
   */
  match(query: MatchQuery): Promise<number[]>;

  /** Where a loop over `match` begins. */
  horizon(): Promise<Horizon>;

  /**
   * The same verbs for jobs that a filter has found, each in one transaction over the
   * keys given. Jobs that do not match any more, or are in a state that the verb does not
   * apply to, are left alone. Resolves with the keys acted upon. With `match` in a loop,
   * each time after the last key found, a verb acts once on each job that matched when the
   * loop began, and no transaction holds the write lock for long. Of two loops that retry,
   * `notRunSince`, the horizon's run token, keeps each from what the other one has retried
   * and is dead again. No other verb asks whether a job has run meanwhile: a cancel is meant
   * for what has just started as well (guarantee 9).
   */
  cancelFound(
    found: Found,
  ): Promise<{ readonly cancelled: number[]; readonly requested: number[] }>;
  retryFound(found: Found, notRunSince?: number): Promise<number[]>;
  editFound(found: Found, changes: Changes): Promise<number[]>;
  deleteFound(found: Found): Promise<number[]>;

  /**
   * Keys of up to `limit` jobs of a queue that its retention is over for, those that ended
   * first. Only completed, cancelled and, by their own bound, dead jobs. It reads only.
   */
  overdue(query: OverdueQuery): Promise<number[]>;

  // ── workers ──────────────────────────────────────────────────────────────────────────

  /**
   * Adds a supervisor or a worker and returns its key, never used twice. A worker whose
   * supervisor was told to stop is registered as told so, too.
   */
  registerSupervisor(supervisor: NewSupervisor): Promise<number>;
  registerWorker(worker: NewWorker): Promise<RegisteredWorker>;

  /** Says that the worker claims from now on. */
  workerReady(worker: number): Promise<void>;

  /** Ends the record of a worker or supervisor; the reason is kept. Ending twice is fine. */
  endWorker(worker: number, reason: string): Promise<void>;
  endSupervisor(supervisor: number, reason: string): Promise<void>;

  /** Workers and supervisors that have not ended, oldest first. */
  workers(): Promise<WorkerRecord[]>;
  supervisors(): Promise<SupervisorRecord[]>;

  /** Keys of the workers that ended before this instant. */
  endedWorkers(endedBefore: number): Promise<number[]>;

  /**
   * Which workers up to `limit` attempts name: those that follow after a position, null being
   * the beginning. It reads only.
   */
  workersNamed(after: AttemptPosition | null, limit: number): Promise<AttemptPage>;

  /**
   * Deletes the records of these workers, of those among them that ended before the instant,
   * and of supervisors that ended before it and that no worker names. The caller has gone
   * through all attempts after the workers ended, and none named them: one that has ended
   * never gets another. Answers how many workers that were.
   */
  forgetWorkers(keys: readonly number[], endedBefore: number): Promise<number>;

  /**
   * Asks workers and supervisors to stop; a later, stricter request replaces an earlier
   * one (`now` beats `graceful`, an earlier bound beats a later one), never the reverse.
   */
  requestStop(request: StopRequest): Promise<void>;

  /**
   * The worker's one write: records how attempts ended, then claims for the free slots,
   * in one transaction. Each ended attempt is answered in order: the job's new state, or
   * `stale` where its run token no longer owns the job; then nothing was changed for it.
   *
   * A claim takes at most `slots` due jobs of the queues served: higher priority first,
   * then due time, then arrival. It charges the attempt, numbers it, gives it the next
   * run token and a lease, all before anything starts. What has become due is moved into
   * the ready index first, in bounded batches, the longest due first: where a crowd has
   * become due at once, priority decides within what was moved so far, and a claim may
   * find less than there is. `nextDue` is then not in the future: call again at once.
   * Nothing with a future `run_at` is claimed, wherever it stands, and a worker that was
   * told to stop gets nothing.
   */
  turn(turn: Turn): Promise<TurnResult>;

  /**
   * Renews the leases of the worker's attempts named and its heartbeat. Answers the run
   * tokens that no longer own their job.
   */
  renew(renewal: Renewal): Promise<{ readonly lost: number[] }>;

  /** What a worker must know between two writes, without writing. */
  attend(worker: number): Promise<Attention>;

  /** Attempts that have not ended, of all workers, with who owns them. */
  running(): Promise<RunningAttempt[]>;

  /**
   * Records `lost` for an attempt whose owner is gone or did not renew, and reschedules,
   * buries or cancels its job. Refused (`stale`) when the run token no longer owns the
   * job or the lease was renewed since `leaseUntil` was read. The caller has ended the
   * attempt's processes before.
   */
  reap(reaping: Reaping): Promise<Recorded>;

  /** Resolves once something could be committed, changing nothing that anybody can read. */
  probe(): Promise<void>;

  // ── settings ─────────────────────────────────────────────────────────────────────────

  /** Stored settings, as text; only those that were set. */
  settings(): Promise<Map<string, string>>;
  /** Stores one setting. `null` removes it. */
  setSetting(name: string, value: string | null): Promise<void>;

  // ── the connection ───────────────────────────────────────────────────────────────────

  /**
   * Calls `listener` within milliseconds of a commit by another process that may matter
   * to somebody who waits. A hint: it may come for nothing, several may come as one, and
   * one may be missed, so poll beneath it at least once a second. `close` ends it.
   */
  watch(listener: () => void): Watch;

  /** Grows when another connection has committed. Costs microseconds: for polling. */
  version(): Promise<number>;

  /**
   * Housekeeping, for supervisors to call about once a second: gives disk space back where
   * much of it lies idle. Answers what keeps it from that, for people, or null. Costs
   * microseconds as long as there is nothing to do.
   */
  tend(): Promise<string | null>;

  /** Releases the connection. Idempotent. */
  close(): Promise<void>;
}
