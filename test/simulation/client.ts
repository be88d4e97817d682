// What people and programs ask of the queue, and what they were answered: enqueues, cancels,
// retries, changed settings, stops. An answer may be lost; then nobody knows.

import { QueuectlError } from '../../src/errors.ts';
import type { NewJob } from '../../src/job.ts';
import type { Store } from '../../src/store/store.ts';
import type { Asked } from '../faults/kit/history.ts';
import type { Profile } from './profile.ts';
import type { Scheduler } from './scheduler.ts';

/** What is certain not to have happened. */
const REFUSED = new Set(['full', 'busy', 'id_taken']);

export class Client {
  readonly asked: Asked[] = [];
  readonly #store: Store;
  readonly #scheduler: Scheduler;
  readonly #profile: Profile;
  readonly #ids: string[] = [];
  #jobs = 0;
  /** Requests without an answer yet. */
  waiting = 0;

  constructor(store: Store, scheduler: Scheduler, profile: Profile) {
    this.#store = store;
    this.#scheduler = scheduler;
    this.#profile = profile;
  }

  /** One or a few new jobs, in one call; after a lost reply they may be asked for again. */
  enqueue(count: number): void {
    const { chance } = this.#scheduler;
    const jobs = Array.from({ length: count }, () => this.#newJob());
    this.#ids.push(...jobs.map(({ id }) => id));
    this.#enqueue(jobs, chance.happens(0.5));
  }

  #enqueue(jobs: readonly NewJob[], again: boolean): void {
    const jumps = this.#profile.jumps > 0;
    const { clocks } = this.#scheduler;
    const wallAhead = clocks.wall - clocks.boot;
    const asked = jobs.map(({ id, runAt }) => ({
      verb: 'enqueue' as const,
      id,
      // On a wall clock that is set, a `run_at` is no moment of the simulation's clock.
      ...(runAt !== null && !jumps && { notBefore: runAt - wallAhead }),
    }));
    this.#ask(asked, async () => {
      await this.#store.enqueue(jobs, { ifAbsent: true });
      return jobs.map(() => null);
    }).then(
      (known) => {
        if (!known && again) this.#enqueue(jobs, true);
      },
      () => undefined,
    );
  }

  /** One of the other requests, about a random job or about everything. */
  request(): void {
    const { chance } = this.#scheduler;
    const id = chance.one(this.#ids);
    const kind = chance.one(['cancel', 'cancel', 'retry', 'enqueue', 'lease', 'backoff'] as const);
    if (kind === 'enqueue') this.enqueue(1);
    else if (kind === 'lease') this.#set('lease', `${chance.between(1, this.#profile.lease)}s`);
    else if (kind === 'backoff') this.#set('backoff_base', String(this.#profile.backoffBase + 1));
    else if (id !== undefined) this.#about(kind, id);
  }

  #about(verb: 'cancel' | 'retry', id: string): void {
    void this.#ask([{ verb, id }], () => this.#store[verb]([id]));
  }

  #set(name: string, value: string): void {
    void this.#ask([], async () => {
      await this.#store.setSetting(name, value);
      return [];
    });
  }

  /** A worker is asked to stop, through the database. */
  stop(worker: number): void {
    const { chance, clocks } = this.#scheduler;
    const mode = chance.one(['graceful', 'now'] as const);
    const stopBy = chance.happens(0.5) ? null : clocks.boot + chance.between(0, 3000);
    void this.#ask([], async () => {
      await this.#store.requestStop({ workers: [worker], supervisors: [], mode, stopBy });
      return [];
    });
  }

  /** False: it may or may not have happened. */
  async #ask(
    about: readonly Pick<Asked, 'verb' | 'id' | 'notBefore'>[],
    request: () => Promise<readonly (string | null)[]>,
  ): Promise<boolean> {
    const invokedAt = this.#scheduler.stamp();
    // Until it is answered, nobody knows.
    const places = about.map((one) => {
      const open: Asked = { ...one, invokedAt, answeredAt: null, answer: 'unknown', result: null };
      return this.asked.push(open) - 1;
    });
    const settle = (index: number, answer: Asked['answer'], result: string | null): void => {
      const place = places[index] ?? -1;
      const open = this.asked[place];
      if (open === undefined) return;
      this.asked[place] = { ...open, answeredAt: this.#scheduler.stamp(), answer, result };
    };
    this.waiting += 1;
    try {
      const results = await request();
      for (const index of places.keys()) settle(index, 'ok', results[index] ?? null);
      return true;
    } catch (error) {
      const refused = error instanceof QueuectlError && REFUSED.has(error.code);
      for (const index of places.keys()) settle(index, refused ? 'failed' : 'unknown', null);
      return refused;
    } finally {
      this.waiting -= 1;
    }
  }

  #newJob(): NewJob {
    const { chance, clocks } = this.#scheduler;
    this.#jobs += 1;
    return {
      id: `j${this.#jobs}`,
      kind: 'command',
      command: 'true',
      spec: {},
      cwd: '/',
      path: null,
      queue: chance.one(['default', 'other']),
      priority: chance.between(0, 1),
      maxRetries: chance.between(0, 2),
      timeout: null,
      runAt: chance.happens(0.2) ? clocks.wall + chance.between(0, 4000) : null,
      delay: null,
      tags: null,
    };
  }
}
