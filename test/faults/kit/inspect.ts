// A database file as SQLite itself sees it, beside us and our checks; it is not changed.

import { DatabaseSync } from 'node:sqlite';

export interface Inspected {
  /** Of the schema. */
  readonly version: number;
  /** What `PRAGMA integrity_check` says: `ok`. */
  readonly integrity: string;
  /** Names of tables, indexes and triggers, sorted. */
  readonly objects: readonly string[];
}

export function inspect(path: string): Inspected {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const pragma = (name: string): unknown =>
      Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0];
    const rows = db.prepare('SELECT name FROM sqlite_schema ORDER BY name').all();
    return {
      version: Number(pragma('user_version')),
      integrity: String(pragma('integrity_check')),
      objects: rows.map(({ name }) => String(name)),
    };
  } finally {
    db.close();
  }
}
