// Where the output of jobs goes: as bytes, to stdout or to the stream that the job wrote
// to, escaped for a terminal, by line behind the job's id, or as JSON. Invariant: without a
// terminal not a byte is added, taken away or changed, so what is missing is told on stderr.

import type { StreamName } from '../platform/starter.ts';
import { grouped } from '../invalid.ts';
import type { Output } from './context.ts';
import type { Io } from './io.ts';
import { JsonArray } from './json-array.ts';
import type { Style } from './style.ts';
import { visible, visibleOutput } from './text.ts';

export interface LogSink {
  output(stream: StreamName, bytes: Uint8Array, attempt: number): void;
  /**
   * Something is missing here: beyond the cap, or `refused` by the disk. `bytes` null where
   * nobody knows how much, which a cap never leaves open.
   */
  gap(bytes: number | null, attempt: number, refused?: boolean): void;
  /** Somebody else is about to write to our terminal. */
  pause(): void;
  /** Nothing more comes of this attempt. */
  end(): void;
}

export interface SinkOptions {
  readonly id: string;
  readonly io: Io;
  readonly raw: boolean;
  /** Each stream of the job to its own; default: both to stdout. */
  readonly separate?: boolean;
  /** Shared by all jobs; null where there is one. */
  readonly several: Several | null;
  /** Shared by all jobs; null without --json. */
  readonly json: JsonLog | null;
}

export function createSink(options: SinkOptions): LogSink {
  if (options.json !== null) return new JsonSink(options.id, options.json);
  return options.several === null
    ? new PlainSink(options)
    : new PrefixedSink(options, options.several);
}

/** Bytes → what may be shown: unchanged, or escaped on a terminal. Never splits a character. */
class Showing {
  readonly #escapes: boolean;
  readonly #decoders = new Map<StreamName, TextDecoder>();

  constructor(output: Output, raw: boolean) {
    this.#escapes = output.isTerminal && !raw;
  }

