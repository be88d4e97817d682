// The processes of one simulated world: workers, put together as src/worker/process.ts does
// it, and a supervisor as far as it matters here. They are killed, stopped and replaced.

import assert from 'node:assert/strict';
import { QueuectlError } from '../../src/errors.ts';
import type { Store } from '../../src/store/store.ts';
import { Reaper } from '../../src/worker/reaper.ts';
import { Worker } from '../../src/worker/worker.ts';
import type { Killed } from '../faults/kit/history.ts';
import type { Commands } from './commands.ts';
import type { Profile } from './profile.ts';
import type { Scheduler, SimProcess } from './scheduler.ts';
import type { Storage } from './storage.ts';

/** Somebody starts another in place of one that is gone. */
const REPLACED_WITHIN_MS = 2000;

/** What a store may refuse; nothing else may end a worker. */
const REFUSALS = new Set(['full', 'busy', 'unavailable']);

export interface CrewOptions {
  readonly scheduler: Scheduler;
  readonly profile: Profile;
  readonly storage: Storage;
  readonly commands: Commands;
  readonly open: (process: SimProcess) => Promise<Store>;
}

interface Running {
  readonly worker: Worker;
  readonly key: number;
}

export class Crew {
  readonly killed: Killed[] = [];
  readonly figures = { kills: 0, pauses: 0 };
  /** What no process should ever have met, told in a few words. */
  readonly errors: string[] = [];
  readonly #options: CrewOptions;
  /** null: not registered yet. */
  readonly #workers = new Map<SimProcess, Running | null>();
  #supervisor: { readonly process: SimProcess; readonly reaper: Reaper } | null = null;
  /** No more processes are started in place of those that end. */
  #closing = false;

  constructor(options: CrewOptions) {
    this.#options = options;
  }

  start(): void {
    const { profile, storage } = this.#options;
    for (let n = 0; n < profile.workers; n += 1) this.#startWorker(n * 10);
    this.#startReaper(0);
    storage.strike = (process) => this.#strike(process);
  }

  /** All workers are told to stop, and none is started any more. */
  close(): void {
    this.#closing = true;
    for (const running of this.#workers.values()) running?.worker.stop();
  }

  get closed(): boolean {
    return this.#workers.size === 0;
  }

  /** The key of a worker that has registered. */
  oneKey(): number | undefined {
    return this.#options.scheduler.chance.one([...this.#workers.values()])?.key;
  }

  /** A worker or the supervisor. */
  one(): SimProcess | undefined {
    const processes = [...this.#workers.keys()];
    if (this.#supervisor !== null) processes.push(this.#supervisor.process);
    return this.#options.scheduler.chance.one(processes);
  }

  #strike(process: SimProcess): void {
    const { killedAfterTurn, stoppedAfterTurn } = this.#options.profile;
    if (this.#options.scheduler.chance.happens(killedAfterTurn)) this.kill(process);
    else if (this.#options.scheduler.chance.happens(stoppedAfterTurn)) this.pause(process);
  }

  kill(victim: SimProcess | undefined): void {
    if (victim === undefined) return;
    this.figures.kills += 1;
    victim.troubles.add('killed');
    this.killed.push({ pid: victim.identity.pid, at: this.#options.scheduler.stamp() });
    victim.die('SIGKILL');
    this.#ended(victim, 'was killed');
  }

  pause(victim: SimProcess | undefined): void {
    if (victim === undefined || victim.stopped) return;
    this.figures.pauses += 1;
    victim.stop();
    const { chance } = this.#options.scheduler;
    const lease = this.#options.profile.lease * 1000;
    const ms = chance.happens(0.4) ? chance.between(1, lease) : chance.between(lease, 4 * lease);
    this.#options.scheduler.in(ms, null, 'continues a process', () => victim.go());
  }

  #startWorker(ms: number): void {
    const process = this.#options.scheduler.spawn('worker');
    this.#workers.set(process, null);
    this.#options.scheduler.in(ms, process, 'starts', () => {
      this.#work(process)
        .then(
          () => process.die('has ended'),
          (error: unknown) => {
            const refused = error instanceof QueuectlError && REFUSALS.has(error.code);
            if (!refused) this.errors.push(`${process.name}: ${String(error)}`);
            process.die(`fails: ${String(error)}`);
          },
        )
        .then(
          () => this.#ended(process, 'ended'),
          () => undefined,
        );
    });
  }

  /** As runWorkerProcess puts a worker together. */
  async #work(process: SimProcess): Promise<void> {
    const store = this.#options.storage.of(process, await this.#options.open(process));
    const { concurrency } = this.#options.profile;
    const { key } = await store.registerWorker({
      identity: process.identity,
      supervisor: null,
      queues: null,
      concurrency,
    });
    const log = (line: string): void => this.#options.scheduler.note(process.name, `says ${line}`);
    const { env } = process;
    const worker = new Worker({
      store,
      env,
      log,
      key,
      concurrency,
      drain: false,
      createRunner: () => this.#options.commands.runner(process),
    });
    this.#workers.set(process, { worker, key });
    const closing = new AbortController();
    const reaping = this.#createReaper(process, store).run(closing.signal);
    if (this.#closing) worker.stop();
    try {
      await worker.run();
      await store.endWorker(key, 'stopped');
    } finally {
      closing.abort();
      await reaping;
    }
    assert.equal(env.sleepers.size, 0, `${process.name} has ended and waits for something`);
  }

  #createReaper(process: SimProcess, store: Store): Reaper {
    const leftovers = this.#options.commands.leftovers(process);
    return new Reaper({
      store,
      env: process.env,
      log: (line) => this.#options.scheduler.note(process.name, `says ${line}`),
      self: process.identity,
      leftovers: {
        ...leftovers,
        end: (runTokens, name, died) => {
          this.#options.storage.ending(process, runTokens);
          return leftovers.end(runTokens, name, died);
        },
      },
    });
  }

  /** A supervisor, as far as it matters here: another process that looks. */
  #startReaper(ms: number): void {
    const process = this.#options.scheduler.spawn('supervisor');
    this.#options.scheduler.in(ms, process, 'starts', () => {
      const open = async (): Promise<void> => {
        const store = this.#options.storage.of(process, await this.#options.open(process));
        const reaper = this.#createReaper(process, store);
        this.#supervisor = { process, reaper };
        await reaper.run(new AbortController().signal);
      };
      open().catch((error: unknown) => this.errors.push(String(error)));
    });
  }

  /** Its supervisor may notice at once; somebody starts another. */
  #ended(process: SimProcess, how: string): void {
    const { chance } = this.#options.scheduler;
    const delay = chance.between(0, REPLACED_WITHIN_MS);
    if (process === this.#supervisor?.process) {
      this.#supervisor = null;
      if (!this.#closing) this.#startReaper(delay);
      return;
    }
    this.#workers.delete(process);
    if (!this.#closing) this.#startWorker(delay);
    const supervisor = this.#supervisor;
    if (supervisor === null || chance.happens(0.3)) return;
    this.#options.scheduler.in(0, supervisor.process, `sees ${process.name} end`, () => {
      supervisor.reaper.recover(process.identity, how).catch((error: unknown) => {
        this.#options.scheduler.note(
          supervisor.process.name,
          `could not recover: ${String(error)}`,
        );
      });
    });
  }
}
