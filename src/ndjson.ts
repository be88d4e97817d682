// Bulk input: bytes → lines → jobs, one JSON object a line. A line is judged by its own
// number, wherever the chunks end; nothing is held beyond one line, so a line without an
// end is refused instead of filling the memory.

import { QueuectlError } from './errors.ts';
import { grouped, invalid, shown } from './invalid.ts';
import type { NewJob } from './job.ts';
import { parseJson } from './json.ts';
import { type JobContext, isRecord, parseJob } from './spec.ts';

/**
 * No valid job is longer: its texts hold at most 1.5 MB, and JSON writes a byte of them in
 * at most 6 characters (`\u001b`), with tags, directory and file names on top.
 */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** How much is decoded at a time; bounds the memory, and a string, when a chunk is huge. */
const SLICE_BYTES = 1024 * 1024;

const NEWLINE = 10;

export interface Line {
  /** 1 for the first. */
  readonly number: number;
  /** Without its line end and byte order mark; null where it cannot be read. */
  readonly text: string | null;
  /** Why it cannot be read. */
  readonly problem: QueuectlError | null;
}

/** Cuts bytes, in chunks as they come, into lines. Keeps a copy of what is unfinished only. */
export class LineSplitter {
  // The mark is taken off by hand: files with one are also concatenated.
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #tooLong = false;
  #number = 0;

  /** The lines that end in this chunk. */
  push(chunk: Uint8Array): Line[] {
    if (chunk.length <= SLICE_BYTES) return this.#push(chunk);
    const lines: Line[] = [];
    for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
      for (const line of this.#push(chunk.subarray(at, at + SLICE_BYTES))) lines.push(line);
    }
    return lines;
  }

  /** The last line, if the input did not end with a newline. */
  end(): Line[] {
    return this.#pendingBytes > 0 || this.#tooLong ? this.#finish(new Uint8Array()) : [];
  }

  #push(chunk: Uint8Array): Line[] {
    const last = chunk.lastIndexOf(NEWLINE);
    if (last < 0) {
      this.#keep(chunk);
      return [];
    }
    // The first newline ends what is pending, the last one what is whole in this chunk.
    const first = this.#pendingBytes > 0 || this.#tooLong ? chunk.indexOf(NEWLINE) : -1;
    const lines = first < 0 ? [] : this.#finish(chunk.subarray(0, first));
    if (last > first) this.#decode(chunk.subarray(first + 1, last), lines);
    this.#keep(chunk.subarray(last + 1));
    return lines;
  }

  /** Copies, as the caller may use its buffer again; `slice` of a Buffer would not. */
  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#tooLong) return;
    this.#pending.push(new Uint8Array(bytes));
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes <= MAX_LINE_BYTES) return;
    this.#tooLong = true;
    this.#pending = [];
  }

  #finish(rest: Uint8Array): Line[] {
    this.#keep(rest);
    const lines: Line[] = [];
    if (this.#tooLong) {
      const problem = invalid(`longer than ${grouped(MAX_LINE_BYTES)} bytes, which no job is`);
      lines.push({ number: ++this.#number, text: null, problem });
    } else {
      this.#decode(Buffer.concat(this.#pending), lines);
    }
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#tooLong = false;
    return lines;
  }

  /** Decodes whole lines at once; line by line only to find those that are not UTF-8. */
  #decode(bytes: Uint8Array, lines: Line[]): void {
    const text = this.#decoded(bytes);
    if (text !== null) {
      for (const line of text.split('\n')) {
        lines.push({ number: ++this.#number, text: trimmed(line), problem: null });
      }
      return;
    }
    for (let at = 0; at <= bytes.length;) {
      const end = bytes.indexOf(NEWLINE, at);
      const line = bytes.subarray(at, end < 0 ? bytes.length : end);
      const single = this.#decoded(line);
      lines.push({
        number: ++this.#number,
        text: single === null ? null : trimmed(single),
        problem: single === null ? notUtf8(line) : null,
      });
      at += line.length + 1;
    }
  }

  #decoded(bytes: Uint8Array): string | null {
    try {
      return this.#decoder.decode(bytes);
    } catch {
      return null;
    }
  }
}

