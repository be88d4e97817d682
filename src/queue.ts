// What a client does with a queue: enqueue, look, wait, cancel, retry, edit, delete. The command
// line and the library are both thin over this class; it speaks to the store only.

import type { Env } from './env.ts';
import { QueuectlError } from './errors.ts';
import { type Attempt, isTerminal, type Job, type NewJob } from './job.ts';
import { isWorkerGone } from './presence.ts';
import {
  type CancelAnswer,
  type Changes,
  type DeleteAnswer,
  type EditAnswer,
  type EnqueueOptions,
  type Enqueued,
  type Filter,
  type Found,
  type Horizon,
  type ListQuery,
  type Page,
  type RetryAnswer,
  type Stats,
  type Store,
  type Story,
  type WorkerRecord,
} from './store/store.ts';

/** Watches are hints (see Store.watch): whoever waits also looks this often. */
const POLL_MS = 1000;

/**
 * Times as long as an expensive look took nobody looks again. Not the rest between batches
 * below: a look only reads, it hinders nobody and costs a core, so it rests by its share of
 * one (a fifth), and a cheap look need not rest at all.
 */
const REST = 4;
const LEAST_REST_MS = 20;

/** Jobs looked at in turn where somebody sees how far many are: some ms of reading. */
const LOOK_AHEAD = 500;

/** Jobs per transaction of a bulk operation: some 5 ms of write lock, unnoticed by workers. */
const BATCH = 500;
/**
 * Then it lets others write, as long as it has just kept them from it: whoever waits for the
 * lock knocks now and then, and would find one that is always taken again at once. That is
 * about the lock, not about cost: even a batch that was fast rests, and none for long.
 */
const REST_MIN_MS = 2;
const REST_MAX_MS = 50;

export interface WaitOptions {
  /** Resolve as soon as one of them is finished. */
  readonly any?: boolean;
  /** Ms; null waits as long as it takes. */
  readonly timeout?: number | null;
  readonly signal?: AbortSignal;
  /** Called after each look with the jobs as last seen. Looks at more of them than it has to. */
  readonly onLook?: (jobs: readonly Job[]) => void;
}

export interface BulkOptions {
  /** Called after each transaction, with the keys acted upon. */
  readonly onBatch?: (keys: readonly number[]) => void | Promise<void>;
  /** Ends it between two transactions; what was done until then is answered. */
  readonly signal?: AbortSignal;
  /** Called where the signal has ended it before all was done. */
  readonly onStop?: () => void;
  /** Act on these alone, as far as they still match; null or not given: on all that match. */
  readonly only?: Selection | null;
}

/** Jobs that matched a filter at one moment. */
export interface Selection {
  readonly keys: readonly number[];
  readonly begun: Horizon;
}

export class Queue {
  readonly store: Store;
  readonly #env: Env;

  constructor(store: Store, env: Env) {
    this.store = store;
    this.#env = env;
  }

  /** Stores all jobs or none; see Store.enqueue. */
  enqueue(jobs: readonly NewJob[], options?: EnqueueOptions): Promise<Enqueued[]> {
    return this.store.enqueue(jobs, options);
  }

  /** Rejects with `not_found`. */
  async get(id: string): Promise<Job> {
    const job = await this.store.find(id);
    if (job === null) throw notFound(id);
    return job;
  }

  /** Every attempt of the job, oldest first. */
  history(job: Job): Promise<Attempt[]> {
    return this.store.attempts(job.key);
  }

  /** The job and every attempt, as of one moment. Rejects with `not_found`. */
  async story(id: string): Promise<Story> {
    const story = await this.store.story(id);
    if (story === null) throw notFound(id);
    return story;
  }

  /** One page, in the order asked for; its last job is the `cursor` of the next query. */
  list(query: ListQuery): Promise<Page> {
    return this.store.list(query);
  }

  /** Counts and rates; it costs the same however many jobs there are. */
  stats(): Promise<Stats> {
    return this.store.stats();
  }

