// Workers and supervisors that have ended and that nothing kept speaks of. A worker goes only
// after its last attempt: a history that lost the worker of an attempt would lose the attempt.
//
// There is no index from workers to attempts: every claim would pay for what is asked once an
// hour. The attempts are gone through in pages instead, each read once.

import type { AttemptPage, AttemptPosition } from '../store.ts';
import type { Connection } from './connection.ts';

export function endedWorkers(db: Connection, endedBefore: number): number[] {
  return db
    .all<{ key: number }>('SELECT key FROM worker WHERE ended_at < ? ORDER BY key', endedBefore)
    .map(({ key }) => key);
}

export function workersNamed(
  db: Connection,
  after: AttemptPosition | null,
  limit: number,
): AttemptPage {
  const from = [after?.key ?? 0, after?.number ?? 0] as const;
  const last = db.get<{ job: number; number: number }>(
    `SELECT job, number FROM attempt
     WHERE (job, number) > (?, ?)
     ORDER BY job, number
     LIMIT 1 OFFSET ?`,
    ...from,
    limit - 1,
  );
  const rows =
    last === undefined
      ? db.all<{ worker: number }>(
          'SELECT DISTINCT worker FROM attempt WHERE (job, number) > (?, ?)',
          ...from,
        )
      : db.all<{ worker: number }>(
          `SELECT DISTINCT worker FROM attempt
           WHERE (job, number) > (?, ?) AND (job, number) <= (?, ?)`,
          ...from,
          last.job,
          last.number,
        );
  const next = last === undefined ? null : { key: last.job, number: last.number };
  return { workers: rows.map(({ worker }) => worker), next };
}

export function forgetWorkers(
  db: Connection,
  keys: readonly number[],
  endedBefore: number,
): number {
  const forgotten = db.run(
    `DELETE FROM worker
     WHERE key IN (SELECT value FROM json_each(?)) AND ended_at < ?
       AND NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.worker = worker.key AND finished_at IS NULL)`,
    JSON.stringify(keys),
    endedBefore,
  );
  db.run(
    `DELETE FROM supervisor
     WHERE ended_at < ?
       AND key NOT IN (SELECT supervisor FROM worker WHERE supervisor IS NOT NULL)`,
    endedBefore,
  );
  return forgotten;
}
