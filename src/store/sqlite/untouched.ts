// Closing a database that is damaged or not ours, so that it stays as it is (guarantee 12).
// The last connection to close a database moves its WAL into it and deletes the WAL. Nobody
// does that while another connection has it open, so one that may only read stands by.

import { linkSync, rmSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

export function closeUntouched(db: DatabaseSync, path: string): void {
  const reader = standBy(path);
  db.close();
  // It would have to lock the file for writing to do the same, which it cannot.
  reader?.close();
}

/** Null where there is nothing to move, or nothing can be done about it. */
function standBy(path: string): DatabaseSync | null {
  try {
    if (sizeOf(`${path}-wal`) === 0) return null;
    return sizeOf(path) === 0 ? readEmpty(path) : read(path);
  } catch {
    return null;
  }
}

function read(path: string): DatabaseSync {
  const reader = new DatabaseSync(path, { readOnly: true });
  try {
    // Any statement opens the WAL, also one that then fails at what is in it.
    reader.prepare('PRAGMA user_version').get();
  } catch {
    // Damaged, as was known.
  }
  return reader;
}

/**
 * SQLite takes a WAL beside an empty file for a leftover and deletes it. Under another name
 * for the same file there is none.
 */
function readEmpty(path: string): DatabaseSync {
  const name = `${path}.${process.pid}.empty`;
  linkSync(path, name);
  try {
    const reader = new DatabaseSync(name, { readOnly: true });
    reader.exec('BEGIN; SELECT 1 FROM sqlite_schema');
    return reader;
  } finally {
    rmSync(name);
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
