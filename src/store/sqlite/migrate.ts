// How a database comes into being and moves to a newer schema. Guarantee 12: a new
// database is completed under a temporary name and linked into place, so nobody ever
// opens a half-made one; an older one is migrated in one transaction or not at all.

import { closeSync, existsSync, fsyncSync, linkSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { QueuectlError, systemCode } from '../../errors.ts';
import { APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION } from './schema.ts';

/**
 * Makes the database, unless somebody else's is in place first; then theirs stands.
 * `unique` is part of the temporary name, so that many can try at once.
 */
export function createDatabase(path: string, unique: string): void {
  refuseWalWithoutDatabase(path);
  const draft = `${path}.${unique}.new`;
  // 'wx' is O_EXCL: never follows a planted link. SQLite gives -wal and -shm this mode too.
  closeSync(openSync(draft, 'wx', 0o600));
  try {
    const db = new DatabaseSync(draft);
    try {
      db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
      db.exec('BEGIN IMMEDIATE');
      db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
      migrate(db, path);
      db.exec('COMMIT');
    } finally {
      // The last connection to close moves the WAL into the file and syncs it: only the
      // file itself has to be linked.
      db.close();
    }
    try {
      linkSync(draft, path);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
    }
    syncDirectory(dirname(path));
  } finally {
    for (const suffix of ['', '-wal', '-shm']) rmSync(draft + suffix, { force: true });
  }
}

/**
 * A WAL outlives its database only if somebody removed that alone. SQLite would play it
 * into the new database: old pages over new ones, and what they held would be gone.
 */
function refuseWalWithoutDatabase(path: string): void {
  const wal = `${path}-wal`;
  if (!existsSync(wal)) return;
  // In this order: whoever has just made both has made the database first.
  if (existsSync(path)) return;
  throw new QueuectlError('damaged', `${path} is gone, but its ${wal} is still there`, {
    hint: 'put the database back beside it; move both away to begin with an empty queue',
  });
}

/** Runs what is missing; inside the caller's transaction. */
export function migrate(db: DatabaseSync, path: string): void {
  // Read again under the write lock: another process may have migrated meanwhile, perhaps
  // one that knows more than we do.
  const row = db.prepare('PRAGMA user_version').get();
  const found = Number(row?.['user_version']);
  refuseNewerSchema(found, path);
  for (const migration of MIGRATIONS.slice(found)) db.exec(migration);
  db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
}

export function refuseNewerSchema(found: number, path: string): void {
  if (found <= SCHEMA_VERSION) return;
  throw new QueuectlError(
    'newer_schema',
    `${path} was written by a newer queuectl (schema ${found}, this one knows ${SCHEMA_VERSION})`,
    { hint: 'use the newer queuectl' },
  );
}

/** Without it the new name may not survive a power cut, the acknowledged job with it. */
function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
