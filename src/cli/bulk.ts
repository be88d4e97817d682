// Many jobs from a file or stdin, one JSON object a line. Invariant: all of the input is
// stored in one transaction or none of it; with --stream, each batch is, in order, and
// only what is stored is acknowledged.

import type { Enqueued } from '../store/store.ts';
import type { NewJob } from '../job.ts';
import { JobReader } from '../ndjson.ts';
import type { Queue } from '../queue.ts';
import { QueuectlError } from '../errors.ts';
import { openInput } from './files.ts';
import type { Io } from './io.ts';
import { jobJson, wellFormedJson } from './json.ts';
import { jobContext } from './job-input.ts';
import { withQueue } from './open.ts';
import { Progress } from './progress.ts';
import { hintUnserved } from './serving.ts';
import { count, visible } from './text.ts';

export interface BulkFlags {
  readonly 'if-absent': boolean;
  readonly 'skip-invalid': boolean;
  readonly stream: boolean;
  readonly wait: boolean;
}

interface Source {
  /** Bytes; null where nobody knows. */
  readonly size: number | null;
  readonly chunks: AsyncIterable<Uint8Array>;
}

export async function enqueueMany(path: string, flags: BulkFlags, io: Io): Promise<number> {
  const source = path === '-' ? stdinOf(io) : await openInput(path);
  return flags.stream
    ? await enqueueStream(source, flags, io)
    : await enqueueAll(source, flags, io);
}

function stdinOf(io: Io): Source {
  const { stdin } = io.context;
  if (stdin.isTerminal) io.note('reading jobs, one JSON object a line; Ctrl-D ends the input');
  return { size: null, chunks: untilEnd(() => stdin.read()) };
}

async function* untilEnd(read: () => Promise<Uint8Array | null>): AsyncGenerator<Uint8Array> {
  for (let chunk = await read(); chunk !== null; chunk = await read()) yield chunk;
}

async function enqueueAll(source: Source, flags: BulkFlags, io: Io): Promise<number> {
  const skipped = new Skipped(io);
  const reader = new JobReader(jobContext(io.context, false), {
    sameIds: flags['if-absent'],
    ...(flags['skip-invalid'] && { onInvalid: (error) => skipped.add(error) }),
  });
  const progress = new Progress(io);
  const jobs: NewJob[] = [];
  try {
    let read = 0;
    for await (const chunk of source.chunks) {
      append(jobs, reader.push(chunk));
      read += chunk.length;
      if (source.size === null) progress.update('Reading', jobs.length, null, 'jobs');
      else progress.update('Reading', read, Math.max(read, source.size), 'bytes');
    }
    append(jobs, reader.end());
  } finally {
    progress.clear();
  }
  skipped.summarize();
  return await withQueue(io, async ({ queue }) => {
    let stored: Enqueued[];
    try {
      stored = await queue.enqueue(jobs, {
        ifAbsent: flags['if-absent'],
        onProgress: (written) => progress.update('Storing', written, jobs.length, 'jobs'),
      });
    } catch (error) {
      throw located(error, (id) => reader.lineOf(id));
    } finally {
      progress.clear();
    }
    const signal = flags.wait ? io.context.interrupted() : null;
    if (!(flags.wait && io.json)) await answer(stored, skipped.n, queue, io);
    await hintUnserved(queue, new Set(jobs.map((job) => job.queue)), io);
    if (signal === null) return 0;
    const { orOursFailed, waitFor } = await import('./waiting.ts');
    return await orOursFailed(io, () =>
      waitFor(
        queue,
        stored.map(({ id }) => id),
        { signal },
        io,
      ),
    );
  });
}

/** With the line, where it is about the id that one has given. */
function located(error: unknown, lineOf: (id: string) => number | undefined): unknown {
  if (!(error instanceof QueuectlError) || error.subject === undefined) return error;
  const { code, message, hint, subject } = error;
  const line = lineOf(subject);
  if (line === undefined) return error;
  const details = { subject, cause: error, ...(hint !== undefined && { hint }) };
  return new QueuectlError(code, `line ${line}: ${message}`, details);
}

/** Not push(...more): a chunk can hold more jobs than a call may have arguments. */
function append<T>(list: T[], more: readonly T[]): void {
  for (const item of more) list.push(item);
}

