// Reading a job's log, once or as it grows, from attempt to attempt. Invariant: what a job
// wrote is shown completely and in order: its state is looked at first and its log read
// afterwards, so a job that is seen finished has nothing more to say.

import { type Env, pause } from '../env.ts';
import { type Attempt, isTerminal, type Job } from '../job.ts';
import type { PathWatch } from '../platform/watch.ts';
import type { Queue } from '../queue.ts';
import type { LogChunk, LogPosition } from '../worker/log-reader.ts';
import { TIME_STEP_MS } from '../worker/log-writer.ts';
import type { LogStore } from '../worker/output.ts';
import { ReaderGone } from './context.ts';
import type { LogSink } from './log-sink.ts';
import { lastLines } from './log-tail.ts';

export interface FollowOptions {
  /** As it was when asked. */
  readonly job: Job;
  readonly sink: LogSink;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Only the last so many of what there is; null: all. */
  readonly lines: number | null;
  /** Only what came at this instant or later, ms since 1970; absent: all. */
  readonly since?: number | null;
  /** Only this one; null: the newest, and those after it. */
  readonly attempt: number | null;
  /**
   * An attempt has ended that was not the last, and all of it is shown. `job` null where the
   * next one has begun already.
   */
  readonly onRetry: (ended: Attempt, job: Job | null) => void;
  /** Whether somebody still reads what is shown. */
  readonly hasReader: () => Promise<boolean>;
}

/** Watches are hints: everything is looked at this often all the same. */
const POLL_MS = 1000;
/** Where no watch is to be had: seldom enough for a machine that has run out of them. */
const BLIND_POLL_MS = 200;
/** So long a log is shown without a look at anything else: no longer than Ctrl-C may take. */
const BREATH_MS = 50;

/** What there is, of the one attempt: `shown`, null where there was none yet. */
export function readOnce(logs: LogStore, options: FollowOptions, shown: Attempt | null): void {
  const reader = new Reader(logs, options);
  for (const _ of reader.show(options.attempt ?? options.job.lastAttempt));
  reader.finish(shown);
  options.sink.end();
}

/** Shows what a job prints, and goes on where it was when it is asked to again. */
export class Follower {
  readonly #logs: LogStore;
  readonly #queue: Queue;
  readonly #env: Env;
  readonly #options: FollowOptions;
  readonly #reader: Reader;
  #job: Job;
  /** The attempt being shown. */
  #current: number;
  /** The last attempt whose end was told. */
  #told = 0;

  constructor(logs: LogStore, queue: Queue, env: Env, options: FollowOptions) {
    this.#logs = logs;
    this.#queue = queue;
    this.#env = env;
    this.#options = options;
    this.#reader = new Reader(logs, options);
    this.#job = options.job;
    this.#current = options.attempt ?? Math.max(options.job.lastAttempt, 1);
  }

