// How SQLite's errors and the system's become ours.

import { messageOf, QueuectlError, systemCode } from '../../errors.ts';

/** The primary result code is the low byte; `code` is always ERR_SQLITE_ERROR. */
function resultCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error)) return null;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : null;
}

export function isBusy(error: unknown): boolean {
  const code = resultCode(error);
  return code === 5 || code === 6; // SQLITE_BUSY (snapshot and recovery too), SQLITE_LOCKED
}

/** A statement that does not fit the tables: no such column, a constraint it did not know. */
export function isMisfit(error: unknown): boolean {
  const code = resultCode(error);
  return code === 1 || code === 19; // SQLITE_ERROR, SQLITE_CONSTRAINT
}

/** SQLite's and the system's errors → ours; our own pass through. */
export function explain(error: unknown, path: string): QueuectlError {
  if (error instanceof QueuectlError) return error;
  const cause = error;
  switch (resultCode(error)) {
    case 8:
      return new QueuectlError('read_only', `${path} cannot be written`, {
        hint: 'check the owner and the mode of the file and its directory',
        cause,
      });
    case 10:
      // A commit whose sync failed may be found whole by whoever opens the database next.
      return new QueuectlError('unavailable', `${path}: ${messageOf(error)}`, {
        hint: 'check the disk, then ask again: what was asked may be stored or not',
        cause,
      });
    case 11:
      return new QueuectlError('damaged', `${path} is damaged: ${messageOf(error)}`, {
        hint: 'nothing was changed; keep the file and restore a backup beside it',
        cause,
      });
    case 13:
      return new QueuectlError('full', `no space left for ${path}`, {
        hint: 'free some space and try again; nothing was stored',
        cause,
      });
    case 26:
      return new QueuectlError('damaged', `${path} is not a SQLite database, or is damaged`, {
        hint: 'nothing was changed; give another path with --db, or restore a backup',
        cause,
      });
    case null:
      break;
    default:
      return new QueuectlError('unavailable', `${path}: ${messageOf(error)}`, { cause });
  }
  switch (systemCode(error)) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new QueuectlError('read_only', `${path} cannot be written: ${messageOf(error)}`, {
        hint: 'check the owner and the mode of the directory, or set QUEUECTL_HOME',
        cause,
      });
    case 'ENOSPC':
    case 'EDQUOT':
      return new QueuectlError('full', `no space left for ${path}`, {
        hint: 'free some space and try again',
        cause,
      });
    case undefined:
      return new QueuectlError('internal', messageOf(error), { cause });
    default:
      return new QueuectlError('unavailable', `${path}: ${messageOf(error)}`, { cause });
  }
}