  show(stream: StreamName, bytes: Uint8Array): Uint8Array | string {
    if (!this.#escapes) return bytes;
    let decoder = this.#decoders.get(stream);
    if (decoder === undefined)
      this.#decoders.set(stream, (decoder = new TextDecoder('utf-8', { ignoreBOM: true })));
    return visibleOutput(decoder.decode(bytes, { stream: true }));
  }

  /** What was left of a character that never ended. */
  rest(): string {
    return [...this.#decoders.values()].map((decoder) => visibleOutput(decoder.decode())).join('');
  }
}

const NEWLINE = 10;

/** Where the cursor of a terminal stands. Both our streams may be the same one. */
interface Cursor {
  atLineStart: boolean;
}

/** One of our streams, and how what a job wrote is shown there. */
class Outlet {
  readonly #output: Output;
  readonly #showing: Showing;
  readonly #cursor: Cursor;

  constructor(output: Output, raw: boolean, cursor: Cursor) {
    this.#output = output;
    this.#showing = new Showing(output, raw);
    this.#cursor = cursor;
  }

  write(stream: StreamName, bytes: Uint8Array): void {
    const shown = this.#showing.show(stream, bytes);
    if (shown.length === 0) return;
    this.#output.write(shown);
    if (this.#output.isTerminal) this.#cursor.atLineStart = bytes.at(-1) === NEWLINE;
  }

  /** What was left of a character that never ended. */
  end(): void {
    const rest = this.#showing.rest();
    if (rest === '') return;
    this.#output.write(rest);
    this.#cursor.atLineStart = false;
  }
}

class PlainSink implements LogSink {
  readonly #options: SinkOptions;
  readonly #outlets: Readonly<Record<StreamName, Outlet>>;
  readonly #cursor: Cursor = { atLineStart: true };

  constructor(options: SinkOptions) {
    this.#options = options;
    const { stdout, stderr } = options.io.context;
    const first = new Outlet(stdout, options.raw, this.#cursor);
    const second =
      options.separate === true ? new Outlet(stderr, options.raw, this.#cursor) : first;
    this.#outlets = { stdout: first, stderr: second };
  }

  output(stream: StreamName, bytes: Uint8Array): void {
    this.#outlets[stream].write(stream, bytes);
  }

  gap(bytes: number | null, _attempt: number, refused?: boolean): void {
    this.pause();
    tellGap(this.#options, bytes, refused);
  }

  /** On a terminal a prompt, or a message, begins on a line of its own. */
  pause(): void {
    if (this.#cursor.atLineStart) return;
    this.#cursor.atLineStart = true;
    const { stdout, stderr } = this.#options.io.context;
    (stdout.isTerminal ? stdout : stderr).write('\n');
  }

  end(): void {
    this.#outlets.stdout.end();
    if (this.#outlets.stderr !== this.#outlets.stdout) this.#outlets.stderr.end();
    this.pause();
  }
}

/** A longer line is shown in pieces rather than held. */
const LONGEST_LINE = 64 * 1024;

/** What a stream of a job has said of a line and is not shown yet. */
interface Line {
  parts: Uint8Array[];
  size: number;
}

/** Several jobs on one output, each line behind the id of its job. */
export class Several {
  readonly #output: Output;
  readonly #ids: readonly string[];
  readonly #width: number;
  /** Whose line stands there in part: nobody else may add to it. */
  #open: Line | null = null;

  constructor(ids: readonly string[], io: Io) {
    this.#output = io.context.stdout;
    this.#ids = ids;
    this.#width = Math.max(...ids.map(({ length }) => length));
  }

  prefix(id: string, style: Style): string {
    const label = `${visible(id).padEnd(this.#width)} |`;
    return `${style.label(this.#ids.indexOf(id), label)} `;
  }

  /** In one write, so that nothing of other processes comes between prefix and line. */
  write(line: Line, prefix: string, text: Uint8Array | string, ends: boolean): void {
    const before = this.#open === null ? prefix : this.#open === line ? '' : `\n${prefix}`;
    this.#open = ends ? null : line;
    const parts = [before, text, ends ? '\n' : ''];
    this.#output.write(
      Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part))),
    );
  }

  pause(): void {
    if (this.#open === null || !this.#output.isTerminal) return;
    this.#output.write('\n');
    this.#open = null;
  }

  isOpen(line: Line): boolean {
    return this.#open === line;
  }
}

class PrefixedSink implements LogSink {
  readonly #options: SinkOptions;
  readonly #several: Several;
  readonly #escapes: boolean;
  readonly #prefix: string;
  readonly #lines: Readonly<Record<StreamName, Line>> = {
    stdout: { parts: [], size: 0 },
    stderr: { parts: [], size: 0 },
  };

  constructor(options: SinkOptions, several: Several) {
    this.#options = options;
    this.#several = several;
    const { stdout } = options.io.context;
    this.#escapes = stdout.isTerminal && !options.raw;
    this.#prefix = several.prefix(options.id, options.io.style);
  }

  output(stream: StreamName, bytes: Uint8Array): void {
    const line = this.#lines[stream];
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, from)) {
      this.#add(line, bytes.subarray(from, at));
      this.#show(line, true);
      from = at + 1;
    }
    this.#add(line, bytes.subarray(from));
    if (line.size > LONGEST_LINE) this.#show(line, false);
  }

  gap(bytes: number | null, _attempt: number, refused?: boolean): void {
    this.pause();
    tellGap(this.#options, bytes, refused);
  }

  pause(): void {
    this.#several.pause();
  }

  end(): void {
    for (const line of Object.values(this.#lines)) {
      if (line.size > 0 || this.#several.isOpen(line)) this.#show(line, true);
    }
  }

  #add(line: Line, part: Uint8Array): void {
    if (part.length === 0) return;
    line.parts.push(part);
    line.size += part.length;
  }

  #show(line: Line, ends: boolean): void {
    const held = Buffer.concat(line.parts);
    // Others may write before the rest of a character comes.
    const whole = ends ? held.length : held.length - unfinished(held);
    line.parts = [];
    line.size = 0;
    this.#add(line, held.subarray(whole));
    this.#several.write(line, this.#prefix, this.#shown(held.subarray(0, whole)), ends);
  }

  #shown(bytes: Uint8Array): Uint8Array | string {
    if (!this.#escapes) return bytes;
    const text = visibleOutput(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
    // What a progress bar overwrites is the line, not whose line it is.
    return text.replaceAll(/\r(?!$)/g, `\r${this.#prefix}`);
  }
}

/** Bytes at the end that may be the beginning of a character. */
function unfinished(bytes: Uint8Array): number {
  for (let n = 1; n <= 3 && n <= bytes.length; n++) {
    const byte = bytes.at(-n) ?? 0;
    // 10xxxxxx goes on with a character, 11xxxxxx begins one of so many bytes.
    if (byte >> 6 === 0b10) continue;
    const length = byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return length > n ? n : 0;
  }
  return 0;
}

/** One array for all jobs, or one document a line where they are followed. */
export class JsonLog {
  readonly #io: Io;
  readonly #array: JsonArray | null;

  constructor(io: Io, streams: boolean) {
    this.#io = io;
    this.#array = streams ? null : new JsonArray(io);
  }

  add(entry: unknown): void {
    if (this.#array === null) this.#io.printJsonLine(entry);
    else this.#array.add(entry);
  }

  end(): void {
    this.#array?.end();
  }
}

interface From {
  readonly attempt: number;
  readonly stream: StreamName;
}

class JsonSink implements LogSink {
  readonly #id: string;
  readonly #log: JsonLog;
  /** Of each stream of an attempt. */
  readonly #decoders = new Map<string, { from: From; decoder: TextDecoder }>();

  constructor(id: string, log: JsonLog) {
    this.#id = id;
    this.#log = log;
  }

  output(stream: StreamName, bytes: Uint8Array, attempt: number): void {
    const key = `${attempt} ${stream}`;
    let known = this.#decoders.get(key);
    if (known === undefined) {
      known = { from: { attempt, stream }, decoder: new TextDecoder('utf-8', { ignoreBOM: true }) };
      this.#decoders.set(key, known);
    }
    this.#add(known.from, known.decoder.decode(bytes, { stream: true }));
  }

  #add(from: From, text: string): void {
    if (text !== '') this.#log.add({ id: this.#id, ...from, text });
  }

  gap(bytes: number | null, attempt: number, refused = bytes === null): void {
    const reason = refused ? 'refused_or_removed' : 'log_max_bytes';
    this.#log.add({ id: this.#id, attempt, missing_bytes: bytes, reason });
  }

  pause(): void {
    // Only whole documents are written.
  }

  /** The array is ended once for all jobs; here only characters that never ended. */
  end(): void {
    for (const { from, decoder } of this.#decoders.values()) this.#add(from, decoder.decode());
    this.#decoders.clear();
  }
}

function tellGap({ id, io }: SinkOptions, bytes: number | null, refused = bytes === null): void {
  const of = visible(id);
  if (bytes !== null && !refused) {
    io.warn(`${grouped(bytes)} bytes of ${of} were not kept here: see log_max_bytes`);
    return;
  }
  const what = bytes === null ? 'what came here' : `${grouped(bytes)} bytes here`;
  io.warn(`the log of ${of} is incomplete: its disk refused ${what}, or it was removed`);
}