async function answer(
  stored: readonly Enqueued[],
  skipped: number,
  queue: Queue,
  io: Io,
): Promise<void> {
  if (io.json) {
    const { JsonArray } = await import('./json-array.ts');
    const array = new JsonArray(io);
    for (const { id } of stored) array.add(jobJson(await queue.get(id)));
    array.end();
    return;
  }
  if (io.quiet) {
    if (stored.length > 0) io.print(stored.map(({ id }) => id).join('\n'));
    return;
  }
  const created = stored.filter((one) => one.created).length;
  const there = stored.length - created;
  const parts = [`Enqueued ${count(created, 'job')}`];
  if (there > 0) parts.push(`${count(there, 'was', 'were')} there already`);
  if (skipped > 0) parts.push(`skipped ${count(skipped, 'bad line')}`);
  io.print(parts.join(', '));
  if (stored.length === 0 && skipped === 0) io.note('note: the input was empty');
}

/** Bad lines that were left out: the first ones are told, all are counted. */
class Skipped {
  static readonly #TOLD = 20;
  readonly #io: Io;
  n = 0;

  constructor(io: Io) {
    this.#io = io;
  }

  add(error: QueuectlError): void {
    this.n++;
    if (this.n <= Skipped.#TOLD) this.#io.warn(`skipped ${visible(error.message)}`);
  }

  summarize(): void {
    const more = this.n - Skipped.#TOLD;
    if (more > 0) this.#io.warn(`skipped ${count(more, 'more bad line')}`);
  }
}

const BATCH_JOBS = 1000;
const BATCH_MS = 100;

/** For input without an end: whatever has come is stored after 1,000 jobs or 100 ms. */
async function enqueueStream(source: Source, flags: BulkFlags, io: Io): Promise<number> {
  const skipped = new Skipped(io);
  const reader = new JobReader(jobContext(io.context, false), {
    sameIds: true,
    ...(flags['skip-invalid'] && { onInvalid: (error) => skipped.add(error) }),
  });
  return await withQueue(io, async ({ queue }) => {
    let waiting: NewJob[] = [];
    /** By id, the last line of those waiting that has it: an earlier one could be stored. */
    let lines = new Map<string, number>();
    let hinted = false;
    const add = (jobs: readonly NewJob[]): void => {
      append(waiting, jobs);
      for (const { id } of jobs) lines.set(id, reader.line);
    };
    const flush = async (): Promise<void> => {
      const [batch, lineOf] = [waiting, lines];
      waiting = [];
      lines = new Map();
      if (batch.length === 0) return;
      let stored: Enqueued[];
      try {
        stored = await queue.enqueue(batch, { ifAbsent: flags['if-absent'] });
      } catch (error) {
        throw located(error, (id) => lineOf.get(id));
      }
      await acknowledge(stored, queue, io);
      if (!hinted) await hintUnserved(queue, [batch[0]?.queue ?? 'default'], io);
      hinted = true;
    };
    try {
      const input = source.chunks[Symbol.asyncIterator]();
      // Only when all lines are judged. A read that waits when a batch fails is given up by
      // main.ts: it could last until somebody writes again.
      let next: ReturnType<typeof input.next> | null = null;
      let deadline = Number.POSITIVE_INFINITY;
      for (;;) {
        next ??= input.next();
        const result = await before(deadline - io.now(), next);
        if (result === null) {
          await flush();
          deadline = Number.POSITIVE_INFINITY;
          continue;
        }
        if (result.done === true) break;
        next = null;
        // Line by line, so that what stands before a bad line is kept.
        for (const line of linesOf(result.value)) {
          add(reader.push(line));
          if (waiting.length >= BATCH_JOBS) await flush();
        }
        if (waiting.length === 0) deadline = Number.POSITIVE_INFINITY;
        else deadline = Math.min(deadline, io.now() + BATCH_MS);
      }
      add(reader.end());
    } finally {
      // Also when a bad line ends it: the lines before it were fine.
      await flush();
      skipped.summarize();
    }
    return 0;
  });
}

async function acknowledge(stored: readonly Enqueued[], queue: Queue, io: Io): Promise<void> {
  const lines: string[] = [];
  for (const { id, state, created } of stored) {
    if (io.json) lines.push(wellFormedJson(jobJson(await queue.get(id))));
    else if (io.quiet) lines.push(id);
    else lines.push(created ? `Enqueued ${id} (${state})` : `${id} is there already (${state})`);
  }
  io.print(lines.join('\n'));
}

function* linesOf(chunk: Uint8Array): Generator<Uint8Array> {
  let from = 0;
  for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
    yield chunk.subarray(from, at + 1);
    from = at + 1;
  }
  if (from < chunk.length) yield chunk.subarray(from);
}

/** What the promise answers, or null if it has not within `ms`. */
async function before<T>(ms: number, promise: Promise<T>): Promise<T | null> {
  if (ms === Number.POSITIVE_INFINITY) return await promise;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, Math.max(ms, 0), null);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