  /**
   * Resolves with the job once it, or the attempt asked for, is finished and all of it is
   * shown. Rejects when `signal` aborts, and with ReaderGone when the reader has left,
   * although the job says nothing. The caller ends the sink.
   */
  async follow(signal: AbortSignal): Promise<Job> {
    const env = this.#env;
    let version = -1;
    let grown = true;
    let ring = new AbortController();
    const commits = this.#queue.store.watch(() => ring.abort());
    const onGrowth = (): void => {
      grown = true;
      ring.abort();
    };
    let growth: PathWatch | null = null;
    let watched = Number.NEGATIVE_INFINITY;
    try {
      for (;;) {
        signal.throwIfAborted();
        if (env.boot() - watched >= POLL_MS) {
          if (!(await this.#options.hasReader())) throw new ReaderGone();
          growth?.close();
          growth = this.#logs.watch(this.#job.key, env, onGrowth);
          watched = env.boot();
          grown = true;
        }
        // Before the look: what comes during it must not be waited for.
        ring = new AbortController();
        // Taken before the job is read: a commit in between is seen the next time.
        const latest = await this.#queue.store.version();
        const before = this.#job;
        if (latest !== version) this.#job = await this.#queue.get(before.id);
        version = latest;
        // Most commits are about other jobs: its log is read where it may say something new.
        if (grown || !isSame(before, this.#job)) {
          grown = false;
          await this.#show(signal);
        }
        if (isOver(this.#job, this.#options.attempt)) {
          this.#reader.finish(this.#job.last);
          return this.#job;
        }
        const wait = growth === null ? BLIND_POLL_MS : POLL_MS;
        await env.sleep(wait, AbortSignal.any([ring.signal, signal])).catch(() => {
          // Rung, or aborted: said at the top of the loop, with its reason.
        });
      }
    } finally {
      growth?.close();
      commits.close();
    }
  }

  async #show(signal: AbortSignal): Promise<void> {
    const job = this.#job;
    const { lastAttempt, last } = job;
    if (lastAttempt >= this.#current) await this.#read(signal);
    if (this.#options.attempt !== null) return;
    while (this.#current < lastAttempt) {
      await this.#tellPast(job, this.#current);
      this.#current++;
      await this.#read(signal);
    }
    const waits = last !== null && last.finishedAt !== null && !isTerminal(job.state);
    if (waits) this.#tell(last, job);
  }

  /** A job may print faster than anybody reads: signals are heard all the same. */
  async #read(signal: AbortSignal): Promise<void> {
    let began = this.#env.boot();
    for (const _ of this.#reader.show(this.#current)) {
      if (this.#env.boot() - began < BREATH_MS) continue;
      await pause(this.#env, 0, signal);
      signal.throwIfAborted();
      began = this.#env.boot();
    }
  }

  /** Of an attempt whose successor began before its end was seen. */
  async #tellPast(job: Job, number: number): Promise<void> {
    if (this.#told >= number) return;
    const attempts = await this.#queue.history(job);
    const ended = attempts.find((attempt) => attempt.number === number);
    if (ended !== undefined) this.#tell(ended, null);
  }

  #tell(ended: Attempt, job: Job | null): void {
    if (this.#told >= ended.number) return;
    this.#told = ended.number;
    // A line that it left open is not continued by the next attempt.
    this.#options.sink.end();
    this.#options.onRetry(ended, job);
  }
}

function isSame(a: Job, b: Job): boolean {
  return (
    a.state === b.state &&
    a.lastAttempt === b.lastAttempt &&
    a.last?.finishedAt === b.last?.finishedAt
  );
}

function isOver(job: Job, attempt: number | null): boolean {
  if (isTerminal(job.state)) return true;
  if (attempt === null || attempt > job.lastAttempt) return false;
  return attempt < job.lastAttempt || job.last?.finishedAt !== null;
}

/** Passes on what is new each time. */
class Reader {
  readonly #logs: LogStore;
  readonly #options: FollowOptions;
  #attempt: number | null = null;
  #position: LogPosition | undefined;
  #broken = false;

  constructor(logs: LogStore, options: FollowOptions) {
    this.#logs = logs;
    this.#options = options;
  }

  /** What is new of the attempt, a piece with each step. May be left off between two. */
  *show(attempt: number): Generator<void, void> {
    const isFirst = this.#attempt === null;
    if (attempt !== this.#attempt) {
      this.#position = undefined;
      this.#broken = false;
    }
    this.#attempt = attempt;
    const { lines, job } = this.#options;
    const chunks = this.#wanted(this.#logs.read(job.key, attempt, this.#position));
    // Only what was there when it began is shortened.
    const shown = isFirst && lines !== null ? lastLines(chunks, lines) : chunks;
    for (const chunk of shown) {
      this.#show(chunk, attempt);
      yield;
    }
  }

  /** Says so where the attempt is known to have written more than its log holds. */
  finish(shown: Attempt | null): void {
    if (shown === null || shown.finishedAt === null || shown.number !== this.#attempt) return;
    const missing = (shown.logBytes ?? 0) - (this.#position?.offset ?? 0);
    if (missing > 0 && !this.#broken) this.#options.sink.gap(missing, shown.number, true);
  }

  *#wanted(chunks: Iterable<LogChunk>): Generator<LogChunk, void> {
    const { stdout, stderr } = this.#options;
    for (const chunk of chunks) {
      this.#position = chunk.next;
      this.#broken = chunk.next.refused;
      if (this.#isTooOld(chunk)) continue;
      if (chunk.kind !== 'output' || (chunk.stream === 'stdout' ? stdout : stderr)) yield chunk;
    }
  }

  #isTooOld(chunk: LogChunk): boolean {
    const since = this.#options.since ?? null;
    // Times are kept to a tenth of a second; rather a little more than a line too few.
    return since !== null && chunk.kind === 'output' && chunk.time <= since - TIME_STEP_MS;
  }

  #show(chunk: LogChunk, attempt: number): void {
    const { sink } = this.#options;
    if (chunk.kind === 'output') sink.output(chunk.stream, chunk.bytes, attempt);
    else sink.gap(chunk.bytes, attempt, chunk.kind === 'broken');
  }
}
