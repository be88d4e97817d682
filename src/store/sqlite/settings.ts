// What 'config set' stored.

import type { Connection } from './connection.ts';

export function readSettings(db: Connection): Map<string, string> {
  const rows = db.all<{ name: string; value: string }>('SELECT name, value FROM setting');
  return new Map(rows.map((row) => [row.name, row.value]));
}

export function writeSetting(db: Connection, name: string, value: string | null): void {
  if (value === null) {
    db.run('DELETE FROM setting WHERE name = ?', name);
  } else {
    db.run(
      `INSERT INTO setting (name, value) VALUES (?, ?)
       ON CONFLICT DO UPDATE SET value = excluded.value`,
      name,
      value,
    );
  }
}
