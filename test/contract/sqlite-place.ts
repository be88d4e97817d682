// For the tests that are about SQLite alone: a directory of their own, and a second hand in
// the same file.

import { test } from 'node:test';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { systemEnv } from '../../src/env.ts';
import type { NewJob } from '../../src/job.ts';
import type { OpenOptions } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { MINUTE } from './env.ts';
import { Peer } from './peers.ts';
import sqlite, { openIn, temporaryDirectory } from './sqlite.ts';

export const isRoot = process.getuid?.() === 0;

/** Somebody without any rights: nobody. */
export const STRANGER = 65_534;

/** A test with a directory that is removed at its end, peers and connections first. */
export function placeTest(
  name: string,
  body: (place: Place) => Promise<void>,
  { skip = false }: { readonly skip?: string | false } = {},
): void {
  test(name, { skip, timeout: 60_000 }, async () => {
    const place = new Place(await temporaryDirectory());
    try {
      await body(place);
    } finally {
      await place.remove();
    }
  });
}

export class Place {
  readonly directory: string;
  readonly database: string;
  readonly wakeFile: string;
  readonly #stores: Store[] = [];
  readonly #handles: DatabaseSync[] = [];
  readonly #peers: Peer[] = [];

  constructor(directory: string) {
    this.directory = directory;
    this.database = join(directory, 'queue.db');
    this.wakeFile = join(directory, 'wake');
  }

  async open(options: Partial<OpenOptions> = {}): Promise<Store> {
    const store = await openIn(this.directory, { env: systemEnv, patience: MINUTE, ...options });
    this.#stores.push(store);
    return store;
  }

  /** Makes the database and closes it, so that all of it is in its one file. */
  async make(jobs: readonly Partial<NewJob>[] = []): Promise<void> {
    const store = await openIn(this.directory, { env: systemEnv, patience: MINUTE });
    await store.enqueue(jobs.map(plainJob));
    await store.close();
  }

  /** SQLite itself on the same file. */
  handle(path = this.database): DatabaseSync {
    const handle = new DatabaseSync(path);
    this.#handles.push(handle);
    return handle;
  }

  /** What one statement answers, through a connection of its own. */
  rows(sql: string, ...parameters: SQLInputValue[]): Record<string, unknown>[] {
    const handle = new DatabaseSync(this.database);
    try {
      return handle.prepare(sql).all(...parameters);
    } finally {
      handle.close();
    }
  }

  async peer(): Promise<Peer> {
    const peer = await Peer.start(sqlite, this.directory);
    this.#peers.push(peer);
    return peer;
  }

  async files(): Promise<string[]> {
    return (await readdir(this.directory)).toSorted();
  }

  async close(): Promise<void> {
    await Promise.all(this.#peers.map((peer) => peer.kill()));
    await Promise.all(this.#stores.map((store) => store.close()));
    for (const handle of this.#handles) if (handle.isOpen) handle.close();
  }

  async remove(): Promise<void> {
    await this.close();
    await rm(this.directory, { recursive: true });
  }
}

/** Runs `body` while every statement that is prepared passes through `wrap`. */
export async function intercepting(
  wrap: (statement: StatementSync, sql: string) => void,
  body: () => Promise<void>,
): Promise<void> {
  const prepare: Prepare = Reflect.get(DatabaseSync.prototype, 'prepare');
  const intercepted: Prepare = function intercepted(this: DatabaseSync, sql) {
    const statement = prepare.call(this, sql);
    wrap(statement, sql);
    return statement;
  };
  DatabaseSync.prototype.prepare = intercepted;
  try {
    await body();
  } finally {
    DatabaseSync.prototype.prepare = prepare;
  }
}

type Prepare = (this: DatabaseSync, sql: string) => StatementSync;

export function plainJob(job: Partial<NewJob> = {}): NewJob {
  return {
    id: systemEnv.newId(),
    kind: 'command',
    command: 'true',
    spec: {},
    cwd: '/srv',
    path: '/usr/bin:/bin',
    queue: 'default',
    priority: 0,
    maxRetries: null,
    timeout: null,
    runAt: null,
    delay: null,
    tags: null,
    ...job,
  };
}
