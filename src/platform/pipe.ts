// A real pipe for one output of a command, under Bun. Guards guarantee 11: every byte, in
// order, in flat memory, and no descriptor outlives its pipe.
//
// It is read in one of two ways. A stream has the runtime watch the pipe, which costs more
// than a trivial command otherwise does. So at first the pipe is only looked into now and
// then, without waiting, and a command that has ended by then never needs the stream.

import { closeSync } from 'node:fs';
import type { ReadableStreamDefaultReader } from 'node:stream/web';
import type { Libc } from './libc.ts';

/** fcntl.h, the same on x64 and arm64. */
const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;
const F_SETFL = 4;

/** What a pipe holds on Linux unless somebody enlarges it. */
const PIPE_BYTES = 64 * 1024;
/** One that is filled as fast as we empty it must not keep us here. */
const READS_AT_ONCE = 16;

/** Shared by all pipes: whoever is given bytes is done with them when it returns. */
const buffer = new Uint8Array(PIPE_BYTES);
const ends = new Int32Array(2);

export class Pipe {
  readonly #libc: Libc;
  #readEnd: number | null;
  #writeEnd: number | null;
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #streaming: Promise<void> | null = null;

  /** Throws EMFILE: the only error pipe2(2) has for us, be the limit ours or the system's. */
  constructor(libc: Libc) {
    if (libc.pipe2(ends, O_CLOEXEC) !== 0) throw outOfDescriptors();
    const [readEnd = -1, writeEnd = -1] = ends;
    this.#libc = libc;
    this.#readEnd = readEnd;
    this.#writeEnd = writeEnd;
    // This end only: a command does not expect that of its own.
    libc.fcntl(readEnd, F_SETFL, O_NONBLOCK);
  }

  /** The descriptor to give to a child. */
  get writeEnd(): number {
    return this.#writeEnd ?? -1;
  }

  /** To be called when the child has its copy: there is no end of file while we have one. */
  closeWriteEnd(): void {
    if (this.#writeEnd !== null) closeSync(this.#writeEnd);
    this.#writeEnd = null;
  }

  /** True until the end of the file was read or the pipe closed. */
  get isOpen(): boolean {
    return this.#readEnd !== null || this.#reader !== null;
  }

  /** Hands over what is there now, without waiting. Answers whether there was anything. */
  look(write: (bytes: Uint8Array) => void): boolean {
    for (let reads = 0; reads < READS_AT_ONCE; reads += 1) {
      if (this.#readEnd === null) return reads > 0;
      const length = this.#libc.read(this.#readEnd, buffer, PIPE_BYTES);
      // Nothing there, or an error: that the stream will meet as well.
      if (length < 0) return reads > 0;
      if (length === 0) this.#closeReadEnd();
      else write(buffer.subarray(0, length));
    }
    return true;
  }

  /**
   * Waits for output and hands it over until the end or `close`. Once this was called,
   * `write` is that of the first call. Throws EMFILE, to be tried again.
   */
  stream(write: (bytes: Uint8Array) => void): Promise<void> {
    if (this.#streaming !== null) return this.#streaming;
    if (this.#readEnd === null) return Promise.resolve();
    const reader = Bun.file(this.#readEnd).stream().getReader();
    // The reader has a duplicate of its own, which it closes when it ends or is cancelled.
    this.#closeReadEnd();
    this.#reader = reader;
    this.#streaming = this.#readOn(reader, write);
    return this.#streaming;
  }

  async #readOn(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    write: (bytes: Uint8Array) => void,
  ): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        write(value);
      }
    } catch {
      // What cannot be read any more has ended.
    }
    this.#reader = null;
  }

  /** Reads no more, whoever still writes. Idempotent; never rejects. */
  async close(): Promise<void> {
    this.closeWriteEnd();
    this.#closeReadEnd();
    try {
      // A pending read resolves as done.
      await this.#reader?.cancel();
    } catch {
      // It had ended with an error already.
    }
  }

  #closeReadEnd(): void {
    if (this.#readEnd !== null) closeSync(this.#readEnd);
    this.#readEnd = null;
  }
}

/** As the system would say it, where errno cannot be asked. */
export function outOfDescriptors(): Error {
  return Object.assign(new Error('too many open files'), { code: 'EMFILE' });
}
