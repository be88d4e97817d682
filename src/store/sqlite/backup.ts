// A copy of the database as it is at one moment, taken while others work. Guards guarantee
// 12: the copy is complete, checked and on disk before it gets its name, and nothing that is
// there already is overwritten unasked.

import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { draftOf, removeAbandonedDrafts, removeDraft } from '../../drafts.ts';
import { QueuectlError, systemCode } from '../../errors.ts';
import { explain } from './explain.ts';
import { refuseEmpty, statOf } from './file.ts';
import { openToLook } from './look.ts';
import { APPLICATION_ID } from './schema.ts';

export interface BackupOptions {
  /** Part of the name that the copy has until it is complete. */
  readonly unique: string;
  /** Replace what has the name of the copy. */
  readonly force: boolean;
  /** Wall clock, ms since 1970. */
  readonly now: number;
}

/**
 * Writes a copy to `target`; answers its size in bytes. VACUUM INTO reads in one transaction:
 * writers go on meanwhile, and their commits are not in the copy. The online backup API would
 * begin anew at each commit of another process.
 */
export function backupDatabase(database: string, target: string, options: BackupOptions): number {
  const stat = statOf(database);
  if (stat !== null) refuseEmpty(stat, database);
  refuseTarget(database, target, options.force);
  removeAbandonedDrafts(target, options.now);
  const draft = draftOf(target, options.unique);
  try {
    // 'wx' is O_EXCL: no planted link is followed; VACUUM INTO takes an empty file.
    closeSync(openSync(draft, 'wx', 0o600));
  } catch (error) {
    throw cannotWrite(target, error);
  }
  try {
    copy(database, draft);
    sync(draft);
    const { size } = statSync(draft);
    publish(draft, target, options.force);
    sync(dirname(target));
    return size;
  } finally {
    removeDraft(draft);
  }
}

/** A rename replaces whatever it is: a device, or the queue itself under its workers. */
function refuseTarget(database: string, target: string, force: boolean): void {
  let there: Stats | null;
  try {
    there = statOf(target);
  } catch (error) {
    throw cannotWrite(target, error);
  }
  if (there === null) return;
  for (const suffix of ['', '-wal', '-shm']) {
    const own = statOf(database + suffix);
    const real = statSync(target, { throwIfNoEntry: false });
    if (own === null || real?.ino !== own.ino || real.dev !== own.dev) continue;
    throw new QueuectlError('invalid', `${target} is the queue itself`, {
      hint: 'choose another name, at best on another disk',
    });
  }
  // Through a link, too: a rename would put the copy in the place of the link.
  if (!(statSync(target, { throwIfNoEntry: false }) ?? there).isFile()) {
    const hint = 'give the name of a file that is not there yet';
    throw new QueuectlError('invalid', `${target} is not a regular file`, { hint });
  }
  if (!force) throw taken(target);
}

function cannotWrite(target: string, error: unknown): QueuectlError {
  const directory = dirname(target);
  const reason = {
    ENOENT: 'it does not exist',
    ENOTDIR: 'it is not a directory',
    EACCES: 'permission denied',
    EROFS: 'its file system is read-only',
  }[systemCode(error) ?? ''];
  if (reason === undefined) return explain(error, target);
  return new QueuectlError('unavailable', `cannot write to ${directory}: ${reason}`, {
    hint: 'choose another directory for the copy',
    cause: error,
  });
}

function copy(database: string, draft: string): void {
  using(database, (db) => {
    if (scalar(db, 'PRAGMA application_id') !== APPLICATION_ID) {
      throw new QueuectlError('foreign', `${database} is not a queuectl database`);
    }
    try {
      // It counts as writing, to where it copies.
      db.exec('PRAGMA query_only = OFF');
      db.prepare('VACUUM INTO ?').run(draft);
    } catch (error) {
      throw isFull(error) ? noRoom(draft, error) : explain(error, database);
    }
  });
  using(draft, (db) => {
    const answer = scalar(db, 'PRAGMA quick_check');
    if (answer !== 'ok') {
      throw new QueuectlError('damaged', `the copy is not sound: ${String(answer)}`, {
        hint: `look at the original: queuectl doctor --db ${database}`,
      });
    }
  });
}

function noRoom(draft: string, cause: unknown): QueuectlError {
  const message = `no space left in ${dirname(draft)} for the copy`;
  return new QueuectlError('full', message, { hint: 'choose a place on another disk', cause });
}

function isFull(error: unknown): boolean {
  return explain(error, '').code === 'full';
}

function using(path: string, body: (db: DatabaseSync) => void): void {
  let db: DatabaseSync;
  try {
    db = openToLook(path);
  } catch (error) {
    throw explain(error, path);
  }
  try {
    body(db);
  } catch (error) {
    throw explain(error, path);
  } finally {
    db.close();
  }
}

function scalar(db: DatabaseSync, sql: string): unknown {
  return Object.values(db.prepare(sql).get() ?? {})[0];
}

function publish(draft: string, target: string, force: boolean): void {
  if (force) {
    renameSync(draft, target);
    return;
  }
  try {
    // A link never replaces anything, not even what came into being a moment ago.
    linkSync(draft, target);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw explain(error, target);
    throw taken(target);
  }
}

function taken(target: string): QueuectlError {
  return new QueuectlError('wrong_state', `${target} is there already`, {
    hint: 'choose another name, or replace it with --force',
  });
}

function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
