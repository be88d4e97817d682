// Everything that a store shows, against the model of it. What is not compared exactly is
// what the contract leaves open.

import assert from 'node:assert/strict';
import type { RunningAttempt, Store } from '../../src/store/store.ts';
import { allJobs } from './invariants.ts';
import type { Model, ModelAttempt, ModelJob } from './model.ts';
import type { Staff } from './model-workers.ts';
import { query, refusal } from './values.ts';

export class Look {
  readonly #model: Model;
  readonly #staff: Staff;
  /** The latest that the wall clock has ever shown. */
  #latest = 0;

  constructor(model: Model, staff: Staff) {
    this.#model = model;
    this.#staff = staff;
  }

  /** `histories`: every attempt of every job too, not the newest alone. */
  async everything(
    store: Store,
    now: number,
    { histories }: { readonly histories: boolean },
  ): Promise<void> {
    const { jobs } = this.#model;
    const shown = await allJobs(store);
    assert.deepEqual(
      shown.map(({ last, ...job }) => ({
        ...without(job, 'kind', 'command', 'spec', 'cwd', 'path', 'tags'),
        last: last === null ? null : without(last, 'host', 'pid'),
      })),
      jobs.map((job) => this.#jobShown(job)),
    );
    if (histories) {
      for (const { key, history } of jobs) {
        const attempts = await store.attempts(key);
        assert.deepEqual(
          attempts.map((attempt) => without(attempt, 'host', 'pid')),
          history.map((attempt) => this.#attemptShown(attempt)),
        );
      }
    }
    this.running(await store.running());
    await this.#registered(store);
    await this.#waiting(store, now);
    assert.deepEqual(await store.settings(), new Map(this.#staff.settings));
    await assert.rejects(store.list(query({ cursor: 'nobody' })), refusal('not_found', 'nobody'));
  }

  #jobShown(job: ModelJob): object {
    const last = job.history.at(-1);
    return {
      ...without(job, 'history', 'runToken', 'leaseUntil'),
      lastAttempt: job.history.length,
      last: last === undefined ? null : this.#attemptShown(last),
    };
  }

  #attemptShown({ worker, ...attempt }: ModelAttempt): object {
    return { ...attempt, worker: this.#staff.worker(worker).name };
  }

  /** What runs, oldest claim first. */
  running(shown: readonly RunningAttempt[]): void {
    const right = this.#model.in('processing').map((job) => ({
      key: job.key,
      number: job.history.length,
      runToken: job.runToken ?? 0,
      jobId: job.id,
      worker: job.history.at(-1)?.worker,
      leaseUntil: job.leaseUntil,
      cancelRequested: job.cancelRequested,
    }));
    assert.deepEqual(
      shown.map((attempt) => without(attempt, 'owner', 'workerName')),
      right.toSorted((x, y) => x.runToken - y.runToken),
    );
  }

  async #registered(store: Store): Promise<void> {
    const workers = await store.workers();
    assert.deepEqual(
      workers.map((worker) => without(worker, 'identity', 'concurrency')),
      this.#staff.workers.map((worker) => ({
        ...without(worker, 'stopBy', 'ended', 'mayClaim'),
        jobs: this.#jobsOf(worker.key).map(({ id }) => id),
      })),
    );
    const supervisors = await store.supervisors();
    assert.deepEqual(
      supervisors.map((supervisor) => without(supervisor, 'identity')),
      this.#staff.supervisors.map((supervisor) => without(supervisor, 'stopBy', 'ended')),
    );
  }

  /** Oldest claim first. */
  #jobsOf(worker: number): ModelJob[] {
    return this.#model
      .in('processing')
      .filter(({ history }) => history.at(-1)?.worker === worker)
      .toSorted((x, y) => (x.runToken ?? 0) - (y.runToken ?? 0));
  }

  async #waiting(store: Store, now: number): Promise<void> {
    const { oldestWaiting, nextDue, counts } = await store.stats();
    const waiting = this.#model.waiting(null);
    const shown = new Map(counts.map(({ queue, state, n }) => [`${queue} ${state}`, n]));
    const right = new Map<string, number>();
    for (const { queue, state } of this.#model.jobs) {
      right.set(`${queue} ${state}`, (right.get(`${queue} ${state}`) ?? 0) + 1);
    }
    assert.deepEqual(shown, right);

    // What was due before the clock went back counts as due until a claim has looked at it.
    const isOpen = (due: number): boolean => due > now && due <= this.#latest;
    if (waiting.some(({ runAt, createdAt }) => isOpen(runAt ?? createdAt))) return;
    const dues = waiting.map(({ runAt, createdAt }) => runAt ?? createdAt);
    assert.deepEqual(
      { oldestWaiting, nextDue },
      {
        oldestWaiting: earliest(dues.filter((due) => due <= now)),
        nextDue: earliest(dues.filter((due) => due > now)),
      },
    );
  }

  /** Called whenever the wall clock is about to jump. */
  clockShows(now: number): void {
    this.#latest = Math.max(this.#latest, now);
  }

  async attention(store: Store, worker: number, now: number): Promise<void> {
    const { stop, stopBy, ended, queues } = this.#staff.worker(worker);
    const told = await store.attend(worker);
    const own = this.#jobsOf(worker).filter(({ cancelRequested }) => cancelRequested);
    const waiting = this.#model.waiting(queues);
    const running = this.#model.in('processing');
    assert.deepEqual(
      told.cancelRequested.toSorted((x, y) => x - y),
      own.map(({ runToken }) => runToken),
    );
    assert.deepEqual([told.stop, told.stopBy, told.registered], [stop, stopBy, !ended]);
    const isServed = ({ queue }: ModelJob): boolean => queues === null || queues.includes(queue);
    assert.equal(told.unfinished, waiting.length > 0 || running.some(isServed));
    // A hint may come for nothing, but nobody may sleep past a job that is his to take.
    if (told.ready) return;
    assert.ok(
      waiting.every(({ runAt }) => runAt !== null && runAt > now),
      'nobody oversleeps',
    );
    this.nextDue(told.nextDue, queues);
  }

  /** What `nextDue` promises where nothing is due: it is no later than the first that will be. */
  nextDue(nextDue: number | null, queues: readonly string[] | null): void {
    const dues = this.#model.waiting(queues).map(({ runAt }) => runAt ?? 0);
    const first = earliest(dues);
    if (queues === null) assert.equal(nextDue, first, 'the next due time');
    else assert.ok(first === null || (nextDue !== null && nextDue <= first), 'nobody oversleeps');
  }
}

function earliest(times: readonly number[]): number | null {
  return times.length === 0 ? null : Math.min(...times);
}

export function without<T extends object, Name extends keyof T>(
  value: T,
  ...names: readonly Name[]
): Omit<T, Name> {
  const kept = Object.entries(value).filter(([name]) => !names.some((other) => other === name));
  return Object.fromEntries(kept) as Omit<T, Name>;
}
