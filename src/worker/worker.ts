// The worker's loop: claim → run → record. Everything that happens to a worker rings one
// bell; a round of the loop then looks at what is asked of it, writes what ended and
// claims for its free slots in one transaction, and starts what it got.

import type { Settings } from '../config.ts';
import { resolveSettings } from '../config.ts';
import type { Env } from '../env.ts';
import { messageOf, QueuectlError } from '../errors.ts';
import type { Attention, AttemptRef, Claimed, Ended, Store } from '../store/store.ts';
import { Bell } from './bell.ts';
import type { Log } from './log.ts';
import type { AttemptEnd, EndCause, RunningAttempt, Runner } from './runner.ts';

/** Watches are hints: everything is looked at this often all the same. */
const POLL_MS = 1000;

/** Renewals per lease: two may fail before anybody can call the lease expired. */
export const RENEWALS_PER_LEASE = 3;

/** Pause between two claims where more has become due than one of them can move. */
const PROMOTE_PAUSE_MS = 10;

/**
 * How long a result waits for company while more attempts run than have ended. A commit
 * costs more than a trivial command: with 8 slots 1 ms made 147 commits of 680 for as many
 * jobs, and a third less work in all; 2 ms gained nothing more.
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

interface Slot {
  readonly job: Claimed;
  readonly attempt: RunningAttempt;
  /** False: somebody else may own the job by now, so how it ends is not ours to write. */
  ours: boolean;
}

/** What the storage cannot recover from while we run: going on could only do harm. */
const FATAL_CODES = new Set(['damaged', 'foreign', 'newer_schema', 'foreign_owner', 'internal']);

export class Worker {
  readonly #options: WorkerOptions;
  readonly #bell = new Bell();
  readonly #slots = new Map<number, Slot>();
  readonly #closing = new AbortController();
  /** Ended but not yet recorded. Their leases are still ours and still renewed. */
  #ended: (Ended & { readonly job: Claimed })[] = [];
  #settings: Settings;
  /** As of the last look; null: look again, whatever it is now. */
  #version: number | null = null;
  /** The shortest lease given since the last renewal. */
  #shortestLease = Number.POSITIVE_INFINITY;
  /** A claim may find something. */
  #hungry = true;
  #stopping = false;
  #interrupted = false;
  #drained = false;
  /** When the next delayed job becomes due, as of the last look. */
  #nextDue: number | null = null;
  /** Boot clock: when a graceful stop becomes an immediate one. */
  #stopBy: number | null = null;
  #alarm = new AbortController();
  #failure: QueuectlError | null = null;
  #storageLost = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#settings = resolveSettings(new Map());
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
      background.push(this.#pollLoop(), this.#renewLoop());
      await store.workerReady(key);
      this.#bell.ring();
      while (!this.#isDone()) {
        await this.#bell.wait();
        await this.#round(runner);
      }
      if (this.#failure !== null) throw this.#failure;
    } finally {
      this.#closing.abort();
      this.#alarm.abort();
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
        await this.#sleep(GATHER_MS);
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
    if (version === this.#version && !this.#options.drain) return;
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
    if (attention.stop === 'now') this.stopNow();
    if (attention.stop === 'graceful') {
      this.stop();
      this.#stopBy = attention.stopBy;
    }
    const idle = this.#slots.size === 0 && this.#ended.length === 0;
    if (this.#options.drain && idle && !attention.unfinished) this.#drained = true;
  }

  async #turn(runner: Runner, free: number): Promise<void> {
    const { store, env, key } = this.#options;
    const { backoff, lease } = this.#settings;
    // A copy: while the write waits for its lock more may end, and that is for the next one.
    const ended = [...this.#ended];
    const begun = env.boot();
    this.#shortestLease = Math.min(this.#shortestLease, lease);
    const turn = { worker: key, ended, backoff, slots: free, lease };
    const { recorded, claimed, nextDue } = await store.turn(turn);
    this.#ended = this.#ended.slice(ended.length);
    for (const [index, { job, outcome }] of ended.entries()) {
      const result = recorded[index];
      if (result === undefined || result.stale) {
        this.#options.log(
          `${job.id}: attempt ${job.number} was no longer ours; its result is dropped`,
        );
      } else if (result.state !== 'completed') {
        this.#options.log(`${job.id}: attempt ${job.number} ${outcome.kind}, now ${result.state}`);
      }
    }
    this.#hungry = claimed.length === free && free > 0;
    this.#nextDue = nextDue;
    const late = env.boot() - begun >= lease;
    const lost = late && claimed.length > 0 ? await this.#renewLate(claimed) : [];
    for (const job of claimed) if (!lost.includes(job.runToken)) this.#start(runner, job);
    this.#watchClocks();
    // Due, and still not claimed: it was not its turn to be moved yet, or is not for us.
    const more = nextDue !== null && nextDue <= env.now() && claimed.length < free;
    if (more) this.#setAlarm(PROMOTE_PAUSE_MS);
  }

  /**
   * Run tokens of those that are not ours any more. A worker that was stopped (SIGSTOP)
   * between claim and start may have lost them: they would run beside another worker's.
   */
  async #renewLate(claimed: readonly Claimed[]): Promise<readonly number[]> {
    const { store, key } = this.#options;
    const { lease } = this.#settings;
    try {
      return (await store.renew({ worker: key, attempts: claimed, lease })).lost;
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
        this.#options.log(`${job.id}: the runner failed: ${messageOf(error)}`);
      },
    );
  }