  /**
   * Resolves with the jobs, in order, once all (or, with `any`, one) are in a terminal
   * state; on `timeout` with the jobs as they then are. Rejects with `not_found` at once
   * for an unknown id, and when one is deleted meanwhile.
   */
  async wait(ids: readonly string[], options: WaitOptions = {}): Promise<Job[]> {
    const readAll = (): Promise<Job[]> => Promise.all(ids.map((id) => this.get(id)));
    const { any = false, onLook } = options;
    const done = (seen: readonly Job[]): boolean => {
      onLook?.(seen);
      return any ? seen.some(isFinished) : seen.every(isFinished);
    };
    if (any) return await this.until(readAll, done, options);
    let jobs = await readAll();
    let turn = 0;
    const readOn = async (): Promise<Job[]> => {
      jobs = await this.#readOn(jobs);
      if (onLook !== undefined) {
        jobs = await this.#readSome(jobs, turn);
        turn = (turn + LOOK_AHEAD) % jobs.length;
      }
      return jobs;
    };
    jobs = await this.until(readOn, done, options);
    // Out of time: those behind the first unfinished one have not been looked at for long.
    return jobs.every(isFinished) ? jobs : await readAll();
  }

  /**
   * Reads on up to the first one that is still not finished. All have to be waited for
   * anyway, and with thousands of ids each commit of a worker would cost thousands of reads.
   */
  async #readOn(jobs: readonly Job[]): Promise<Job[]> {
    const seen = [...jobs];
    for (const [index, job] of seen.entries()) {
      if (isFinished(job)) continue;
      const now = await this.get(job.id);
      seen[index] = now;
      if (!isFinished(now)) break;
    }
    return seen;
  }

  /** Looks at the unfinished ones among the next LOOK_AHEAD after `turn`, cyclically. */
  async #readSome(jobs: readonly Job[], turn: number): Promise<Job[]> {
    const seen = [...jobs];
    const end = turn + Math.min(LOOK_AHEAD, jobs.length);
    for (let place = turn; place < end; place += 1) {
      const job = seen[place % seen.length];
      if (job === undefined || isFinished(job)) continue;
      seen[place % seen.length] = await this.get(job.id);
    }
    return seen;
  }

  /**
   * Looks until `done` is true of what is seen: at once, at every hint of a commit, and
   * at least once a second. Answers the last look, also when `timeout` ran out.
   */
  async until<T>(
    look: () => Promise<T>,
    done: (seen: T) => boolean,
    options: Pick<WaitOptions, 'timeout' | 'signal'> = {},
  ): Promise<T> {
    const deadline = this.#env.boot() + (options.timeout ?? Number.POSITIVE_INFINITY);
    let ring = new AbortController();
    const watch = this.store.watch(() => ring.abort());
    try {
      for (;;) {
        options.signal?.throwIfAborted();
        ring = new AbortController();
        const began = this.#env.boot();
        const seen = await look();
        const ended = this.#env.boot();
        const left = deadline - ended;
        if (done(seen) || left <= 0) return seen;
        const woken = options.signal ? AbortSignal.any([ring.signal, options.signal]) : ring.signal;
        await this.#env.sleep(Math.min(POLL_MS, left), woken).catch(ignoreAbort);
        // A look at thousands of jobs at each of thousands of commits would take a whole core.
        const rest = (ended - began) * REST;
        if (rest < LEAST_REST_MS) continue;
        await this.#env.sleep(Math.min(rest, left), options.signal).catch(ignoreAbort);
      }
    } finally {
      watch.close();
    }
  }

  /** What waits never starts; what runs is ended by its worker, later: `wait` for that. */
  cancel(ids: readonly string[]): Promise<CancelAnswer[]> {
    return this.store.cancel(ids);
  }

  /** Dead jobs back to `pending`. */
  retry(ids: readonly string[]): Promise<RetryAnswer[]> {
    return this.store.retry(ids);
  }

  /** Changes what was asked of jobs that wait; see Store.edit. */
  edit(ids: readonly string[], changes: Changes): Promise<EditAnswer[]> {
    return this.store.edit(ids, changes);
  }

  /** Deletes jobs that do not run. Their logs stay, by the keys answered. */
  delete(ids: readonly string[]): Promise<DeleteAnswer[]> {
    return this.store.delete(ids);
  }

  /** The jobs that match now, for somebody to agree to. */
  async select(filter: Filter): Promise<Selection> {
    const all: number[] = [];
    const begun = await this.store.horizon();
    for await (const { keys } of this.#batches(filter, begun))
      for (const key of keys) all.push(key);
    return { keys: all, begun };
  }

  // Verbs by filter. Each acts once on every job that matches when it begins and still
  // matches when its turn comes; two callers at once share them.

  async cancelAll(
    filter: Filter,
    options: BulkOptions = {},
  ): Promise<{ cancelled: number; requested: number }> {
    const sum = { cancelled: 0, requested: 0 };
    await this.#act(filter, options, async (found) => {
      const { cancelled, requested } = await this.store.cancelFound(found);
      sum.cancelled += cancelled.length;
      sum.requested += requested.length;
      return [...cancelled, ...requested];
    });
    return sum;
  }

  /** Dead jobs back to `pending`. What dies again meanwhile is left alone. */
  async retryAll(filter: Filter, options: BulkOptions = {}): Promise<number> {
    return await this.#act(filter, options, (found, begun) =>
      this.store.retryFound(found, begun.runToken),
    );
  }

  async editAll(filter: Filter, changes: Changes, options: BulkOptions = {}): Promise<number> {
    return await this.#act(filter, options, (found) => this.store.editFound(found, changes));
  }

  async deleteAll(filter: Filter, options: BulkOptions = {}): Promise<number> {
    return await this.#act(filter, options, (found) => this.store.deleteFound(found));
  }

  async #act(
    filter: Filter,
    { onBatch, signal, onStop, only = null }: BulkOptions,
    act: (found: Found, begun: Horizon) => Promise<number[]>,
  ): Promise<number> {
    let n = 0;
    let rest = 0;
    const begun = only?.begun ?? (await this.store.horizon());
    const batches = only === null ? this.#batches(filter, begun) : batchesOf(only, filter);
    for await (const found of batches) {
      if (rest > 0) await this.#env.sleep(rest, signal).catch(ignoreAbort);
      if (signal?.aborted === true) {
        onStop?.();
        break;
      }
      const since = this.#env.boot();
      const acted = await act(found, begun);
      n += acted.length;
      if (acted.length > 0) await onBatch?.(acted);
      // With what goes along: a disk that takes logs away keeps others waiting, too.
      rest = Math.min(Math.max(this.#env.boot() - since, REST_MIN_MS), REST_MAX_MS);
    }
    return n;
  }

  /** All jobs that match and were there when it began, upwards. */
  async *#batches(filter: Filter, { key: upTo }: Horizon): AsyncGenerator<Found> {
    // A job that comes to match again while we loop keeps its key: the bound alone would not
    // keep us from acting on it twice, going through the keys only once upwards does.
    let after = 0;
    for (;;) {
      const keys = await this.store.match({ ...filter, after, upTo, limit: BATCH });
      if (keys.length > 0) yield { keys, filter };
      if (keys.length < BATCH) return;
      after = keys.at(-1) ?? upTo;
    }
  }

  /** Workers that live, as far as this machine can tell; see WorkerRecord. */
  async workers(): Promise<WorkerRecord[]> {
    const records = await this.store.workers();
    return records.filter((worker) => !isWorkerGone(this.store, this.#env, worker));
  }

  close(): Promise<void> {
    return this.store.close();
  }
}

function* batchesOf({ keys }: Selection, filter: Filter): Generator<Found> {
  for (let at = 0; at < keys.length; at += BATCH) {
    yield { keys: keys.slice(at, at + BATCH), filter };
  }
}

function notFound(id: string): QueuectlError {
  return new QueuectlError('not_found', `no job ${JSON.stringify(id)}`, {
    hint: 'queuectl list shows the jobs there are',
  });
}

function isFinished(job: Job): boolean {
  return isTerminal(job.state);
}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) throw error;
}
