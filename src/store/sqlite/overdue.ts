// What retention is over for. Guards guarantee 3: only what is in a terminal state is ever
// found here, and `delete` looks again before it deletes.

import type { OverdueQuery } from '../store.ts';
import type { Connection } from './connection.ts';

export function overdue(db: Connection, query: OverdueQuery): number[] {
  const row = db.get<{ key: number; log_bytes: number }>(
    'SELECT key, log_bytes FROM queue WHERE name = ?',
    query.queue,
  );
  if (row === undefined) return [];
  const found = new Set<number>();
  const add = (keys: readonly number[]): void => {
    for (const key of keys) if (found.size < query.limit) found.add(key);
  };
  const { endedBefore, diedBefore, jobs, logBytes, spareFrom, limit } = query;
  if (endedBefore !== null) add(endedFirst(db, row.key, Math.min(endedBefore, spareFrom), limit));
  if (diedBefore !== null) add(diedFirst(db, row.key, Math.min(diedBefore, spareFrom), limit));
  if (jobs !== null) {
    const excess = endedIn(db, row.key) - jobs;
    if (excess > 0) add(endedFirst(db, row.key, spareFrom, Math.min(excess, limit)));
  }
  if (logBytes !== null && row.log_bytes > logBytes) {
    add(oldestOutput(db, row.key, row.log_bytes - logBytes, query));
  }
  return [...found];
}

function endedFirst(db: Connection, queue: number, before: number, limit: number): number[] {
  return db
    .all<{ key: number }>(
      `SELECT key FROM job
       WHERE queue = ? AND state IN ('completed', 'cancelled') AND updated_at < ?
       ORDER BY updated_at
       LIMIT ?`,
      queue,
      before,
      limit,
    )
    .map(({ key }) => key);
}

function diedFirst(db: Connection, queue: number, before: number, limit: number): number[] {
  return db
    .all<{ key: number }>(
      `SELECT key FROM job
       WHERE state = 'dead' AND updated_at < ? AND queue = ?
       ORDER BY updated_at
       LIMIT ?`,
      before,
      queue,
      limit,
    )
    .map(({ key }) => key);
}

function endedIn(db: Connection, queue: number): number {
  const row = db.get<{ n: number | null }>(
    "SELECT sum(n) AS n FROM tally WHERE queue = ? AND state IN ('completed', 'cancelled')",
    queue,
  );
  return row?.n ?? 0;
}

/** Those that ended first, until their output makes up for the excess. */
function oldestOutput(
  db: Connection,
  queue: number,
  excess: number,
  { spareFrom, limit }: OverdueQuery,
): number[] {
  const rows = db.all<{ key: number; bytes: number }>(
    `SELECT key, (
       SELECT coalesce(sum(coalesce(log_kept, log_bytes)), 0) FROM attempt WHERE job = job.key
     ) AS bytes
     FROM job
     WHERE queue = ? AND state IN ('completed', 'cancelled') AND updated_at < ?
     ORDER BY updated_at
     LIMIT ?`,
    queue,
    spareFrom,
    limit,
  );
  const keys: number[] = [];
  let left = excess;
  for (const { key, bytes } of rows) {
    if (left <= 0) break;
    keys.push(key);
    left -= bytes;
  }
  return keys;
}
