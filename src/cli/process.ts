// The real process behind `Context`. It stays on file descriptors: touching
// `process.stdout` or `process.stdin` costs 6.5 ms at start-up (node:tty and streams),
// more than everything else a short command does together.

import { fstatSync, read, readFileSync, writeSync } from 'node:fs';
import { QueuectlError, systemCode } from '../errors.ts';
import { type Context, type Input, Interrupted, type Output, ReaderGone } from './context.ts';
import { reasonOf } from './reason.ts';

let reads = 0;

/** Somebody waits for stdin: an answer that nobody may want any more, and no end to come. */
export function isReadingStdin(): boolean {
  return reads > 0;
}

export function systemContext(): Context {
  let signal: AbortSignal | undefined;
  return {
    argv: process.argv.slice(2),
    env: process.env,
    cwd: () => process.cwd(),
    homeDirectory: () => process.getBuiltinModule('node:os').userInfo().homedir,
    rawArguments,
    stdin: new DescriptorInput(0),
    stdout: new DescriptorOutput(1, 'stdout'),
    stderr: new DescriptorOutput(2, 'stderr'),
    hasReader: async () => (await import('../platform/reader.ts')).hasReader(1),
    now: () => Date.now(),
    interrupted: () => (signal = signal?.aborted === false ? signal : listen()),
  };
}

class DescriptorOutput implements Output {
  readonly #descriptor: number;
  readonly #name: 'stdout' | 'stderr';
  #isTerminal: boolean | undefined;

  constructor(descriptor: number, name: 'stdout' | 'stderr') {
    this.#descriptor = descriptor;
    this.#name = name;
  }

  write(data: string | Uint8Array): void {
    let bytes: Uint8Array = typeof data === 'string' ? new TextEncoder().encode(data) : data;
    while (bytes.length > 0) {
      try {
        bytes = bytes.subarray(writeSync(this.#descriptor, bytes));
      } catch (error) {
        const code = systemCode(error);
        // Somebody we share the pipe or terminal with made it non-blocking: it is full now.
        if (code === 'EAGAIN') pause(2);
        // A socket whose other end had not read all of it says so in its own way.
        else if (code === 'EPIPE' || code === 'ECONNRESET') throw new ReaderGone();
        else throw cannotWrite(this.#name, error);
      }
    }
  }

  get isTerminal(): boolean {
    this.#isTerminal ??= isTerminal(this.#descriptor);
    return this.#isTerminal;
  }

  get columns(): number | null {
    return this.isTerminal ? positive(process[this.#name].columns) : null;
  }

  get rows(): number | null {
    return this.isTerminal ? positive(process[this.#name].rows) : null;
  }
}

/** A terminal that does not know its size says 0, or nothing. */
function positive(n: number | undefined): number | null {
  return n !== undefined && n > 0 ? n : null;
}

class DescriptorInput implements Input {
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  get isTerminal(): boolean {
    return isTerminal(this.#descriptor);
  }

  async read(signal?: AbortSignal): Promise<Uint8Array | null> {
    if (signal !== undefined) {
      const { openTerminal, readTerminal } = await import('../platform/terminal.ts');
      const fd = openTerminal();
      if (fd !== null) return await readTerminal(fd, signal);
    }
    reads += 1;
    try {
      return await this.#read();
    } finally {
      reads -= 1;
    }
  }

  async #read(): Promise<Uint8Array | null> {
    for (;;) {
      try {
        return await readChunk(this.#descriptor);
      } catch (error) {
        if (systemCode(error) !== 'EAGAIN') {
          // Windows reports the end of a pipe as an error.
          if (systemCode(error) === 'EOF') return null;
          throw new QueuectlError('invalid', `cannot read stdin: ${reasonOf(error)}`, {
            cause: error,
          });
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }
}

/** Pipes hold 64 KiB, files give more: large enough not to count in a bulk enqueue. */
const CHUNK = 256 * 1024;

function readChunk(descriptor: number): Promise<Uint8Array | null> {
  return new Promise((resolve, reject) => {
    const buffer = new Uint8Array(CHUNK);
    read(descriptor, buffer, 0, CHUNK, null, (error, size) => {
      if (error) reject(error);
      else resolve(size === 0 ? null : buffer.subarray(0, size));
    });
  });
}

/**
 * node:tty costs 2.5 ms to load, so it is asked only about character devices that are not
 * memory devices (major 1 on Linux: /dev/null, /dev/full).
 */
function isTerminal(descriptor: number): boolean {
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isCharacterDevice()) return false;
    if (process.platform === 'linux' && stat.rdev >> 8 === 1) return false;
  } catch {
    return false;
  }
  return process.getBuiltinModule('node:tty').isatty(descriptor);
}

function listen(): AbortSignal {
  const controller = new AbortController();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const onSignal = (signal: (typeof signals)[number]): void => {
    for (const name of signals) process.removeListener(name, onSignal);
    controller.abort(new Interrupted(signal));
  };
  for (const name of signals) process.on(name, onSignal);
  return controller.signal;
}

function rawArguments(): Uint8Array | null {
  try {
    return readFileSync('/proc/self/cmdline');
  } catch {
    return null;
  }
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function cannotWrite(name: string, error: unknown): QueuectlError {
  return new QueuectlError('internal', `cannot write to ${name}: ${reasonOf(error)}`, {
    hint: 'what was asked may be done all the same: only its answer is lost',
    cause: error,
  });
}
