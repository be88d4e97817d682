// One SQLite connection: how it is opened and checked, how it waits for the write lock,
// and how SQLite's errors become ours. Guards guarantee 1 (WAL and synchronous=FULL, both
// read back) and guarantee 12 (nothing is ever recreated, emptied or repaired).

import { lstatSync, openSync, readSync, closeSync, type Stats } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import type { Env } from '../../env.ts';
import { messageOf, QueuectlError, systemCode } from '../../errors.ts';
import { createDatabase, migrate, refuseNewerSchema } from './migrate.ts';
import { APPLICATION_ID, SCHEMA_VERSION } from './schema.ts';

/** Older versions can corrupt a WAL database that several processes write. */
const OLDEST_SAFE_SQLITE = [3, 51, 3];

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

  private constructor(db: DatabaseSync, path: string, file: Stats, options: ConnectionOptions) {
    this.#db = db;
    this.#path = path;
    this.#file = file;
    this.#options = options;
  }

  /** Opens the database, making or migrating it where needed; rejects as guarantee 12 says. */
  static async open(path: string, options: ConnectionOptions): Promise<Connection> {
    try {
      if (statOf(path) === null) createDatabase(path, options.env.newId());
      const file = refuseWhatIsNotOurs(path);
      const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
      try {
        const connection = new Connection(db, path, file, options);
        await connection.#prepareForUse();
        return connection;
      } catch (error) {
        db.close();
        throw error;
      }
    } catch (error) {
      throw explain(error, path);
    }
  }

  async #prepareForUse(): Promise<void> {
    // Any statement looks at the file when it is prepared, this one too, and may meet a lock.
    const version = await this.#retry(() => this.#scalar('SELECT sqlite_version()'));
    if (!isSafeVersion(String(version))) {
      throw new QueuectlError(
        'unsafe_sqlite',
        `SQLite ${String(version)} can corrupt a shared database`,
        {
          hint: `use a runtime with SQLite ${OLDEST_SAFE_SQLITE.join('.')} or later`,
        },
      );
    }
    await this.#retry(() => {
      if (this.#scalar('PRAGMA application_id') !== APPLICATION_ID) {
        throw new QueuectlError('foreign', `${this.#path} is not a queuectl database`, {
          hint: 'nothing was changed; give another path with --db',
        });
      }
      refuseNewerSchema(Number(this.#scalar('PRAGMA user_version')), this.#path);
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
   * Changes whenever another connection has committed. Whoever polls it also learns with
   * `replaced` that the file is not the one it has open any more: it would go on working
   * on a queue that nobody else can find.
   */
  version(): Promise<number> {
    return this.#retry(() => {
      const file = statOf(this.#path);
      if (file?.ino !== this.#file.ino || file.dev !== this.#file.dev) {
        throw new QueuectlError('replaced', `${this.#path} was deleted, moved or replaced`, {
          hint: 'what this process did since went with it; start again where the database is',
        });
      }
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
        if (!isBusy(error)) throw explain(error, this.#path);
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

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#statements.clear();
    this.#db.close();
  }
}

function statOf(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  }
}

/** SQLite would open an empty file as an empty database and a directory as an I/O error. */
function refuseWhatIsNotOurs(path: string): Stats {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink() || !stat.isFile()) {
    throw new QueuectlError('foreign', `${path} is not a regular file`, {
      hint: 'give the path of the database itself with --db',
    });
  }
  const uid = process.getuid?.();
  if (uid !== undefined && stat.uid !== uid) {
    throw new QueuectlError('foreign_owner', `${path} belongs to another user (uid ${stat.uid})`, {
      hint: 'run queuectl as that user, or set QUEUECTL_HOME to a directory of your own',
    });
  }
  if (stat.size === 0) {
    throw new QueuectlError('damaged', `${path} is empty: its content was lost`, {
      hint: 'restore it from a backup; move the file away to begin with an empty queue',
    });
  }
  const magic = new Uint8Array(16);
  const fd = openSync(path, 'r');
  try {
    readSync(fd, magic, 0, 16, 0);
  } finally {
    closeSync(fd);
  }
  if (new TextDecoder('latin1').decode(magic) !== 'SQLite format 3\0') {
    throw new QueuectlError(
      'foreign',
      `${path} is not a SQLite database, or its beginning is destroyed`,
      {
        hint: 'nothing was changed; give another path with --db, or restore it from a backup',
      },
    );
  }
  return stat;
}

export function isSafeVersion(version: string): boolean {
  const parts = version.split('.').map(Number);
  for (const [index, oldest] of OLDEST_SAFE_SQLITE.entries()) {
    const part = parts[index] ?? 0;
    if (part !== oldest) return part > oldest;
  }
  return true;
}

/** The primary result code is the low byte; `code` is always ERR_SQLITE_ERROR. */
function resultCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error)) return null;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : null;
}

function isBusy(error: unknown): boolean {
  const code = resultCode(error);
  return code === 5 || code === 6; // SQLITE_BUSY (snapshot and recovery too), SQLITE_LOCKED
}

/** SQLite's and the system's errors → ours; our own pass through. */
export function explain(error: unknown, path: string): QueuectlError {
  if (error instanceof QueuectlError) return error;
  const cause = error;
  switch (resultCode(error)) {
    case 8:
      return new QueuectlError('read_only', `${path} cannot be written`, {
        hint: 'check the owner and the mode of the file and its directory',
        cause,
      });
    case 11:
      return new QueuectlError('damaged', `${path} is damaged: ${messageOf(error)}`, {
        hint: 'nothing was changed; keep the file and restore a backup beside it',
        cause,
      });
    case 13:
      return new QueuectlError('full', `no space left for ${path}`, {
        hint: 'free some space and try again; nothing was stored',
        cause,
      });
    case 26:
      return new QueuectlError('damaged', `${path} is not a SQLite database, or is damaged`, {
        hint: 'nothing was changed; give another path with --db, or restore a backup',
        cause,
      });
    case null:
      break;
    default:
      return new QueuectlError('unavailable', `${path}: ${messageOf(error)}`, { cause });
  }
  switch (systemCode(error)) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new QueuectlError('read_only', `${path} cannot be written: ${messageOf(error)}`, {
        hint: 'check the owner and the mode of the directory, or set QUEUECTL_HOME',
        cause,
      });
    case 'ENOSPC':
    case 'EDQUOT':
      return new QueuectlError('full', `no space left for ${path}`, {
        hint: 'free some space and try again',
        cause,
      });
    case undefined:
      return new QueuectlError('internal', messageOf(error), { cause });
    default:
      return new QueuectlError('unavailable', `${path}: ${messageOf(error)}`, { cause });
  }
}
