// The process as a command sees it: arguments, environment, the three streams, the clock
// and the keyboard's Ctrl-C. Handed in, so that tests run commands in memory.
// Invariant: commands touch the process through this and nothing else, and they return an
// exit code; only main.ts sets it.

export interface Context {
  /** Arguments without runtime and script. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Throws where the working directory is gone. */
  cwd(): string;
  /** What the password file says; throws where it says nothing. */
  homeDirectory(): string;
  /** The arguments as bytes, with the runtime's own, where the system tells; else null. */
  rawArguments(): Uint8Array | null;
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Whether somebody still reads stdout, as far as can be told without writing. */
  hasReader(): Promise<boolean>;
  /** Wall clock, ms since 1970. */
  now(): number;
  /**
   * From the first call on, Ctrl-C, TERM and HUP abort this signal with an `Interrupted`
   * instead of ending the process; a second one ends it, unless this was called again: then
   * it aborts the new signal.
   */
  interrupted(): AbortSignal;
}

export interface Output {
  /**
   * Writes all of it before it returns. Throws `ReaderGone` when nobody reads any more and
   * a QueuectlError for everything else that prevents it.
   */
  write(data: string | Uint8Array): void;
  readonly isTerminal: boolean;
  /** Width of the terminal in columns; null where it is none, or does not say. */
  readonly columns: number | null;
  /** Its height in lines; null likewise. */
  readonly rows: number | null;
}

export interface Input {
  readonly isTerminal: boolean;
  /**
   * The next bytes, as they come; null at the end. The array is the caller's to keep. With a
   * signal a read of a terminal can be given up: it then rejects with the signal's reason.
   */
  read(signal?: AbortSignal): Promise<Uint8Array | null>;
}

/** Whoever read our output left (`| head -1`): no error, only the end. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';
}

/** A signal asked us to end; `exitCode` is what a shell reports for it. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP';
  readonly exitCode: number;

  constructor(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP') {
    super(`interrupted by ${signal}`);
    this.signal = signal;
    this.exitCode = 128 + { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }[signal];
  }
}