  #attemptEnded({ job, ours }: Slot, end: AttemptEnd): void {
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
  #record(job: Claimed, { outcome, logBytes }: AttemptEnd): void {
    const random = this.#options.env.random();
    this.#ended.push({ attempt: job, outcome, logBytes, random, job });
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
    } else {
      this.#options.log(`${failure.message}; trying again`);
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
    while (await this.#sleep(POLL_MS)) {
      // The version does not tell what our own connection has written: the reaper's work.
      this.#version = null;
      this.#bell.ring();
    }
  }

  /** Keeps the leases alive, and learns which are not. */
  async #renewLoop(): Promise<void> {
    const { store, env, key } = this.#options;
    let renewed = env.boot();
    while (!this.#closing.signal.aborted) {
      const shortest = Math.min(this.#shortestLease, this.#settings.lease);
      const wait = renewed + shortest / RENEWALS_PER_LEASE - env.boot();
      if (wait > 0) {
        // In steps: the lease may be changed meanwhile.
        await this.#sleep(Math.min(wait, POLL_MS));
        continue;
      }
      renewed = env.boot();
      const { lease } = this.#settings;
      this.#shortestLease = lease;
      try {
        const { lost } = await store.renew({ worker: key, attempts: this.#owned(), lease });
        for (const runToken of lost) this.#loseLease(runToken);
      } catch (error) {
        this.#shortestLease = Math.min(this.#shortestLease, shortest);
        this.#storageFailed(error);
      }
    }
  }

  #owned(): AttemptRef[] {
    const running = [...this.#slots.values()].filter((slot) => slot.ours);
    return [...running.map((slot) => slot.job), ...this.#ended.map((ended) => ended.attempt)];
  }

  #loseLease(runToken: number): void {
    const slot = this.#slots.get(runToken);
    if (slot === undefined) return; // recorded between the look and the answer
    this.#options.log(`${slot.job.id}: lost the lease of attempt ${slot.job.number}; ending it`);
    slot.ours = false;
    slot.attempt.end('lost');
  }

  /**
   * Hungry once the next job is due; stops once the bound of a stop is reached. A timer only
   * within the current poll interval: every poll looks at the clocks again, so one that
   * jumps is noticed within a second, and a long wait outlasts no timer.
   */
  #watchClocks(): void {
    const { env } = this.#options;
    this.#alarm.abort();
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
    if (next <= POLL_MS) this.#setAlarm(next);
  }

  /** Rings once after `ms`, unless it is set again before. */
  #setAlarm(ms: number): void {
    this.#alarm.abort();
    this.#alarm = new AbortController();
    this.#options.env.sleep(ms, this.#alarm.signal).then(
      () => this.#bell.ring(),
      () => {
        // A later look has set another one.
      },
    );
  }

  /** False when the worker closed before the time was over. */
  async #sleep(ms: number): Promise<boolean> {
    try {
      await this.#options.env.sleep(ms, this.#closing.signal);
      return true;
    } catch {
      return false;
    }
  }
}
