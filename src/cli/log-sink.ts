// Where the output of jobs goes: as bytes, escaped for a terminal, by line behind the
// job's id, or as JSON. Invariant: without a terminal not a byte is added, taken away or
// changed, so what is missing is told on stderr.

import type { StreamName } from '../platform/starter.ts';
import { grouped } from '../invalid.ts';
import type { Io } from './io.ts';
import { JsonArray } from './json-array.ts';
import { visible, visibleOutput } from './text.ts';

export interface LogSink {
  output(stream: StreamName, bytes: Uint8Array, attempt: number): void;
  /**
   * Something is missing here: beyond the cap, or `refused` by the disk. `bytes` null where
   * nobody knows how much, which a cap never leaves open.
   */
  gap(bytes: number | null, attempt: number, refused?: boolean): void;
  /** Nothing more comes. */
  end(): void;
}

export interface SinkOptions {
  readonly id: string;
  readonly io: Io;
  readonly raw: boolean;
  /** Width of the longest id where there are several, else null. */
  readonly prefix: number | null;
  /** Shared by all jobs; null without --json. */
  readonly json: JsonLog | null;
}

export function createSink(options: SinkOptions): LogSink {
  if (options.json !== null) return new JsonSink(options.id, options.json);
  return options.prefix === null
    ? new PlainSink(options)
    : new PrefixedSink(options, options.prefix);
}

/** Bytes → what may be shown: unchanged, or escaped on a terminal. Never splits a character. */
class Showing {
  readonly #escapes: boolean;
  readonly #decoders = new Map<StreamName, TextDecoder>();

  constructor({ io, raw }: SinkOptions) {
    this.#escapes = io.context.stdout.isTerminal && !raw;
  }

  show(stream: StreamName, bytes: Uint8Array): Uint8Array | string {
    if (!this.#escapes) return bytes;
    let decoder = this.#decoders.get(stream);
    if (decoder === undefined) this.#decoders.set(stream, (decoder = new TextDecoder()));
    return visibleOutput(decoder.decode(bytes, { stream: true }));
  }

  /** What was left of a character that never ended. */
  rest(): string {
    return [...this.#decoders.values()].map((decoder) => visibleOutput(decoder.decode())).join('');
  }
}

const NEWLINE = 10;

class PlainSink implements LogSink {
  readonly #options: SinkOptions;
  readonly #showing: Showing;
  #atLineStart = true;

  constructor(options: SinkOptions) {
    this.#options = options;
    this.#showing = new Showing(options);
  }

  output(stream: StreamName, bytes: Uint8Array): void {
    const shown = this.#showing.show(stream, bytes);
    if (shown.length === 0) return;
    this.#options.io.context.stdout.write(shown);
    this.#atLineStart = bytes.at(-1) === NEWLINE;
  }

  gap(bytes: number | null, _attempt: number, refused?: boolean): void {
    this.#endLine();
    tellGap(this.#options, bytes, refused);
  }

  end(): void {
    const rest = this.#showing.rest();
    if (rest !== '') this.#options.io.context.stdout.write(rest);
    this.#endLine();
  }

  /** On a terminal a prompt, or a message, begins on a line of its own. */
  #endLine(): void {
    const { stdout } = this.#options.io.context;
    if (!this.#atLineStart && stdout.isTerminal) stdout.write('\n');
    this.#atLineStart = true;
  }
}

/** A longer line is shown in pieces rather than held. */
const LONGEST_LINE = 64 * 1024;

class PrefixedSink implements LogSink {
  readonly #options: SinkOptions;
  readonly #showing: Showing;
  readonly #prefix: Uint8Array;
  readonly #lines = new Map<StreamName, Uint8Array[]>();

  constructor(options: SinkOptions, width: number) {
    this.#options = options;
    this.#showing = new Showing(options);
    const { style } = options.io;
    const padding = ' '.repeat(Math.max(0, width - options.id.length));
    const prefix = `${style.dim(`${visible(options.id)}${padding} |`)} `;
    this.#prefix = new TextEncoder().encode(prefix);
  }

  output(stream: StreamName, bytes: Uint8Array): void {
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, from)) {
      this.#add(stream, bytes.subarray(from, at));
      this.#flush(stream);
      from = at + 1;
    }
    if (from < bytes.length) this.#add(stream, bytes.subarray(from));
  }

  gap(bytes: number | null, _attempt: number, refused?: boolean): void {
    tellGap(this.#options, bytes, refused);
  }

  end(): void {
    for (const stream of this.#lines.keys()) this.#flush(stream);
  }

  #add(stream: StreamName, part: Uint8Array): void {
    const parts = this.#lines.get(stream) ?? [];
    parts.push(part);
    this.#lines.set(stream, parts);
    if (parts.reduce((sum, { length }) => sum + length, 0) > LONGEST_LINE) this.#flush(stream);
  }

  #flush(stream: StreamName): void {
    const parts = this.#lines.get(stream);
    if (parts === undefined) return;
    this.#lines.delete(stream);
    const shown = this.#showing.show(stream, Buffer.concat(parts));
    const line = typeof shown === 'string' ? new TextEncoder().encode(shown) : shown;
    // In one write, so that lines of several jobs never mix.
    this.#options.io.context.stdout.write(Buffer.concat([this.#prefix, line, Buffer.from('\n')]));
  }
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
      known = { from: { attempt, stream }, decoder: new TextDecoder() };
      this.#decoders.set(key, known);
    }
    this.#add(known.from, known.decoder.decode(bytes, { stream: true }));
  }

  #add(from: From, text: string): void {
    if (text !== '') this.#log.add({ id: this.#id, ...from, text });
  }

  gap(bytes: number | null, attempt: number): void {
    this.#log.add({ id: this.#id, attempt, missing_bytes: bytes });
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
