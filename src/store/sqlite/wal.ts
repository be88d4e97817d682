// Giving the WAL's disk space back. SQLite goes on writing into the same WAL as long as any
// reader needs an old page from it, and never makes the file smaller by itself: a forgotten
// transaction fills the disk, and a bulk insert keeps its room for good.

import { statSync } from 'node:fs';
import type { Connection } from './connection.ts';

/**
 * Above this it is made smaller. A WAL that is written back after every 1,000 pages, as
 * usual, has 4 MiB; a transaction that adds 100,000 jobs may need all of this.
 */
export const WAL_LIMIT = 64 * 1024 * 1024;

const MIB = 1024 * 1024;

interface Checkpoint {
  /** Pages in the WAL, and how many of them are in the database by now; -1: not known. */
  readonly log: number;
  readonly checkpointed: number;
}

export class Wal {
  readonly #db: Connection;
  readonly #path: string;
  readonly #limit: number;
  #trouble: string | null = null;

  constructor(db: Connection, path: string, limit: number) {
    this.#db = db;
    this.#path = path;
    this.#limit = limit;
  }

  /** Answers why it cannot be made smaller, or null. One look at a file, while it is small. */
  tend(): string | null {
    const size = statSync(`${this.#path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    this.#trouble = size > this.#limit ? this.#shrink(size) : null;
    return this.#trouble;
  }

  #shrink(size: number): string | null {
    // This one keeps nobody from writing. What it leaves for the next is little.
    const passive = this.#db.get<Checkpoint>('PRAGMA wal_checkpoint(PASSIVE)');
    const { log, checkpointed } = passive ?? { log: -1, checkpointed: -1 };
    if (log < 0) return this.#trouble; // Somebody else is at it.
    if (checkpointed >= log) {
      // Where anybody reads at this moment nothing happens: the next look tries again.
      this.#db.get('PRAGMA wal_checkpoint(TRUNCATE)');
      return null;
    }
    const needed = (size / log) * (log - checkpointed);
    if (needed <= this.#limit) return this.#trouble;
    return (
      `${this.#path}-wal has grown to ${Math.round(size / MIB)} MiB and cannot shrink: some process ` +
      `keeps a query or a transaction open; find it with: fuser -v ${this.#path}`
    );
  }
}
