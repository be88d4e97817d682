// What a command declares about itself. Parsing, --help, "did you mean" and shell
// completion all read this one description, so none of them can disagree with another.

import type { State } from '../job.ts';
import type { Io } from './io.ts';

interface FlagBase {
  readonly help: string;
  /** One letter: `-f`. */
  readonly short?: string;
}

/** `--json`. Given twice it means the same as once. */
export interface BooleanFlag extends FlagBase {
  readonly type: 'boolean';
}

/** `--id ID`: one value; given twice it is refused. */
export interface TextFlag extends FlagBase {
  readonly type: 'text';
  /** Name of the value in help and messages. Completion knows Q, FILE, DIR and PATH. */
  readonly value: string;
  readonly choices?: readonly string[];
}

/** `--tag k=v`: may be repeated. With `choices` several may also be joined by commas. */
export interface ListFlag extends FlagBase {
  readonly type: 'list';
  readonly value: string;
  readonly choices?: readonly string[];
}

export type Flag = BooleanFlag | TextFlag | ListFlag;
export type Flags = Readonly<Record<string, Flag>>;

/** What a flag yields; absent ones false, undefined or an empty list. */
type ValueOf<T extends Flag> = T extends BooleanFlag
  ? boolean
  : T extends ListFlag
    ? readonly string[]
    : string | undefined;

/** The values that a table of flags yields. */
export type Values<F extends Flags> = { readonly [K in keyof F]: ValueOf<F[K]> };

export interface Call<F extends Flags = Flags> {
  readonly flags: Values<F>;
  /** What stands before `--` and is no flag. */
  readonly operands: readonly string[];
  /** What stands after `--`, untouched; null where there is no `--`. */
  readonly rest: readonly string[] | null;
  readonly io: Io;
}

export interface Operands {
  readonly min: number;
  /** Null: any number. */
  readonly max: number | null;
  /** How messages call one; completion knows what an ID, a FILE, a key, a command is. */
  readonly name: string;
  /** Which jobs an ID may name, for completion; else those that its flag --state may name. */
  readonly jobs?: readonly State[] | 'started';
  /** What each is, where they differ. */
  readonly each?: readonly string[];
  /** All there are, for completion. */
  readonly choices?: readonly string[];
}

export interface Command<F extends Flags = Flags> {
  /** One line, without a full stop. */
  readonly summary: string;
  /** Forms of calling it, without the leading `queuectl`. */
  readonly usage: readonly string[];
  /** Paragraphs below the usage. */
  readonly about?: readonly string[];
  readonly flags: F;
  readonly operands: Operands;
  /** Whether `-- cmd args…` may follow. */
  readonly takesRest?: boolean;
  /** What wrong usage is answered with, where the exit codes are the job's; default 2. */
  readonly usageExitCode?: number;
  /** Commands to paste, each with what it does. */
  readonly examples: readonly (readonly [command: string, what: string])[];
  run(call: Call<F>): Promise<number>;
}

/** Checks a command against its own flags and forgets their names. */
export function defineCommand<const F extends Flags>(command: Command<F>): Command {
  return command;
}

export const NO_OPERANDS = { min: 0, max: 0, name: 'argument' } as const;

/** Accepted before and after every command. */
export const GLOBAL_FLAGS = {
  db: {
    type: 'text',
    value: 'PATH',
    help: 'the database (default: $QUEUECTL_DB, else $QUEUECTL_HOME/queue.db)',
  },
  json: { type: 'boolean', help: 'one JSON document on stdout, for programs' },
  quiet: { type: 'boolean', short: 'q', help: 'only what was asked for: no hints, no progress' },
  'allow-network-fs': {
    type: 'boolean',
    help: 'use a database on a network file system, which may damage it',
  },
  'no-color': { type: 'boolean', help: 'no colours (also: NO_COLOR)' },
  debug: { type: 'boolean', help: 'show where an error comes from' },
  help: { type: 'boolean', short: 'h', help: 'show help' },
  version: { type: 'boolean', help: 'show the version' },
} as const satisfies Flags;

export type GlobalValues = Values<typeof GLOBAL_FLAGS>;
