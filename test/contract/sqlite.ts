// SQLite as a backend of the contract suite: a database is a directory with a file in it.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { OpenOptions } from '../../src/store/open.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import type { Store } from '../../src/store/store.ts';
import type { Backend } from './backend.ts';

/** A file system without a disk. */
const MEMORY = '/dev/shm';

export function temporaryDirectory(parent = tmpdir()): Promise<string> {
  return mkdtemp(join(parent, 'queuectl-contract-'));
}

/** The database and its wake file in `directory`. */
export function openIn(directory: string, options: OpenOptions): Promise<Store> {
  return openSqliteStore({
    ...options,
    database: join(directory, 'queue.db'),
    wakeFile: join(directory, 'wake'),
  });
}

const backend: Backend = {
  module: import.meta.url,

  async create({ inMemory = false } = {}) {
    const directory = await temporaryDirectory(inMemory && existsSync(MEMORY) ? MEMORY : tmpdir());
    return {
      address: directory,
      check: () => check(directory),
      remove: () => rm(directory, { recursive: true }),
    };
  },

  open: openIn,
};
export default backend;

interface Row {
  readonly job: number;
  readonly due: number;
}

/** What the contract cannot show: the tables that claims read agree with the jobs. */
async function check(directory: string): Promise<void> {
  const db = new DatabaseSync(join(directory, 'queue.db'));
  try {
    const all = <T>(sql: string): T[] => db.prepare(sql).all() as T[];
    assert.deepEqual(
      all<{ integrity_check: string }>('PRAGMA integrity_check').map((row) => row.integrity_check),
      ['ok'],
    );
    // Every waiting job stands in exactly one of the two tables, under its own values.
    const waiting = all<Row>(
      `SELECT key AS job, coalesce(run_at, created_at) AS due
       FROM job WHERE state IN ('pending', 'failed') ORDER BY key`,
    );
    const standing = all<Row>(
      `SELECT job, due FROM (SELECT job, due FROM ready UNION ALL SELECT job, due FROM delayed)
       ORDER BY job`,
    );
    assert.deepEqual(standing.map(plain), waiting.map(plain));
    const misplaced = all(
      `SELECT * FROM ready JOIN job ON job.key = ready.job
       WHERE ready.lane <> job.queue OR ready.rank <> -job.priority`,
    );
    assert.deepEqual(misplaced, []);
    const orphans = all('SELECT * FROM attempt WHERE job NOT IN (SELECT key FROM job)');
    assert.deepEqual(orphans, []);
    const leased = all(
      `SELECT * FROM attempt WHERE (finished_at IS NULL) <> (lease_until IS NOT NULL)`,
    );
    assert.deepEqual(leased, [], 'a lease is for what runs');
  } finally {
    db.close();
  }
  // No draft of a new database is left behind.
  const known = /^(queue\.db(-wal|-shm)?|wake)$/;
  assert.deepEqual(
    (await readdir(directory)).filter((name) => !known.test(name)),
    [],
  );
}

function plain({ job, due }: Row): string {
  return `${job} ${due}`;
}
