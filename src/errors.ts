// The one error class. Its code is stable (scripts and tests rely on it), its message
// is one sentence for people, its hint says what to do. A command that fails is not an
// error here but a value: see `Outcome` in job.ts.

/**
 * Every code with the exit code that the command line answers for it (cli.md):
 * 1 internal · 2 wrong usage or invalid input · 3 not found · 4 conflict ·
 * 5 storage unavailable · 6 storage damaged or of a newer version.
 */
export const EXIT_CODE_OF = {
  internal: 1,
  /** The command line itself is wrong: an unknown command or flag, a missing argument. */
  usage: 2,
  /** A value was refused: a field, its type or its range. */
  invalid: 2,
  not_found: 3,
  id_taken: 4,
  wrong_state: 4,
  /** Another process held the write lock for longer than we are willing to wait. */
  busy: 5,
  /** The disk is full. */
  full: 5,
  /** The file system or the file refuses writes, or the directory cannot be made. */
  read_only: 5,
  /** The home or the database belongs to somebody else. */
  foreign_owner: 5,
  /** The database cannot be opened for any other reason, or workers did not start. */
  unavailable: 5,
  /** This runtime brings a SQLite with a known corruption bug. */
  unsafe_sqlite: 5,
  /** SQLite reports damage, or the file is empty. */
  damaged: 6,
  /** The file is not a queuectl database. */
  foreign: 6,
  /** The file was deleted, moved or replaced while we had it open. */
  replaced: 6,
  /** A later queuectl has migrated this database. */
  newer_schema: 6,
} as const;

export type ErrorCode = keyof typeof EXIT_CODE_OF;

export interface ErrorDetails {
  /** What the reader can do about it, an imperative sentence without "hint:". */
  readonly hint?: string;
  /** The id that it is about, where many were asked for. */
  readonly subject?: string;
  readonly cause?: unknown;
}

export class QueuectlError extends Error {
  override readonly name = 'QueuectlError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly subject: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.subject = details.subject;
  }
}

/** The `code` of a system error (`ENOENT`, `EACCES` …), or undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** What went wrong as one line of text, for anything that can be thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
