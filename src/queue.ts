// What a client does with a queue: enqueue, look, wait, cancel, retry, purge. The command
// line and the library are both thin over this class; it speaks to the store only.

import type { Env } from './env.ts';
import { QueuectlError } from './errors.ts';
import { type Attempt, isTerminal, type Job, type NewJob } from './job.ts';
import { isWorkerGone } from './presence.ts';
import type {
  CancelAnswer,
  EnqueueOptions,
  Enqueued,
  ListQuery,
  Page,
  RetryAnswer,
  Stats,
  Store,
  WorkerRecord,
} from './store/store.ts';

/** Watches are hints (see Store.watch): whoever waits also looks this often. */
const POLL_MS = 1000;

/** Jobs per transaction of a bulk operation: some 10 ms of write lock, unnoticed by workers. */
const BATCH = 500;

export interface DeadFilter {
  readonly queue?: string | null;
  /** Only jobs that died before this instant, ms since 1970. */
  readonly before?: number | null;
}

export interface WaitOptions {
  /** Resolve as soon as one of them is finished. */
  readonly any?: boolean;
  /** Ms; null waits as long as it takes. */
  readonly timeout?: number | null;
  readonly signal?: AbortSignal;
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

  list(query: ListQuery): Promise<Page> {
    return this.store.list(query);
  }

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
    if (options.any === true) {
      return await this.until(readAll, (jobs) => jobs.some(isFinished), options);
    }
    let jobs = await readAll();
    const readOn = async (): Promise<Job[]> => (jobs = await this.#readOn(jobs));
    jobs = await this.until(readOn, (seen) => seen.every(isFinished), options);
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
        const seen = await look();
        const left = deadline - this.#env.boot();
        if (done(seen) || left <= 0) return seen;
        const woken = options.signal ? AbortSignal.any([ring.signal, options.signal]) : ring.signal;
        await this.#env.sleep(Math.min(POLL_MS, left), woken).catch(ignoreAbort);
      }
    } finally {
      watch.close();
    }
  }

  cancel(ids: readonly string[]): Promise<CancelAnswer[]> {
    return this.store.cancel(ids);
  }

  /** Dead jobs back to `pending`. */
  retry(ids: readonly string[]): Promise<RetryAnswer[]> {
    return this.store.retry(ids);
  }

  /**
   * Retries every job that is dead now and matches; answers how many this call moved.
   * Two callers at once share them: each job is moved once, by one of them.
   */
  async retryAllDead(filter: DeadFilter, onProgress?: (n: number) => void): Promise<number> {
    let moved = 0;
    await this.#eachDeadBatch(filter, 'retryDead', (keys) => {
      moved += keys.length;
      onProgress?.(moved);
    });
    return moved;
  }

  /** Deletes every job that is dead now and matches; hands their keys over batch by batch. */
  async purgeAllDead(
    filter: DeadFilter,
    onPurged: (keys: readonly number[]) => void | Promise<void>,
  ): Promise<number> {
    let purged = 0;
    await this.#eachDeadBatch(filter, 'purgeDead', async (keys) => {
      purged += keys.length;
      await onPurged(keys);
    });
    return purged;
  }

  async #eachDeadBatch(
    filter: DeadFilter,
    method: 'retryDead' | 'purgeDead',
    onBatch: (keys: readonly number[]) => void | Promise<void>,
  ): Promise<void> {
    const query = { queue: filter.queue ?? null, before: filter.before ?? null };
    const newest = await this.store.list({
      states: ['dead'],
      queue: query.queue,
      tags: [],
      search: null,
      sort: 'newest',
      limit: 1,
      cursor: null,
    });
    // A job that dies again while we loop keeps its key: the bound alone would not keep us
    // from acting on it twice, going through the keys only once upwards does.
    const upTo = newest.jobs[0]?.key ?? 0;
    let after = 0;
    for (;;) {
      const { keys } = await this.store[method]({ ...query, after, upTo, limit: BATCH });
      if (keys.length > 0) await onBatch(keys);
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
