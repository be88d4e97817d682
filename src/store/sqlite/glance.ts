// Names for shell completion, which is asked at every press of a key. Invariant: it makes
// no file, takes no lock that a writer could meet, and never waits; whatever is odd about
// the database is answered with null, or thrown, and says nothing.

import { lstatSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { STATES, type State } from '../../job.ts';
import type { Glance } from '../glance.ts';
import { APPLICATION_ID, SCHEMA_VERSION } from './schema.ts';

/** Rows that one question may look at for each state; more could be felt while typing. */
const LOOKED_AT = 2000;
/** Greater than every character that a name may hold. */
const BEYOND = '~';

interface Row {
  readonly key: number;
  readonly id: string;
  readonly state: State;
  readonly command: string;
}

/** Null where there is no database that this version could read. */
export function glanceAtDatabase(path: string): Glance | null {
  const db = open(path);
  if (db === null) return null;
  const numberOf = (pragma: string): unknown => Object.values(db.prepare(pragma).get() ?? {})[0];
  if (
    numberOf('PRAGMA application_id') !== APPLICATION_ID ||
    numberOf('PRAGMA user_version') !== SCHEMA_VERSION
  ) {
    db.close();
    return null;
  }
  return {
    jobs: (prefix, which, limit) => jobs(db, prefix, which).slice(0, limit),
    queues: (prefix, limit) =>
      db
        .prepare('SELECT name FROM queue WHERE name >= ? AND name < ? ORDER BY name LIMIT ?')
        .all(prefix, prefix + BEYOND, limit)
        .map((row) => String(row['name'])),
    close: () => db.close(),
  };
}

function open(path: string): DatabaseSync | null {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isFile() !== true || stat.size === 0) return null;
  const isThere = (suffix: string): boolean =>
    lstatSync(path + suffix, { throwIfNoEntry: false }) !== undefined;
  const readOnly = { readOnly: true, timeout: 0 };
  if (isThere('-wal')) return isThere('-shm') ? new DatabaseSync(path, readOnly) : null;
  // Without a -wal everything is in the file. A connection that takes it for a usual one
  // would make the -wal and leave it; one that begins to write now is only not seen.
  const url = pathToFileURL(path);
  url.searchParams.set('immutable', '1');
  return new DatabaseSync(url, readOnly);
}

function jobs(db: DatabaseSync, prefix: string, which: readonly State[] | 'started'): Row[] {
  const states: readonly State[] = which === 'started' ? STATES : which;
  const all = states.length === STATES.length;
  const select = (sql: string, ...parameters: SQLInputValue[]): Row[] =>
    db.prepare(sql).all(...parameters) as unknown as Row[];
  const columns = 'key, id, state, substr(command, 1, 200) AS command, last_attempt';
  // The newest of each state, by its index. The prefix is no part of the WHERE: the scan
  // for one that nobody has would not end before the history does.
  const newest = all
    ? select(`SELECT ${columns} FROM job ORDER BY key DESC LIMIT ?`, LOOKED_AT)
    : states.flatMap((state) =>
        select(
          `SELECT ${columns} FROM job WHERE state = ? ORDER BY key DESC LIMIT ?`,
          state,
          LOOKED_AT,
        ),
      );
  // And older ones that begin so, by the index on ids. Ids made by us are ordered by time.
  const named =
    prefix === ''
      ? []
      : select(
          `SELECT ${columns} FROM job WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?`,
          prefix,
          prefix + BEYOND,
          LOOKED_AT,
        );
  const found = new Map<number, Row>();
  for (const row of [...newest, ...named] as (Row & { readonly last_attempt: number })[]) {
    if (!row.id.startsWith(prefix) || !states.includes(row.state)) continue;
    if (which === 'started' && row.last_attempt === 0) continue;
    found.set(row.key, row);
  }
  return [...found.values()].toSorted((a, b) => b.key - a.key);
}
