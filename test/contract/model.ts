// The rules of docs/states.md, written down a second time and as plainly as possible: a list
// of jobs and what each verb makes of them. Nothing here is taken from src/ but types, so
// that a mistake there is not repeated. histories.ts holds the stores to it. What it did is
// counted, and compared with the table of transitions in the docs.

import type { BackoffPolicy } from '../../src/backoff.ts';
import type { NewJob, Outcome, OutcomeKind, State, Verb } from '../../src/job.ts';
import type {
  AttemptRef,
  CancelAnswer,
  Changes,
  EditAnswer,
  Ended,
  MatchQuery,
  Reaping,
  Recorded,
  RetryAnswer,
} from '../../src/store/store.ts';
import type { Staff } from './model-workers.ts';

export interface ModelAttempt {
  readonly number: number;
  readonly runToken: number;
  /** Key of its worker. */
  readonly worker: number;
  readonly startedAt: number;
  finishedAt: number | null;
  outcome: OutcomeKind | null;
  exitCode: number | null;
  signal: string | null;
  error: string | null;
  logBytes: number | null;
}

export interface ModelJob {
  readonly id: string;
  /** Given by the store. */
  key: number;
  queue: string;
  priority: number;
  maxRetries: number;
  timeout: number | null;
  readonly createdAt: number;
  updatedAt: number;
  state: State;
  attempts: number;
  runAt: number | null;
  readonly history: ModelAttempt[];
  /** Of the attempt that owns it. */
  runToken: number | null;
  leaseUntil: number | null;
  cancelRequested: boolean;
}

/** Why a run token does not own its job. */
export type Staleness = 'deleted' | 'forged' | 'ended' | 'overtaken';

const STALE: Recorded = { stale: true };
const WAITING: readonly State[] = ['pending', 'failed'];
const FINISHED: readonly State[] = ['completed', 'dead', 'cancelled'];

export class Model {
  /** Every transition that was made, as `verb from to`, and how often. */
  readonly taken: Map<string, number>;
  readonly #staff: Staff;
  /** In order of arrival. */
  readonly #jobs = new Map<string, ModelJob>();

  constructor(staff: Staff, taken: Map<string, number>) {
    this.#staff = staff;
    this.taken = taken;
  }

  get jobs(): ModelJob[] {
    return [...this.#jobs.values()];
  }

  job(id: string): ModelJob | undefined {
    return this.#jobs.get(id);
  }

  in(...states: readonly State[]): ModelJob[] {
    return this.jobs.filter(({ state }) => states.includes(state));
  }

  waiting(queues: readonly string[] | null): ModelJob[] {
    return this.in(...WAITING).filter(({ queue }) => queues === null || queues.includes(queue));
  }

  /** The job that this attempt owns. */
  owned({ key, number, runToken }: AttemptRef): ModelJob | undefined {
    return this.in('processing').find(
      (job) => job.key === key && job.runToken === runToken && job.history.length === number,
    );
  }

  staleness({ key, number, runToken }: AttemptRef): Staleness {
    const job = this.jobs.find((candidate) => candidate.key === key);
    if (job === undefined) return 'deleted';
    if (job.history[number - 1]?.runToken !== runToken) return 'forged';
    return job.state === 'processing' ? 'overtaken' : 'ended';
  }

  #move(job: ModelJob, verb: Verb, to: State | null, now: number): void {
    this.#count(verb, job.state, to);
    if (to === null) {
      this.#jobs.delete(job.id);
    } else {
      job.state = to;
      job.updatedAt = now;
    }
  }

