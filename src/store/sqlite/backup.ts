// A copy of the database as it is at one moment, taken while others work. Guards guarantee
// 12: the copy is complete, checked and on disk before it gets its name, and nothing that is
// there already is overwritten unasked.

import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { QueuectlError, systemCode } from '../../errors.ts';
import { explain } from './explain.ts';
import { APPLICATION_ID } from './schema.ts';

/** A reader waits only for the moment in which somebody recovers the WAL or closes last. */
const BUSY_TIMEOUT_MS = 5000;

export interface BackupOptions {
  /** Part of the name that the copy has until it is complete. */
  readonly unique: string;
  /** Replace what has the name of the copy. */
  readonly force: boolean;
}

/**
 * Writes a copy to `target`; answers its size in bytes. VACUUM INTO reads in one transaction:
 * writers go on meanwhile, and their commits are not in the copy. The online backup API would
 * begin anew at each commit of another process.
 */
export function backupDatabase(database: string, target: string, options: BackupOptions): number {
  const draft = `${target}.${options.unique}.new`;
  try {
    // 'wx' is O_EXCL: no planted link is followed; VACUUM INTO takes an empty file.
    closeSync(openSync(draft, 'wx', 0o600));
  } catch (error) {
    throw explain(error, target);
  }
  try {
    copy(database, draft);
    sync(draft);
    const { size } = statSync(draft);
    publish(draft, target, options.force);
    sync(dirname(target));
    return size;
  } finally {
    rmSync(draft, { force: true });
  }
}

function copy(database: string, draft: string): void {
  using(database, (db) => {
    if (scalar(db, 'PRAGMA application_id') !== APPLICATION_ID) {
      throw new QueuectlError('foreign', `${database} is not a queuectl database`);
    }
    try {
      db.prepare('VACUUM INTO ?').run(draft);
    } catch (error) {
      throw explain(error, isFull(error) ? draft : database);
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

function isFull(error: unknown): boolean {
  return explain(error, '').code === 'full';
}

function using(path: string, body: (db: DatabaseSync) => void): void {
  let db: DatabaseSync;
  try {
    db = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
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
    throw new QueuectlError('wrong_state', `${target} is there already`, {
      hint: 'choose another name, or replace it with --force',
    });
  }
}

function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
