// The supervisor: starts N workers, replaces one that dies, passes a stop on, and ends
// when they have all ended as asked. It holds no state that matters: if it is killed its
// workers go on, and `worker stop` reaches them through the database.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { type Env, pause } from '../env.ts';
import { EXIT_CODE_OF, messageOf, QueuectlError } from '../errors.ts';
import { identityOf, type ProcessIdentity } from '../platform/identity.ts';
import type { Store } from '../store/store.ts';
import { Bell } from './bell.ts';
import type { Log } from './log.ts';
import type { Reaper } from './reaper.ts';

/** The second death in a row waits this long, the next one twice as long, and so on. */
const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 60_000;
/** A worker that lived this long did not die of how it was started. */
const HEALTHY_MS = 60_000;
/**
 * Looks for a stop in the database this often. It watches for no commits: workers do that
 * themselves, and under load it cost a fifth of the CPU that the worker took.
 */
const POLL_MS = 1000;

const STORAGE_DAMAGED = EXIT_CODE_OF.damaged;
const NOT_RECORDED = EXIT_CODE_OF.unavailable;

export interface SupervisorOptions {
  readonly store: Store;
  readonly env: Env;
  readonly log: Log;
  readonly key: number;
  readonly count: number;
  readonly reaper: Reaper;
  readonly startWorker: () => ChildProcess;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #bell = new Bell();
  readonly #closing = new AbortController();
  readonly #children = new Set<ChildProcess>();
  #stopping = false;
  /** Why none is started any more, as an exit code; 0: because it was asked to. */
  #exitCode = 0;
  #storageLost = false;
  /** What keeps the storage from giving disk space back. */
  #trouble: string | null = null;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Resolves with the exit code when no worker is left and none is to be started. */
  async run(): Promise<number> {
    const { count } = this.#options;
    const reaping = this.#options.reaper.run(this.#closing.signal);
    const polling = this.#poll();
    const places = Array.from({ length: count }, () => this.#keepOneAlive());
    try {
      const done = Promise.all(places);
      let finished = false;
      const finish = (): void => {
        finished = true;
        this.#bell.ring();
      };
      done.then(finish, finish);
      while (!finished) {
        await this.#bell.wait();
        await this.#look();
      }
      await done;
      return this.#exitCode;
    } finally {
      this.#closing.abort();
      await Promise.all([reaping, polling]);
    }
  }

  /** Starts no more workers and tells those there are; called again it is meant more urgently. */
  stop(signal: NodeJS.Signals): void {
    this.#stopping = true;
    for (const child of this.#children) child.kill(signal);
    this.#bell.ring();
  }

  async #poll(): Promise<void> {
    while (await pause(this.#options.env, POLL_MS, this.#closing.signal)) this.#bell.ring();
  }

  /** Was a stop asked for in the database? Its workers read it there themselves. */
  async #look(): Promise<void> {
    const { store, key, log } = this.#options;
    try {
      await store.version();
      const supervisors = await store.supervisors();
      const asked = supervisors.find((supervisor) => supervisor.key === key)?.stop ?? null;
      if (asked !== null) {
        if (!this.#stopping) log('stopping: starts no more workers');
        this.#stopping = true;
      }
      await this.#tend();
    } catch (error) {
      const lost = isLost(error);
      if (lost && this.#storageLost) return;
      log(`could not look for a stop request: ${messageOf(error)}`, { level: 'warn' });
      if (!lost) return;
      // Our workers find the same and end; others would make a new queue in its place. One
      // that is idle may go on for long before it reads what is damaged.
      this.#storageLost = true;
      this.#exitCode = STORAGE_DAMAGED;
      this.stop('SIGTERM');
    }
  }

  /**
   * Here and not in a worker: it may take a while, and nothing here waits for anything.
   * Told once, however long it lasts.
   */
  async #tend(): Promise<void> {
    const trouble = await this.#options.store.tend().catch((error: unknown) => {
      if (isLost(error)) throw error;
      return messageOf(error);
    });
    if ((trouble === null) !== (this.#trouble === null)) {
      this.#options.log(trouble ?? 'the database takes no more disk space than it needs again', {
        level: trouble === null ? 'info' : 'warn',
      });
    }
    this.#trouble = trouble;
  }

  /** One of the N places: a worker, and its successor when it dies. */
  async #keepOneAlive(): Promise<void> {
    const { env, log } = this.#options;
    let deaths = 0;
    while (!this.#stopping) {
      const begun = env.boot();
      const { how, asked } = await this.#runOne();
      if (asked || this.#stopping) return;
      deaths = env.boot() - begun < HEALTHY_MS ? deaths + 1 : 1;
      // At once the first time: most deaths are accidents. Then ever more slowly.
      const delay = deaths === 1 ? 0 : FIRST_DELAY_MS * 2 ** (deaths - 2);
      const wait = Math.min(delay, LONGEST_DELAY_MS);
      const when = wait === 0 ? 'at once' : `in ${wait / 1000}s`;
      log(`a worker ${how}; starting another ${when}`, { level: 'warn' });
      if (wait > 0) await this.#sleepUnlessStopped(wait);
    }
  }

  /** Starts a worker and waits for its end. `asked`: it ended because it was told to. */
  async #runOne(): Promise<{ how: string; asked: boolean }> {
    const { log, startWorker } = this.#options;
    let child: ChildProcess;
    try {
      child = startWorker();
    } catch (error) {
      return { how: `could not be started: ${messageOf(error)}`, asked: false };
    }
    // Now: when it has died nobody can say any more when it was started.
    const identity = child.pid === undefined ? null : identityOf(child.pid);
    this.#children.add(child);
    let how: string;
    try {
      await once(child, 'exit');
      const { exitCode: code, signalCode: signal } = child;
      if (code === 0) return { how: 'ended', asked: true };
      if (code === STORAGE_DAMAGED) {
        // Another one would find the same (guarantee 12); its own last line says what.
        log('a worker found the storage damaged or of a newer version; starting no more', {
          level: 'error',
        });
        this.#exitCode = STORAGE_DAMAGED;
        this.#stopping = true;
      }
      how = code === null ? `was killed by ${String(signal)}` : `died with exit code ${code}`;
    } catch (error) {
      how = `could not be started: ${messageOf(error)}`;
    } finally {
      this.#children.delete(child);
    }
    const recovered = identity === null || (await this.#recover(identity, how));
    // Whoever asked for the stop is told that something is still to be done (guarantee 8).
    if (this.#stopping && !recovered && this.#exitCode === 0) this.#exitCode = NOT_RECORDED;
    return { how, asked: false };
  }

  /** False where it did not work: other workers notice too, and so does our own next look. */
  async #recover(identity: ProcessIdentity, how: string): Promise<boolean> {
    const { log, reaper } = this.#options;
    try {
      return await reaper.recover(identity, how);
    } catch (error) {
      log(`could not recover the attempts of a worker: ${messageOf(error)}`, { level: 'warn' });
      return false;
    }
  }

  async #sleepUnlessStopped(ms: number): Promise<void> {
    const { env } = this.#options;
    const end = env.boot() + ms;
    while (!this.#stopping && env.boot() < end) {
      const step = Math.min(POLL_MS, end - env.boot());
      if (!(await pause(env, step, this.#closing.signal))) return;
    }
  }
}

function isLost(error: unknown): boolean {
  return error instanceof QueuectlError && EXIT_CODE_OF[error.code] === STORAGE_DAMAGED;
}
