// Looking at jobs. Nothing here writes. Pages of any list come from an index, without
// sorting the whole history, as long as the order asked for is by arrival.

import type { SQLInputValue } from 'node:sqlite';
import { QueuectlError } from '../../errors.ts';
import { type Attempt, type Job, type State, STATES } from '../../job.ts';
import type { ListQuery, Page, SortOrder } from '../store.ts';
import type { Connection } from './connection.ts';
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
  const conditions: string[] = [];
  const parameters: Record<string, SQLInputValue> = { limit: query.limit + 1 };

  if (query.cursor !== null) Object.assign(parameters, cursorOf(db, query.cursor, after));
  if (query.cursor !== null) conditions.push(after);
  if (query.search !== null) {
    // LIKE ignores the case of ASCII letters; its wildcards in the text are taken literally.
    conditions.push("(id LIKE :search ESCAPE '\\' OR command LIKE :search ESCAPE '\\')");
    parameters['search'] = `%${query.search.replaceAll(/[\\%_]/g, '\\$&')}%`;
  }
  for (const [index, [name, value]] of query.tags.entries()) {
    // json_each instead of a path: any name is a name, also one with dots or quotes.
    conditions.push(
      `EXISTS (SELECT 1 FROM json_each(tags) WHERE key = :tag${index} AND value = :value${index})`,
    );
    parameters[`tag${index}`] = name;
    parameters[`value${index}`] = value;
  }

  let states: readonly (State | null)[] = [...new Set(query.states)];
  if (query.queue !== null) {
    conditions.push('queue = (SELECT key FROM queue WHERE name = :queue)');
    parameters['queue'] = query.queue;
    // Naming every state turns one walk through all jobs into one seek per state.
    if (states.length === 0) states = STATES;
  }
  if (states.length === 0) states = [null];

  // One branch per state, each read from its index in the order asked for; SQLite merges
  // them lazily, where `state IN (…)` would collect and sort all that match.
  const branches = states.map((state, index) => {
    const where = [...conditions];
    // In so many words: an index of some jobs is not used for what a parameter may ask.
    if (state === 'dead') where.push("state = 'dead'");
    else if (state !== null) {
      where.push(`state = :state${index}`);
      parameters[`state${index}`] = state;
    }
    const filter = where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`;
    return `SELECT key, updated_at, priority FROM job ${filter}`;
  });
  const page = `${branches.join('\nUNION ALL\n')}\nORDER BY ${order} LIMIT :limit`;
  const rows = db.allNamed<JobRow>(
    `WITH page AS (${page})
     ${SELECT_JOBS} WHERE job.key IN (SELECT key FROM page)
     ORDER BY ${order.replaceAll(/\b(key|updated_at|priority)\b/g, 'job.$1')}`,
    parameters,
  );
  return { jobs: rows.slice(0, query.limit).map(jobOf), more: rows.length > query.limit };
}

/** The values that `after` compares with, taken from the last job of the page before. */
function cursorOf(db: Connection, id: string, after: string): Record<string, SQLInputValue> {
  const row = db.get<Record<string, SQLInputValue>>(
    'SELECT key, updated_at, priority FROM job WHERE id = ?',
    id,
  );
  if (row === undefined) {
    throw new QueuectlError('not_found', `no job ${JSON.stringify(id)} to continue after`, {
      hint: '--cursor takes the last id of the page before',
    });
  }
  // SQLite refuses parameters that a statement does not name.
  return Object.fromEntries(Object.entries(row).filter(([name]) => after.includes(`:${name}`)));
}
