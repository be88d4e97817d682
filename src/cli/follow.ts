// Reading a job's log, once or as it grows, from attempt to attempt. Invariant: what a job
// wrote is shown completely and in order: its state is looked at first and its log read
// afterwards, so a job that is seen finished has nothing more to say.

import type { Env } from '../env.ts';
import { isTerminal, type Job } from '../job.ts';
import type { Queue } from '../queue.ts';
import type { LogChunk, LogPosition } from '../worker/log-reader.ts';
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
  /** Only this one; null: the newest, and those after it. */
  readonly attempt: number | null;
  /** A later attempt begins. */
  readonly onAttempt: (number: number) => void;
  /** Whether somebody still reads what is shown. */
  readonly hasReader: () => Promise<boolean>;
}

/** Files of a growing log are looked at so often: people take it for at once. */
const LOOK_MS = 50;
/** Every so many looks: half a second. */
const LOOKS_PER_READER_CHECK = 10;

/** What there is, of the one attempt. */
export function readOnce(logs: LogStore, options: FollowOptions): void {
  const reader = new Reader(logs, options);
  reader.read(options.attempt ?? options.job.lastAttempt);
  reader.finish(options.job);
  options.sink.end();
}

/**
 * Until the job, or the attempt asked for, is finished. Rejects when `signal` aborts, and with
 * ReaderGone when the reader has left, although the job says nothing.
 */
export async function follow(
  logs: LogStore,
  queue: Queue,
  env: Env,
  options: FollowOptions,
  signal: AbortSignal,
): Promise<void> {
  const reader = new Reader(logs, options);
  const { attempt } = options;
  let { job } = options;
  let current = attempt ?? Math.max(job.lastAttempt, 1);
  let version = -1;
  try {
    for (let looks = 1; ; looks += 1) {
      signal.throwIfAborted();
      if (looks % LOOKS_PER_READER_CHECK === 0 && !(await options.hasReader())) {
        throw new ReaderGone();
      }
      // Taken before the job is read: a commit in between is seen the next time.
      const latest = await queue.store.version();
      if (latest !== version) job = await queue.get(job.id);
      version = latest;
      if (job.lastAttempt >= current) reader.read(current);
      while (attempt === null && current < job.lastAttempt) {
        current++;
        options.onAttempt(current);
        reader.read(current);
      }
      if (isOver(job, attempt)) {
        reader.finish(job);
        return;
      }
      await env.sleep(LOOK_MS, signal).catch(() => {
        // Aborted: said at the top of the loop, with its reason.
      });
    }
  } finally {
    options.sink.end();
  }
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

  read(attempt: number): void {
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
    for (const chunk of shown) this.#show(chunk, attempt);
  }

  /** Says so where the attempt is known to have written more than its log holds. */
  finish({ last }: Job): void {
    if (last === null || last.finishedAt === null || last.number !== this.#attempt) return;
    const missing = (last.logBytes ?? 0) - (this.#position?.offset ?? 0);
    if (missing > 0 && !this.#broken) this.#options.sink.gap(missing, last.number, true);
  }

  *#wanted(chunks: Iterable<LogChunk>): Generator<LogChunk, void> {
    const { stdout, stderr } = this.#options;
    for (const chunk of chunks) {
      this.#position = chunk.next;
      this.#broken = chunk.next.refused;
      if (chunk.kind !== 'output' || (chunk.stream === 'stdout' ? stdout : stderr)) yield chunk;
    }
  }

  #show(chunk: LogChunk, attempt: number): void {
    const { sink } = this.#options;
    if (chunk.kind === 'output') sink.output(chunk.stream, chunk.bytes, attempt);
    else sink.gap(chunk.bytes, attempt, chunk.kind === 'broken');
  }
}