  #count(verb: Verb, from: State | null, to: State | null): void {
    const name = `${verb} ${from ?? '–'} ${to ?? '–'}`;
    this.taken.set(name, (this.taken.get(name) ?? 0) + 1);
  }

  /** One answer a job, or null: an id is taken, and nothing is stored. */
  enqueue(jobs: readonly NewJob[], ifAbsent: boolean, now: number): ModelAnswer[] | null {
    const fresh = new Set(jobs.map(({ id }) => id).filter((id) => !this.#jobs.has(id)));
    if (!ifAbsent && fresh.size < jobs.length) return null;
    return jobs.map((job) => {
      const known = this.#jobs.get(job.id);
      if (known !== undefined) return { job: known, created: false };
      const stored: ModelJob = {
        id: job.id,
        key: Number.NaN,
        queue: job.queue,
        priority: job.priority,
        maxRetries: job.maxRetries ?? this.#staff.maxRetries,
        timeout: job.timeout === null ? this.#staff.timeout : job.timeout || null,
        createdAt: now,
        updatedAt: now,
        state: 'pending',
        attempts: 0,
        runAt: job.delay === null ? job.runAt : now + job.delay,
        history: [],
        runToken: null,
        leaseUntil: null,
        cancelRequested: false,
      };
      this.#count('enqueue', null, 'pending');
      this.#jobs.set(job.id, stored);
      return { job: stored, created: true };
    });
  }

  /** What a worker gets that has this many slots, best first. */
  claimable(worker: number, slots: number, now: number): ModelJob[] {
    const { queues, mayClaim } = this.#staff.worker(worker);
    if (!mayClaim) return [];
    return this.waiting(queues)
      .filter(({ runAt }) => runAt === null || runAt <= now)
      .toSorted(
        (x, y) => y.priority - x.priority || dueTime(x) - dueTime(y) || (x.key < y.key ? -1 : 1),
      )
      .slice(0, slots);
  }

  claim(job: ModelJob, worker: number, runToken: number, at: ClaimTime): void {
    this.#move(job, 'claim', 'processing', at.now);
    job.attempts += 1;
    job.runToken = runToken;
    job.leaseUntil = at.leaseUntil;
    job.history.push({
      number: job.history.length + 1,
      runToken,
      worker,
      startedAt: at.now,
      finishedAt: null,
      outcome: null,
      exitCode: null,
      signal: null,
      error: null,
      logBytes: null,
    });
  }

  record(ended: Ended, backoff: BackoffPolicy, now: number): Recorded {
    const job = this.owned(ended.attempt);
    if (job === undefined) return STALE;
    return this.#end(job, ended.outcome, { ...ended, backoff, now, reason: null });
  }

  reap({ attempt, leaseUntil, backoff, random, reason }: Reaping, now: number): Recorded {
    const job = this.owned(attempt);
    if (job === undefined || job.leaseUntil !== leaseUntil) return STALE;
    return this.#end(job, { kind: 'lost' }, { logBytes: null, random, backoff, now, reason });
  }

  #end(job: ModelJob, outcome: Outcome, end: End): Recorded {
    const attempt = job.history.at(-1);
    if (attempt === undefined) throw new Error('an attempt that never began');
    attempt.finishedAt = end.now;
    attempt.outcome = outcome.kind;
    attempt.logBytes = end.logBytes;
    if (outcome.kind === 'exited' || outcome.kind === 'spawn_failed') {
      attempt.exitCode = outcome.code;
    }
    if (outcome.kind === 'signaled') attempt.signal = outcome.signal;
    if (outcome.kind === 'spawn_failed') attempt.error = outcome.error;
    if (outcome.kind === 'lost') attempt.error = end.reason;

    const [verb, state, wait] = judge(job, outcome, end);
    this.#move(job, verb, state, end.now);
    if (verb === 'release') job.attempts -= 1;
    if (wait !== null) job.runAt = end.now + wait;
    job.runToken = null;
    job.leaseUntil = null;
    job.cancelRequested = false;
    return { stale: false, state, runAt: job.runAt };
  }

  cancel(id: string, now: number): CancelAnswer {
    const job = this.#jobs.get(id);
    if (job === undefined) return 'not_found';
    if (FINISHED.includes(job.state)) return 'already_finished';
    if (job.state === 'processing') {
      job.cancelRequested = true;
      return 'cancel_requested';
    }
    this.#move(job, 'cancel', 'cancelled', now);
    return 'cancelled';
  }

  retry(id: string, now: number): RetryAnswer {
    const job = this.#jobs.get(id);
    if (job === undefined) return 'not_found';
    if (job.state !== 'dead') return 'wrong_state';
    this.#move(job, 'retry', 'pending', now);
    job.attempts = 0;
    job.runAt = now;
    return 'retried';
  }

  edit(id: string, changes: Changes, now: number): EditAnswer {
    const job = this.#jobs.get(id);
    if (job === undefined) return 'not_found';
    if (!WAITING.includes(job.state)) return 'wrong_state';
    this.#move(job, 'edit', job.state, now);
    if (changes.queue !== undefined) job.queue = changes.queue;
    if (changes.priority !== undefined) job.priority = changes.priority;
    if (changes.maxRetries !== undefined) {
      job.maxRetries = Math.max(changes.maxRetries, job.attempts);
    }
    if (changes.timeout !== undefined) job.timeout = changes.timeout;
    if (changes.runAt !== undefined) job.runAt = changes.runAt;
    return 'edited';
  }

  delete(id: string, now: number): 'deleted' | 'wrong_state' | 'not_found' {
    const job = this.#jobs.get(id);
    if (job === undefined) return 'not_found';
    if (job.state === 'processing') return 'wrong_state';
    this.#move(job, 'delete', null, now);
    return 'deleted';
  }

  match({ states, queue, since, until, unchangedSince, ...range }: MatchQuery): ModelJob[] {
    return this.jobs
      .filter(({ key }) => key > range.after && key <= range.upTo)
      .filter(({ state }) => states.length === 0 || states.includes(state))
      .filter((job) => queue === null || job.queue === queue)
      .filter(({ createdAt }) => since === null || createdAt >= since)
      .filter(({ createdAt }) => until === null || createdAt < until)
      .filter(({ updatedAt }) => unchangedSince === null || updatedAt < unchangedSince)
      .toSorted((x, y) => x.key - y.key)
      .slice(0, range.limit);
  }
}

export interface ModelAnswer {
  readonly job: ModelJob;
  readonly created: boolean;
}

export interface ClaimTime {
  readonly now: number;
  readonly leaseUntil: number;
}

interface End {
  readonly logBytes: number | null;
  readonly random: number;
  readonly backoff: BackoffPolicy;
  readonly now: number;
  readonly reason: string | null;
}

/** How the end of an attempt is judged: the verb, the state and for how long the job waits. */
function judge(
  { cancelRequested, attempts, maxRetries }: ModelJob,
  outcome: Outcome,
  { backoff, random }: End,
): [Verb, State, number | null] {
  if (cancelRequested || outcome.kind === 'cancelled') return ['cancel', 'cancelled', null];
  if (outcome.kind === 'exited' && outcome.code === 0) return ['complete', 'completed', null];
  if (outcome.kind === 'interrupted') return ['release', 'pending', null];
  if (outcome.kind === 'spawn_failed' && outcome.transient) return ['release', 'pending', 1000];
  const verb = outcome.kind === 'lost' ? 'reap' : 'fail';
  if (attempts > maxRetries) return [verb, 'dead', null];
  const wait = Math.min(backoff.base ** attempts * 1000, backoff.max);
  return [verb, 'failed', Math.ceil(wait * (1 + 0.1 * random))];
}

function dueTime({ runAt, createdAt }: ModelJob): number {
  return runAt ?? createdAt;
}
