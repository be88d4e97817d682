// One SQLite connection: how it is opened, checked and closed, and how it waits for the
// write lock. Guards guarantee 1 (WAL and synchronous=FULL, both
// read back) and guarantee 12 (nothing is ever recreated, emptied or repaired).

import type { Stats } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import type { Env } from '../../env.ts';
import { type ErrorCode, QueuectlError } from '../../errors.ts';
import { createDatabase, removeDrafts } from './create.ts';
import { explain, isBusy, isMisfit } from './explain.ts';
import { refuseEmpty, refuseWhatIsNotOurs, statOf } from './file.ts';
import { closeUntouched } from './untouched.ts';
import { migrate, newerSchema } from './migrate.ts';
import { APPLICATION_ID, SCHEMA_VERSION } from './schema.ts';

/** Older versions can corrupt a WAL database that several processes write. */
export const OLDEST_SAFE_SQLITE = [3, 51, 3];

/**
 * SQLite's own wait for the write lock, ms. Longer and it would block the event loop,
 * heartbeats included; and with it alone, eight writers starve each other.
 */
const BUSY_TIMEOUT_MS = 5;

/** Then an asynchronous pause, drawn from this range: who waits has an equal chance. */
const PAUSE_MIN_MS = 1;
const PAUSE_MAX_MS = 20;

/** 16 MiB at most, grown only as needed: what a bulk insert with random ids wants. */
const CACHE_KIB = 16 * 1024;

/** After these the file and its WAL must not be touched any more, by closing them either. */
const LEFT_AS_IT_IS: ReadonlySet<ErrorCode> = new Set(['damaged', 'foreign']);

export interface ConnectionOptions {
  readonly env: Env;
  /** How long to wait for the write lock, ms; Infinity for a worker, which has all the time. */
  readonly patience: number;
  /** Called once per wait that is longer than WAIT_NOTICE_MS. */
  readonly onWait?: (() => void) | undefined;
}

/** People start to wonder after two seconds. */
const WAIT_NOTICE_MS = 2000;

export class Connection {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #options: ConnectionOptions;
  readonly #statements = new Map<string, StatementSync>();
  /** Which file was opened. */
  readonly #file: Pick<Stats, 'dev' | 'ino'>;
  #closed = false;
  /** Set once it has turned out to be damaged or not ours. */
  #lost: QueuectlError | null = null;

  private constructor(db: DatabaseSync, path: string, file: Stats, options: ConnectionOptions) {
    this.#db = db;
    this.#path = path;
    this.#file = file;
    this.#options = options;
  }

  /** Opens the database, making or migrating it where needed; rejects as guarantee 12 says. */
  static async open(path: string, options: ConnectionOptions): Promise<Connection> {
    try {
      if (statOf(path) === null) {
        refuseUnsafeSqlite();
        createDatabase(path, options.env.newId());
      }
      const file = refuseWhatIsNotOurs(path);
      // Whoever made it died between linking it and taking its first name away.
      if (file.nlink > 1) removeDrafts(path);
      const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
      const connection = new Connection(db, path, file, options);
      try {
        await connection.#prepareForUse();
        return connection;
      } catch (error) {
        connection.close();
        throw error;
      }
    } catch (error) {
      throw explain(error, path);
    }
  }

