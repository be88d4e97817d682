// Opening a database to look at it and leave it as it was found: `doctor` and its export.
// Invariant (guarantee 12): not a byte of the database or of its WAL changes, whoever else
// has it open or not; what SQLite makes beside it to read goes again, but for a -shm.

import { accessSync, constants, lstatSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { QueuectlError, systemCode } from '../../errors.ts';
import { explain } from './explain.ts';

/** A reader waits only for the moment in which somebody recovers the WAL or closes last. */
const BUSY_TIMEOUT_MS = 5000;

export interface LookOptions {
  /** Read what can be read, where SQLite would rather read nothing. */
  readonly damaged?: boolean;
}

/** The file must be there and not be empty: SQLite deletes the WAL beside an empty one. */
export function openToLook(path: string, options: LookOptions = {}): DatabaseSync {
  mustBeReadable(path);
  if (sizeOf(`${path}-wal`) > 0) {
    mustBeReadable(`${path}-wal`);
    try {
      // The last connection to close moves the WAL into the file; one that may only read cannot.
      return opened(path, true, options);
    } catch (error) {
      if (explain(error, path).code === 'damaged' || sizeOf(`${path}-shm`) > 0) throw error;
      const message = `${path} cannot be looked into here: SQLite needs to make ${path}-shm`;
      throw new QueuectlError('read_only', message, {
        hint: `copy it and its -wal to a directory that can be written, then: queuectl --db COPY doctor`,
        cause: error,
      });
    }
  }
  try {
    // To open it for writing, though nothing is written. Who may not would leave a -wal.
    accessSync(path, constants.W_OK);
    // With no WAL to move, one that may write takes its own empty -wal and -shm away again.
    // What a foreign program's journal would roll back stays where it is.
    return opened(path, sizeOf(`${path}-journal`) > 0, options);
  } catch (error) {
    if (explain(error, path).code === 'damaged') throw error;
    // A read-only or full disk: nobody can write there, so nothing changes while we read.
    const url = pathToFileURL(path);
    url.searchParams.set('immutable', '1');
    return opened(url, true, options);
  }
}

function opened(path: string | URL, readOnly: boolean, { damaged }: LookOptions): DatabaseSync {
  const db = new DatabaseSync(path, {
    readOnly,
    timeout: BUSY_TIMEOUT_MS,
    ...(damaged === true && { defensive: false }),
  });
  try {
    // With it SQLite also opens a file that is shorter than its header says.
    if (damaged === true) db.exec('PRAGMA writable_schema = ON');
    // In a damaged page a cell may seem to reach beyond it, into whatever memory is there.
    db.exec('PRAGMA query_only = ON; PRAGMA cell_size_check = ON');
    // Only a statement opens the file.
    db.prepare('PRAGMA schema_version').get();
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function mustBeReadable(path: string): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    if (systemCode(error) !== 'EACCES') throw error;
    throw unreadable(path, error);
  }
}

export function unreadable(path: string, cause: unknown): QueuectlError {
  return new QueuectlError('unavailable', `${path} cannot be read: permission denied`, {
    hint: 'run queuectl as its owner',
    cause,
  });
}

/** 0 where there is none. */
function sizeOf(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
