// Filters as SQL. Only texts from this file reach a statement; what people typed is bound.

import type { SQLInputValue } from 'node:sqlite';
import { type State, STATES } from '../../job.ts';
import type { Filter, Found, Horizon, MatchQuery } from '../store.ts';
import type { Connection } from './connection.ts';

export type Parameters = Record<string, SQLInputValue>;

/** Conditions on `job`, but for its state. Adds what they bind to `parameters`. */
function conditionsOf(filter: Filter, parameters: Parameters): string[] {
  const conditions: string[] = [];
  const add = (condition: string, name: string, value: SQLInputValue): void => {
    conditions.push(condition);
    parameters[name] = value;
  };
  if (filter.queue !== null) {
    add('queue = (SELECT key FROM queue WHERE name = :queue)', 'queue', filter.queue);
  }
  if (filter.search !== null) {
    // LIKE ignores the case of ASCII letters; its wildcards in the text are taken literally.
    const text = filter.search.replaceAll(/[\\%_]/g, '\\$&');
    const like = "(id LIKE :search ESCAPE '\\' OR command LIKE :search ESCAPE '\\')";
    add(like, 'search', `%${text}%`);
  }
  for (const [index, [name, value]] of filter.tags.entries()) {
    // json_each instead of a path: any name is a name, also one with dots or quotes.
    add(
      `EXISTS (SELECT 1 FROM json_each(tags) WHERE key = :tag${index} AND value = :value${index})`,
      `tag${index}`,
      name,
    );
    parameters[`value${index}`] = value;
  }
  if (filter.since !== null) add('created_at >= :since', 'since', filter.since);
  if (filter.until !== null) add('created_at < :until', 'until', filter.until);
  if (filter.unchangedSince !== null) {
    add('updated_at < :unchanged', 'unchanged', filter.unchangedSince);
  }
  return conditions;
}

/**
 * `SELECT columns FROM job` with what a filter and `conditions` ask: one branch per state,
 * each read from its index in the order asked for. SQLite merges them lazily, where
 * `state IN (…)` would collect and sort all that match.
 */
export function branchesOf(
  columns: string,
  filter: Filter,
  conditions: readonly string[],
  parameters: Parameters,
): string {
  const all = [...conditionsOf(filter, parameters), ...conditions];
  let states: readonly (State | null)[] = [...new Set(filter.states)];
  // Naming every state turns one walk through all jobs into one seek per state.
  if (filter.queue !== null && states.length === 0) states = STATES;
  if (states.length === 0) states = [null];
  const branches = states.map((state, index) => {
    const where = [...all];
    // In so many words: an index of some jobs is not used for what a parameter may ask.
    if (state === 'dead') where.push("state = 'dead'");
    else if (state !== null) {
      where.push(`state = :state${index}`);
      parameters[`state${index}`] = state;
    }
    return `SELECT ${columns} FROM job${where.length === 0 ? '' : ` WHERE ${where.join(' AND ')}`}`;
  });
  return branches.join('\nUNION ALL\n');
}

export function horizon(db: Connection): Horizon {
  const newest = db.get<{ key: number | null }>('SELECT max(key) AS key FROM job');
  const last = db.get<{ value: number }>("SELECT value FROM meta WHERE name = 'run_token'");
  return { key: newest?.key ?? 0, runToken: last?.value ?? 0 };
}

export function match(db: Connection, query: MatchQuery): number[] {
  const { after, upTo, limit } = query;
  const parameters: Parameters = { after, upTo, limit };
  const jobs = branchesOf('key', query, ['key > :after', 'key <= :upTo'], parameters);
  return db
    .allNamed<{ key: number }>(`${jobs}\nORDER BY key LIMIT :limit`, parameters)
    .map(({ key }) => key);
}

/**
 * Those of the jobs found that still match and are in one of `states`: asked in the
 * transaction that acts on them. `Row` has these columns. With `notRunSince`, a run token,
 * only those whose last attempt is not newer than that one.
 */
export function stillMatching<Row extends object>(
  db: Connection,
  { keys, filter }: Found,
  columns: string,
  states: readonly State[],
  notRunSince?: number,
): Row[] {
  const parameters: Parameters = { keys: JSON.stringify(keys) };
  const conditions = conditionsOf(filter, parameters);
  if (notRunSince !== undefined) {
    conditions.push(
      `NOT EXISTS (
         SELECT 1 FROM attempt
         WHERE attempt.job = job.key AND number = job.last_attempt AND run_token > :notRunSince)`,
    );
    parameters['notRunSince'] = notRunSince;
  }
  const wanted =
    filter.states.length === 0 ? states : states.filter((state) => filter.states.includes(state));
  parameters['states'] = JSON.stringify(wanted);
  // The unary + keeps the planner on the keys: by state it might read half the table.
  return db.allNamed<Row>(
    `SELECT ${columns}
     FROM job
     WHERE ${[
       'key IN (SELECT value FROM json_each(:keys))',
       '+state IN (SELECT value FROM json_each(:states))',
       ...conditions.map((condition) => condition.replace(/^queue =/, '+queue =')),
     ].join('\n       AND ')}
     ORDER BY key`,
    parameters,
  );
}
