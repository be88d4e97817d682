// How a database comes into being. Guarantee 12: it is completed under a temporary name,
// the draft, and linked into place, so nobody ever opens a half-made one; of many who try
// at once one wins, and what the killed have left is cleared away.

import { closeSync, existsSync, fsyncSync, linkSync, openSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { QueuectlError, systemCode } from '../../errors.ts';
import { failpoint } from '../../failpoint.ts';
import { liveness, selfIdentity } from '../../platform/identity.ts';
import { migrate } from './migrate.ts';
import { APPLICATION_ID } from './schema.ts';

/**
 * Makes the database, unless somebody else's is in place first; then theirs stands.
 * `unique` is part of the temporary name, so that many can try at once.
 */
export function createDatabase(path: string, unique: string): void {
  refuseWalWithoutDatabase(path);
  removeDrafts(path);
  const draft = draftOf(path, unique);
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
      // Into the file, and synced: only the file itself is linked. Closing would do it too,
      // but would not say that the disk refused, and half a database would be linked.
      db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } finally {
      db.close();
    }
    syncAbove(dirname(path));
    failpoint('create-before-link');
    try {
      linkSync(draft, path);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
    }
    failpoint('create-after-link');
    syncDirectory(dirname(path));
  } finally {
    for (const suffix of SUFFIXES) rmSync(draft + suffix, { force: true });
  }
}

/** SQLite's own files beside it. The journal is how it goes from one mode to the other. */
const SUFFIXES = ['', '-journal', '-wal', '-shm'];

/** Names its maker as well as a name can: pid, start time, pid namespace. */
function draftOf(path: string, unique: string): string {
  const { pid, startTime, pidNamespace } = selfIdentity();
  return `${path}.${pid}-${startTime}-${pidNamespace.replaceAll(/\D/g, '')}.${unique}.new`;
}

const DRAFT = /\.(\d+)-(\d*)-(\d*)\.[\w-]+\.new(?:-journal|-wal|-shm)?$/;

/**
 * Removes the drafts whose makers were killed; never fails. Those of another pid namespace
 * stay: nobody here can see whether their makers live.
 */
export function removeDrafts(path: string): void {
  const self = selfIdentity();
  const directory = dirname(path);
  try {
    for (const name of readdirSync(directory)) {
      const [end, pid, startTime = '', namespace] = DRAFT.exec(name) ?? [];
      if (end === undefined || name !== basename(path) + end) continue;
      if (namespace !== self.pidNamespace.replaceAll(/\D/g, '')) continue;
      if (liveness({ ...self, pid: Number(pid), startTime }) !== 'gone') continue;
      rmSync(join(directory, name), { force: true });
    }
  } catch {
    // A directory that may not be read or written: they are in nobody's way.
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

/**
 * The home may be as new as what is in it, and directories above it too. Before anybody can
 * find the database: whoever does may acknowledge a job in it at once.
 */
function syncAbove(path: string): void {
  for (let at = dirname(path); ; at = dirname(at)) {
    try {
      syncDirectory(at);
    } catch (error) {
      // What we may not read is not ours, so it was there before. Windows syncs no directories.
      if (systemCode(error) === 'EIO') throw error;
    }
    if (at === dirname(at)) return;
  }
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
