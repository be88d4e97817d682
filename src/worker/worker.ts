// The worker's loop: claim → run → record. Everything that happens to a worker rings one
// bell; a round of the loop then looks at what is asked of it, writes what ended and
// claims for its free slots in one transaction, and starts what it got.

import type { Settings } from '../config.ts';
import { resolveSettings } from '../config.ts';
import { type Env, pause } from '../env.ts';
import { messageOf, QueuectlError } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import type { Attention, Claimed, Ended, Store } from '../store/store.ts';
import { Alarm, Bell } from './bell.ts';
import { Leases, type Slot } from './lease.ts';
import type { Log } from './log.ts';
import { logResults } from './log-results.ts';
import type { AttemptEnd, EndCause, Runner } from './runner.ts';

/** Watches are hints: everything is looked at this often all the same. */
const POLL_MS = 1000;

/** Pause between two claims where more has become due than one of them can move. */
const PROMOTE_PAUSE_MS = 10;

/**
 * How long a result waits for company while more attempts run than have ended. A commit
 * costs more than a trivial command: with 8 slots 1 ms made 0.15 commits a job
 * of 1.4, and a third less work in all; 2 ms gained nothing more.
 */
const GATHER_MS = 1;

export interface WorkerOptions {
  readonly store: Store;
  readonly env: Env;
  readonly log: Log;
  /** The worker's key in the store, registered and not yet ready. */
  readonly key: number;
  readonly concurrency: number;
  /** End when nothing is left to run. */
  readonly drain: boolean;
  readonly createRunner: (settings: () => Settings) => Runner;
}

/** What the storage cannot recover from while we run: going on could only do harm. */
const FATAL_CODES = new Set([
  'damaged',
  'foreign',
  'replaced',
  'newer_schema',
  'foreign_owner',
  'internal',
]);

