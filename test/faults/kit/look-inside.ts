// What a database holds that was left as it lies by a fault: opened by the real store, as the
// next command would, then checked by SQLite itself.

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { systemEnv } from '../../../src/env.ts';
import type { Job, NewJob } from '../../../src/job.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import { NO_FILTER, type Store } from '../../../src/store/store.ts';

export interface Inside {
  /** In the order of their arrival. */
  readonly jobs: readonly Job[];
  /** What `PRAGMA integrity_check` says: `ok`. */
  readonly integrity: string;
}

/** Of `queue.db` in this directory. `use` may do more with the store before it is closed. */
export async function lookInside(
  directory: string,
  use: (store: Store) => Promise<void> = async () => {},
): Promise<Inside> {
  const database = join(directory, 'queue.db');
  const wakeFile = join(directory, 'wake');
  const store = await openSqliteStore({ database, wakeFile, env: systemEnv, patience: 5000 });
  let jobs: readonly Job[];
  try {
    await use(store);
    ({ jobs } = await store.list({
      ...NO_FILTER,
      sort: 'oldest',
      limit: 10_000,
      cursor: null,
    }));
  } finally {
    await store.close();
  }
  const db = new DatabaseSync(database);
  try {
    const { integrity_check: integrity } = db.prepare('PRAGMA integrity_check').get() ?? {};
    return { jobs, integrity: String(integrity) };
  } finally {
    db.close();
  }
}

/** For `use`: enqueues them as `--if-absent` does, whether or not they are there. */
export function enqueueAgain(ids: readonly string[]): (store: Store) => Promise<void> {
  const jobs = ids.map((id): NewJob => ({
    id,
    kind: 'command',
    queue: 'default',
    priority: 0,
    command: 'true',
    spec: {},
    cwd: '/',
    path: null,
    tags: null,
    maxRetries: null,
    timeout: null,
    delay: null,
    runAt: null,
  }));
  return async (store) => void (await store.enqueue(jobs, { ifAbsent: true }));
}