  async #prepareForUse(): Promise<void> {
    // Any statement looks at the file when it is prepared, this one too, and may meet a lock.
    const version = await this.#retry(() => this.#scalar('SELECT sqlite_version()'));
    refuseUnsafeVersion(String(version));
    await this.#retry(() => {
      if (this.#scalar('PRAGMA application_id') !== APPLICATION_ID) {
        throw new QueuectlError('foreign', `${this.#path} is not a queuectl database`, {
          hint: 'nothing was changed; give another path with --db',
        });
      }
      this.refuseNewerSchema();
      if (this.#scalar('PRAGMA journal_mode') !== 'wal') this.#db.exec('PRAGMA journal_mode = WAL');
      // macOS: a plain fsync leaves it in the disk's cache. Elsewhere this does nothing.
      this.#db.exec('PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON');
      this.#db.exec(`PRAGMA synchronous = FULL; PRAGMA cache_size = -${CACHE_KIB}`);
    });
    // Read back: a build or a file system that cannot do it must not go unnoticed. Each look
    // may meet a lock: of who recovers the WAL, or closes the last connection but ours.
    const mode = await this.#retry(() => this.#scalar('PRAGMA journal_mode'));
    const synchronous = await this.#retry(() => this.#scalar('PRAGMA synchronous'));
    if (mode !== 'wal' || synchronous !== 2) {
      throw new QueuectlError(
        'unavailable',
        `SQLite would not be durable here (journal_mode ${String(mode)}, synchronous ${String(synchronous)})`,
        { hint: 'keep the database on a local disk' },
      );
    }
    const found = await this.#retry(() => this.#scalar('PRAGMA user_version'));
    if (Number(found) < SCHEMA_VERSION) await this.write(() => migrate(this.#db, this.#path));
  }

  #scalar(sql: string): unknown {
    return Object.values(this.#db.prepare(sql).get() ?? {})[0];
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  // The tables are STRICT and written by this folder only, so the shape that a caller
  // names for its rows is trusted here and checked nowhere else.

  /** The first row, or undefined. */
  get<Row extends object>(sql: string, ...parameters: SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...parameters) as Row | undefined;
  }

  all<Row extends object>(sql: string, ...parameters: SQLInputValue[]): Row[] {
    return this.#statement(sql).all(...parameters) as Row[];
  }

  /** Like `all`, for statements that are put together from parts and name their parameters. */
  allNamed<Row extends object>(sql: string, parameters: Record<string, SQLInputValue>): Row[] {
    return this.#db.prepare(sql).all(parameters) as Row[];
  }

  /** Runs a statement and answers how many rows it changed. */
  run(sql: string, ...parameters: SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...parameters).changes);
  }

  /** Inserts one row and answers its rowid, or null where a conflict kept it out. */
  insert(sql: string, ...parameters: SQLInputValue[]): number | null {
    const { changes, lastInsertRowid } = this.#statement(sql).run(...parameters);
    return changes === 0 ? null : Number(lastInsertRowid);
  }

  /**
   * Runs `body` in one write transaction and commits. IMMEDIATE: the lock is taken before
   * anything is read, so what a transition saw is still true when it writes; a read
   * transaction that upgrades would fail halfway instead. `body` must not await.
   */
  async write<T>(body: () => T): Promise<T> {
    return await this.#retry(() => this.#transaction('BEGIN IMMEDIATE', body));
  }

  /** Runs `body`, which only reads, on one snapshot. `body` must not await. */
  async read<T>(body: () => T): Promise<T> {
    return await this.#retry(() => this.#transaction('BEGIN', body));
  }

  /** Runs `body` in no transaction; what SQLite says against it is told in our words. */
  async guarded<T>(body: () => T): Promise<T> {
    return await this.#retry(body);
  }

  #transaction<T>(begin: 'BEGIN' | 'BEGIN IMMEDIATE', body: () => T): T {
    this.#db.exec(begin);
    try {
      const result = body();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      // After some errors (disk full) SQLite has rolled back by itself.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  /**
   * Why this program is too old for the database by now: a newer queuectl may migrate it
   * at any time. Within a write transaction the answer stands until its end. Null: it is not.
   */
  outdated(): QueuectlError | null {
    const row = this.get<{ user_version: number }>('PRAGMA user_version');
    return newerSchema(row?.user_version ?? 0, this.#path);
  }

  refuseNewerSchema(): void {
    const outdated = this.outdated();
    if (outdated !== null) throw outdated;
  }

  /**
   * Changes whenever another connection has committed. Whoever polls it also learns with
   * `replaced` that the file is not the one it has open any more: it would go on working
   * on a queue that nobody else can find; and with `damaged` that any call met damage, or
   * that the file was emptied: SQLite does not notice as long as its cache answers.
   */
  version(): Promise<number> {
    return this.#retry(() => {
      const file = statOf(this.#path);
      if (file?.ino !== this.#file.ino || file.dev !== this.#file.dev) {
        throw new QueuectlError('replaced', `${this.#path} was deleted, moved or replaced`, {
          hint: 'what this process did since went with it; start again where the database is',
        });
      }
      refuseEmpty(file, this.#path);
      if (this.#lost !== null) throw this.#lost;
      return this.get<{ data_version: number }>('PRAGMA data_version')?.data_version ?? 0;
    });
  }

  async #retry<T>(body: () => T): Promise<T> {
    const { env, patience, onWait } = this.#options;
    /** Boot clock; null until the lock was refused for the first time. */
    let begun: number | null = null;
    let noticed = false;
    for (;;) {
      try {
        return body();
      } catch (error) {
        if (!isBusy(error)) throw this.#explain(error);
        begun ??= env.boot();
        const waited = env.boot() - begun;
        if (waited >= patience) {
          throw new QueuectlError(
            'busy',
            `the database is locked by another process (waited ${Math.round(waited / 1000)}s)`,
            {
              hint: 'try again, or find who holds it: fuser -v ' + this.#path,
              cause: error,
            },
          );
        }
        if (waited > WAIT_NOTICE_MS && !noticed) {
          noticed = true;
          onWait?.();
        }
      }
      await env.sleep(PAUSE_MIN_MS + env.random() * (PAUSE_MAX_MS - PAUSE_MIN_MS));
    }
  }

  #explain(error: unknown): QueuectlError {
    const explained = isMisfit(error) ? (this.#misfit() ?? error) : error;
    const ours = explain(explained, this.#path);
    if (LEFT_AS_IT_IS.has(ours.code)) this.#lost ??= ours;
    return ours;
  }

  /** Why our statements do not fit the tables any more, if that is the reason. */
  #misfit(): QueuectlError | null {
    try {
      return this.outdated();
    } catch {
      return null; // The first error says more.
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#statements.clear();
    if (this.#lost === null) this.#db.close();
    else closeUntouched(this.#db, this.#path);
  }
}

function refuseUnsafeSqlite(): void {
  const db = new DatabaseSync(':memory:');
  try {
    const row = db.prepare('SELECT sqlite_version() AS version').get();
    refuseUnsafeVersion(String(row?.['version']));
  } finally {
    db.close();
  }
}

function refuseUnsafeVersion(version: string): void {
  if (isSafeVersion(version)) return;
  throw new QueuectlError('unsafe_sqlite', `SQLite ${version} can corrupt a shared database`, {
    hint: `use a runtime with SQLite ${OLDEST_SAFE_SQLITE.join('.')} or later`,
  });
}

export function isSafeVersion(version: string): boolean {
  const parts = version.split('.').map(Number);
  for (const [index, oldest] of OLDEST_SAFE_SQLITE.entries()) {
    const part = parts[index] ?? 0;
    if (part !== oldest) return part > oldest;
  }
  return true;
}