export class Worker {
  readonly #options: WorkerOptions;
  readonly #bell = new Bell();
  readonly #slots = new Map<number, Slot>();
  readonly #closing = new AbortController();
  /** Ended but not yet recorded. */
  #ended: (Ended & { readonly job: Claimed })[] = [];
  readonly #leases: Leases;
  readonly #alarm: Alarm;
  #settings: Settings;
  /** As of the last look; null: look again, whatever it is now. */
  #version: number | null = null;
  /** A claim may find something. */
  #hungry = true;
  #stopping = false;
  #interrupted = false;
  #drained = false;
  /** When the next delayed job becomes due, as of the last look. */
  #nextDue: number | null = null;
  /** Boot clock: when a graceful stop becomes an immediate one. */
  #stopBy: number | null = null;
  #failure: QueuectlError | null = null;
  #outdated: QueuectlError | null = null;
  /** What the storage refused last, while it does. */
  #trouble: string | null = null;
  #storageLost = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#settings = resolveSettings(new Map());
    const { store, env, log, key } = options;
    this.#leases = new Leases({
      store,
      env,
      log,
      worker: key,
      lease: () => this.#settings.lease,
      running: this.#slots,
      ended: () => this.#ended.map(({ attempt }) => attempt),
      onFailure: (error) => this.#storageFailed(error),
    });
    this.#alarm = new Alarm(env, () => {
      // Here and not in the next round only: that may be waiting for the write lock.
      this.#watchClocks();
      this.#bell.ring();
    });
  }

  /**
   * Works until it is told to stop or, with `drain`, until nothing is left. Resolves when
   * all attempts have ended and are recorded; rejects when the storage is lost for good,
   * after ending what ran.
   */
  async run(): Promise<void> {
    const { store, key } = this.#options;
    const runner = this.#options.createRunner(() => this.#settings);
    const watch = store.watch(() => this.#bell.ring());
    const background: Promise<void>[] = [];
    try {
      // First the settings: the lease says how often to renew.
      await this.#look();
      background.push(this.#pollLoop(), this.#leases.keep(this.#closing.signal));
      await store.workerReady(key);
      this.#bell.ring();
      while (!this.#isDone()) {
        await this.#bell.wait();
        await this.#round(runner);
      }
      if (this.#failure !== null) throw this.#failure;
    } finally {
      this.#closing.abort();
      this.#alarm.clear();
      watch.close();
      await Promise.all(background);
    }
  }

  /** Claims nothing more and lets the attempts finish. */
  stop(): void {
    if (!this.#stopping) this.#options.log('stopping: claims nothing more');
    this.#stopping = true;
    this.#bell.ring();
  }

  /** Ends the attempts and gives their jobs back. */
  stopNow(): void {
    this.stop();
    if (this.#interrupted) return;
    this.#interrupted = true;
    this.#endAll('interrupted');
  }

  /** Why it stopped by itself, all that it had recorded: a newer queuectl took over. */
  get outdated(): QueuectlError | null {
    return this.#outdated;
  }

  /** Ms that attempts may take to finish after a signal. */
  get grace(): number {
    return this.#settings.grace;
  }

  #isDone(): boolean {
    if (this.#slots.size > 0) return false;
    if (this.#storageLost) return true;
    return this.#ended.length === 0 && (this.#stopping || this.#drained);
  }

  async #round(runner: Runner): Promise<void> {
    if (this.#storageLost) return;
    try {
      await this.#look();
      this.#watchClocks();
      // Under load others are about to end: one commit for them all (see GATHER_MS).
      if (this.#ended.length > 0 && this.#slots.size > this.#ended.length) {
        await pause(this.#options.env, GATHER_MS, this.#closing.signal);
      }
      const free = this.#stopping ? 0 : this.#options.concurrency - this.#slots.size;
      if (this.#ended.length > 0 || (free > 0 && this.#hungry)) await this.#turn(runner, free);
    } catch (error) {
      this.#storageFailed(error);
    }
  }

  /** Reads what is asked of this worker, if anybody has committed since the last look. */
  async #look(): Promise<void> {
    const { store, key } = this.#options;
    const version = await store.version();
    // Whether anything is left is asked for when nothing runs here any more.
    const drained = this.#options.drain && this.#isIdle();
    if (version === this.#version && !drained) return;
    const attention = await store.attend(key);
    this.#settings = resolveSettings(await store.settings());
    // Only now: had one of the reads failed, the next round must look again.
    this.#version = version;
    this.#obey(attention);
  }

  #obey(attention: Attention): void {
    if (attention.ready) this.#hungry = true;
    this.#nextDue = attention.nextDue;
    for (const runToken of attention.cancelRequested) {
      this.#slots.get(runToken)?.attempt.end('cancelled');
    }
    if (!attention.registered) {
      // Its processes end here and now, so their jobs need not wait for a reaper.
      this.#fail(
        new QueuectlError('unavailable', 'this worker was declared dead while it lived', {
          hint: 'its attempts may have been given to other workers; they are ended here',
        }),
      );
      return;
    }
    if (attention.outdated !== null && this.#outdated === null) {
      this.#outdated = attention.outdated;
      this.#options.log(`${attention.outdated.message}; it finishes what it has and ends`);
      this.stop();
    }
    if (attention.stop === 'now') this.stopNow();
    if (attention.stop === 'graceful') {
      this.stop();
      this.#stopBy = attention.stopBy;
    }
    if (this.#options.drain && this.#isIdle() && !attention.unfinished) this.#drained = true;
  }

  #isIdle(): boolean {
    return this.#slots.size === 0 && this.#ended.length === 0;
  }

  async #turn(runner: Runner, free: number): Promise<void> {
    const { store, env, key } = this.#options;
    const { backoff, lease } = this.#settings;
    // A copy: while the write waits for its lock more may end, and that is for the next one.
    const ended = [...this.#ended];
    const begun = env.boot();
    this.#leases.given(lease);
    const turn = { worker: key, ended, backoff, slots: free, lease };
    const { recorded, claimed, nextDue } = await store.turn(turn);
    this.#ended = this.#ended.slice(ended.length);
    if (this.#trouble !== null) this.#options.log('the storage takes writes again');
    this.#trouble = null;
    logResults(this.#options.log, ended, recorded);
    this.#hungry = claimed.length === free && free > 0;
    this.#nextDue = nextDue;
    let ours = claimed;
    let sure = begun;
    for (let job = ours[0]; job !== undefined; job = ours[0]) {
      if (env.boot() - sure < lease) {
        this.#start(runner, job);
        ours = ours.slice(1);
      } else {
        sure = env.boot();
        ours = await this.#confirm(ours);
      }
    }
    this.#watchClocks();
    // Due, and still not claimed: it was not its turn to be moved yet, or is not for us.
    const more = nextDue !== null && nextDue <= env.now() && claimed.length < free;
    if (more) this.#alarm.set(PROMOTE_PAUSE_MS);
  }

  /** Those of them that are still ours. */
  async #confirm(claimed: readonly Claimed[]): Promise<readonly Claimed[]> {
    try {
      return await this.#leases.confirm(claimed);
    } catch (error) {
      for (const job of claimed) this.#giveBack(job);
      throw error;
    }
  }

  #start(runner: Runner, job: Claimed): void {
    // Told to stop while the claim was under way.
    if (this.#stopping) return this.#giveBack(job);
    const slot: Slot = { job, attempt: runner.start(job), ours: true };
    this.#slots.set(job.runToken, slot);
    slot.attempt.ended.then(
      (end) => this.#attemptEnded(slot, end),
      (error: unknown) => {
        // A runner never rejects. If it does, its processes may still be there: the lease
        // runs out, and who reaps it looks for them first.
        slot.ours = false;
        this.#attemptEnded(slot, { outcome: { kind: 'lost' }, logBytes: null });
        this.#options.log(`${job.id}: the runner failed: ${messageOf(error)}`, {
          level: 'error',
          job: job.id,
          attempt: job.number,
        });
      },
    );
  }

  #attemptEnded({ job, ours }: Slot, end: AttemptEnd): void {
    failpoint('after-exit');
    this.#slots.delete(job.runToken);
    this.#hungry = true;
    // A lost lease is not ours to write about any more (guarantee 4).
    if (ours) this.#record(job, end);
    else this.#bell.ring();
  }

  /** A job that was claimed and not started. */
  #giveBack(job: Claimed): void {
    this.#record(job, { outcome: { kind: 'interrupted' }, logBytes: null });
  }

  /** With the next turn. */
  #record(job: Claimed, end: AttemptEnd): void {
    const random = this.#options.env.random();
    this.#ended.push({ attempt: job, ...end, random, job });
    this.#bell.ring();
  }

  #endAll(cause: EndCause): void {
    for (const { attempt } of this.#slots.values()) attempt.end(cause);
  }

  /** What was refused is tried again with the next poll; a lost database ends the worker. */
  #storageFailed(error: unknown): void {
    const failure =
      error instanceof QueuectlError
        ? error
        : new QueuectlError('internal', messageOf(error), { cause: error });
    if (FATAL_CODES.has(failure.code)) {
      this.#storageLost = true;
      this.#fail(failure);
    } else if (failure.message !== this.#trouble) {
      // Once, not with every try: the log may be on the disk that is full.
      this.#trouble = failure.message;
      this.#options.log(`${failure.message}; trying again`, { level: 'warn' });
    }
  }

  #fail(error: QueuectlError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#stopping = true;
    this.#endAll('lost');
    this.#bell.ring();
  }

  /** Looks at everything once a second, whether or not somebody seems to have committed. */
  async #pollLoop(): Promise<void> {
    while (await pause(this.#options.env, POLL_MS, this.#closing.signal)) {
      // The version does not tell what our own connection has written: the reaper's work.
      this.#version = null;
      this.#bell.ring();
    }
  }

  /**
   * Hungry once the next job is due; stops once the bound of a stop is reached. A timer only
   * within the current poll interval: every poll looks at the clocks again, so one that
   * jumps is noticed within a second, and a long wait outlasts no timer.
   */
  #watchClocks(): void {
    const { env } = this.#options;
    this.#alarm.clear();
    const waits: number[] = [];
    if (this.#nextDue !== null) {
      const wait = this.#nextDue - env.now();
      if (wait <= 0) this.#hungry = true;
      else waits.push(wait);
    }
    if (this.#stopBy !== null && !this.#interrupted) {
      const wait = this.#stopBy - env.boot();
      if (wait <= 0) this.stopNow();
      else waits.push(wait);
    }
    const next = Math.min(...waits);
    if (next <= POLL_MS) this.#alarm.set(next);
  }
}
