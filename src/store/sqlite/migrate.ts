// How a database moves to a newer schema, and a new one to its first. Guarantee 12: in one
// transaction or not at all.

import type { DatabaseSync } from 'node:sqlite';
import { QueuectlError } from '../../errors.ts';
import { failpoint } from '../../failpoint.ts';
import { MIGRATIONS, SCHEMA_VERSION } from './schema.ts';

/** Runs what is missing; inside the caller's transaction. */
export function migrate(db: DatabaseSync, path: string): void {
  // Read again under the write lock: another process may have migrated meanwhile, perhaps
  // one that knows more than we do.
  const row = db.prepare('PRAGMA user_version').get();
  const found = Number(row?.['user_version']);
  const tooNew = newerSchema(found, path);
  if (tooNew !== null) throw tooNew;
  for (const statement of MIGRATIONS.slice(found).flatMap(statementsOf)) {
    failpoint('migrate-statement');
    db.exec(statement);
  }
  failpoint('migrate-statement');
  db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  failpoint('migrate-statement');
}

/**
 * A statement ends with the line that closes it, which is not indented as those within a
 * trigger are. Where that is not so, several run as one.
 */
function statementsOf(migration: string): string[] {
  return migration.split(/(?<=^\S.*;)$/m).filter((statement) => statement.trim() !== '');
}

/** Why we must not work with what a later queuectl has migrated; null: it has not. */
export function newerSchema(found: number, path: string): QueuectlError | null {
  if (found <= SCHEMA_VERSION) return null;
  return new QueuectlError(
    'newer_schema',
    `${path} was written by a newer queuectl (schema ${found}, this one knows ${SCHEMA_VERSION})`,
    { hint: 'use the newer queuectl' },
  );
}
