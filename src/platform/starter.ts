// Starting a command as its two twins see it: what bun.ts and node.ts are given, and the
// running process that both answer, whatever the runtime. Types only.

export interface CommandToStart {
  /** A path, taken from `cwd` where it is relative, or a name to be found in `env.PATH`. */
  readonly file: string;
  readonly args: readonly string[];
  /** The whole environment; an object without a prototype, so that any name is a name. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Path of the file that becomes stdin; null: end of file at once. */
  readonly stdin: string | null;
  /** What stdin reads instead, and then the end of file. */
  readonly stdinText?: string;
  /** Soft limit on open files for the command; null: ours. Never above the hard limit. */
  readonly nofile: number | null;
  /** Windows: do not quote the arguments. */
  readonly verbatim: boolean;
}

/** What a runtime gets to start: everything found and opened. */
export interface StartRequest extends CommandToStart {
  /** What is executed; `file` is what the command sees as its name. */
  readonly program: string;
  /** An open descriptor. The caller closes it. */
  readonly stdinFd: number | 'ignore';
}

export type Starter = (request: StartRequest) => Spawned;

export interface ExitStatus {
  /** null: a signal ended it. */
  readonly code: number | null;
  readonly signal: { readonly name: string; readonly number: number } | null;
}

export type StreamName = 'stdout' | 'stderr';

/** A process that runs, or has run. */
export interface Spawned {
  /** Also the number of its group and its session. */
  readonly pid: number;
  /** As /proc/<pid>/stat says it, in clock ticks since boot; '' where there is no /proc. */
  readonly startTime: string;
  /** When the process itself has ended, whoever still holds its output. Never rejects. */
  readonly exited: Promise<ExitStatus>;
  /**
   * Hands each piece of output to `write`, which must not throw, and reads on when that
   * has returned. Call once; resolves when both streams have ended or were closed.
   */
  pump(write: (stream: StreamName, bytes: Uint8Array) => void): Promise<void>;
  /** True as soon as both streams have ended, a moment before `pump` resolves. */
  outputEnded(): boolean;
  /** Stops reading, whoever still writes. Idempotent; never rejects. */
  closeOutput(): Promise<void>;
}