function trimmed(line: string): string {
  const start = line.charCodeAt(0) === 0xfeff ? 1 : 0;
  return line.endsWith('\r') ? line.slice(start, -1) : line.slice(start);
}

function notUtf8(bytes: Uint8Array): QueuectlError {
  // How Windows PowerShell writes a file with `>`.
  const utf16 =
    (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  return utf16
    ? invalid(
        'the input is UTF-16, not UTF-8',
        'save it as UTF-8 (PowerShell: | Out-File -Encoding utf8)',
      )
    : invalid('not valid UTF-8');
}

export interface ReadOptions {
  /** Given: bad lines are reported to it and left out. Absent: the first one is thrown. */
  readonly onInvalid?: (error: QueuectlError, line: number) => void;
  /**
   * True: an id may come twice (`--if-absent`, or an input without an end, of which no
   * list of ids can be kept); the store then decides.
   */
  readonly sameIds?: boolean;
}

/** Reads jobs from chunks of NDJSON. Errors are `invalid` and begin with `line N: `. */
export class JobReader {
  readonly #splitter = new LineSplitter();
  readonly #context: JobContext;
  readonly #onInvalid: ReadOptions['onInvalid'];
  /** Line by id. */
  readonly #seen: Map<string, number> | null;
  #line = 0;

  constructor(context: JobContext, options: ReadOptions = {}) {
    this.#context = context;
    this.#onInvalid = options.onInvalid;
    this.#seen = options.sameIds === true ? null : new Map();
  }

  /** The jobs whose lines end in this chunk. */
  push(chunk: Uint8Array): NewJob[] {
    return this.#read(this.#splitter.push(chunk));
  }

  /** The job on a last line without newline, if there is one. */
  end(): NewJob[] {
    return this.#read(this.#splitter.end());
  }

  /** Number of the last line that was judged. */
  get line(): number {
    return this.#line;
  }

  /** The line that gave a job this id; only where none may come twice. */
  lineOf(id: string): number | undefined {
    return this.#seen?.get(id);
  }

  #read(lines: readonly Line[]): NewJob[] {
    const jobs: NewJob[] = [];
    for (const line of lines) {
      this.#line = line.number;
      try {
        const job = this.#job(line);
        if (job !== null) jobs.push(job);
      } catch (error) {
        if (!(error instanceof QueuectlError)) throw error;
        const located = invalid(`line ${line.number}: ${error.message}`, error.hint);
        if (this.#onInvalid === undefined) throw located;
        this.#onInvalid(located, line.number);
      }
    }
    return jobs;
  }

  #job({ number, text, problem }: Line): NewJob | null {
    if (text === null) throw problem ?? invalid('cannot be read');
    if (text.trim() === '') return null;
    const value = parseJson(text);
    if (!isRecord(value)) throw invalid('a job must be a JSON object', ONE_A_LINE);
    const job = parseJob(value, this.#context);
    const before = this.#seen?.get(job.id);
    if (before !== undefined) {
      const hint = `give each job its own id, or use --if-absent to keep the first`;
      throw invalid(`the id ${shown(job.id)} is taken by line ${before}`, hint);
    }
    this.#seen?.set(job.id, number);
    return job;
  }
}

const ONE_A_LINE = 'one object a line: jq -c . for objects, jq -c ".[]" for a list of them';

/** Reads all of it. Throws `invalid` at the first bad line unless `onInvalid` is given. */
export async function readJobs(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  context: JobContext,
  options?: ReadOptions,
): Promise<NewJob[]> {
  const reader = new JobReader(context, options);
  const jobs: NewJob[] = [];
  for await (const chunk of chunks) {
    for (const job of reader.push(chunk)) jobs.push(job);
  }
  for (const job of reader.end()) jobs.push(job);
  return jobs;
}
