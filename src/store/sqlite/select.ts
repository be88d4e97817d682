// Looking at jobs. Nothing here writes. Pages of any list come from an index, without
// sorting the whole history, as long as the order asked for is by arrival.

import { QueuectlError } from '../../errors.ts';
import type { Attempt, Job } from '../../job.ts';
import type { ListQuery, Page, Position, SortOrder } from '../store.ts';
import type { Connection } from './connection.ts';
import { branchesOf, type Parameters } from './filter.ts';
import {
  ATTEMPT_COLUMNS,
  attemptOf,
  type AttemptRow,
  jobOf,
  type JobRow,
  SELECT_JOBS,
} from './rows.ts';

export function find(db: Connection, id: string): Job | null {
  const row = db.get<JobRow>(`${SELECT_JOBS} WHERE job.id = ?`, id);
  return row === undefined ? null : jobOf(row);
}

export function attempts(db: Connection, key: number): Attempt[] {
  return db
    .all<AttemptRow>(
      `SELECT ${ATTEMPT_COLUMNS}
       FROM attempt JOIN worker ON worker.key = attempt.worker
       WHERE attempt.job = ?
       ORDER BY attempt.number`,
      key,
    )
    .map(attemptOf);
}

/**
 * Each order with the comparison that continues it after a job; `key` breaks ties, so
 * that a page never repeats or skips a job. Only these texts reach the SQL.
 */
const ORDERS: Record<SortOrder, { readonly order: string; readonly after: string }> = {
  newest: { order: 'key DESC', after: 'key < :key' },
  oldest: { order: 'key', after: 'key > :key' },
  updated: {
    order: 'updated_at DESC, key DESC',
    after: '(updated_at, key) < (:updated_at, :key)',
  },
  priority: { order: 'priority DESC, key', after: '(-priority, key) > (-:priority, :key)' },
};

export function list(db: Connection, query: ListQuery): Page {
  const { order, after } = ORDERS[query.sort];
  const parameters: Parameters = { limit: query.limit + 1 };
  if (query.cursor !== null) Object.assign(parameters, placeOf(db, query.cursor, after));
  const page = branchesOf(
    'key, updated_at, priority',
    query,
    query.cursor === null ? [] : [after],
    parameters,
  );
  const rows = db.allNamed<JobRow>(
    `WITH page AS (${page}\nORDER BY ${order} LIMIT :limit)
     ${SELECT_JOBS} WHERE job.key IN (SELECT key FROM page)
     ORDER BY ${order.replaceAll(/\b(key|updated_at|priority)\b/g, 'job.$1')}`,
    parameters,
  );
  return { jobs: rows.slice(0, query.limit).map(jobOf), more: rows.length > query.limit };
}

/** The values that `after` compares with, of the last job of the page before. */
function placeOf(db: Connection, cursor: string | Position, after: string): Parameters {
  const row =
    typeof cursor === 'string'
      ? db.get<Parameters>('SELECT key, updated_at, priority FROM job WHERE id = ?', cursor)
      : { key: cursor.key, updated_at: cursor.updatedAt, priority: cursor.priority };
  if (row === undefined) {
    throw new QueuectlError('not_found', `no job ${JSON.stringify(cursor)} to continue after`, {
      hint: '--cursor takes the last id of the page before, as long as that job is there',
    });
  }
  // SQLite refuses parameters that a statement does not name.
  return Object.fromEntries(Object.entries(row).filter(([name]) => after.includes(`:${name}`)));
}
