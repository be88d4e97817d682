// What can still be read of the jobs in a damaged database. Guards guarantee 12: the file is
// only read. A page that is gone costs the jobs on it and no others; a job that is handed
// over is one that was enqueued, whole: what cannot be that is counted as lost.

import { statSync } from 'node:fs';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { QueuectlError, systemCode } from '../../errors.ts';
import type { Job } from '../../job.ts';
import { isName } from '../../spec.ts';
import type { Salvaged, SalvagedJob } from '../inspection.ts';
import { explain, isMisfit } from './explain.ts';
import { refuseEmpty, statOf } from './file.ts';
import { openToLook, unreadable } from './look.ts';
import { withMended } from './mend.ts';
import { ATTEMPT_COLUMNS, type AttemptRow, jobOf, type JobRow } from './rows.ts';
import { BARE_COLUMNS, type BareRow, isSound } from './salvage-row.ts';
import { APPLICATION_ID } from './schema.ts';

/** Jobs to a read while nothing is wrong; a range that fails is halved until one job is left. */
const RANGE = 1000;
/** Reads that may fail: a damaged end of the numbers must not make it go on for ever. */
const MOST_FAILURES = 2_000_000;
/** Text of a job that fits on its page whatever else is in its row. */
const FITS_BYTES = 3500;
/** Enough to say what was lost. */
const MOST_NAMED = 10;

/** A new database has more pages; what is shorter cannot have been one. */
const SMALLEST = 20 * 4096;

const SELECT = `SELECT ${BARE_COLUMNS} FROM job WHERE key`;

/** Hands over each job that can be read. Throws where nothing at all can be. */
export function salvage(path: string, onJob: (found: SalvagedJob) => void): Salvaged {
  try {
    const stat = statOf(path);
    if (stat === null) {
      throw new QueuectlError('not_found', `there is no database at ${path}`, {
        hint: 'name another one with QUEUECTL_HOME or --db',
      });
    }
    if (!stat.isFile()) throw new QueuectlError('foreign', `${path} is not a regular file`);
    refuseEmpty(stat, path);
    return attempts(path, onJob);
  } catch (error) {
    if (systemCode(error) === 'EACCES') throw unreadable(path, error);
    throw isMisfit(error) ? nothingLeft(path, error) : explain(error, path);
  }
}

function nothingLeft(path: string, cause: unknown): QueuectlError {
  return new QueuectlError('damaged', `${path} is damaged: no job in it can be read`, {
    hint: 'nothing was changed; keep the file and restore a backup beside it',
    cause,
  });
}

/** As it is, then as it would be with another beginning; the first failure says most. */
function attempts(path: string, onJob: (found: SalvagedJob) => void): Salvaged {
  const read = (file: string): Salvaged => readFrom(file, path, onJob);
  try {
    return read(path);
  } catch (error) {
    if (explain(error, path).code !== 'damaged' || statSync(path).size < SMALLEST) throw error;
    for (const extent of ['header', 'page', 'page of a backup'] as const) {
      try {
        return withMended(path, extent, read);
      } catch (next) {
        if (!['damaged', 'foreign', 'unavailable'].includes(explain(next, path).code)) throw next;
      }
    }
    throw error;
  }
}

function readFrom(file: string, path: string, onJob: (found: SalvagedJob) => void): Salvaged {
  const db = openToLook(file, { damaged: true });
  try {
    refuseForeign(db, path);
    return new Salvage(db, onJob).run();
  } finally {
    db.close();
  }
}

function refuseForeign(db: DatabaseSync, path: string): void {
  const [found] = Object.values(db.prepare('PRAGMA application_id').get() ?? {});
  if (found === APPLICATION_ID) return;
  throw new QueuectlError('foreign', `${path} is not a queuectl database`, {
    hint: 'give another path with --db',
  });
}

class Salvage {
  readonly #db: DatabaseSync;
  readonly #onJob: (found: SalvagedJob) => void;
  readonly #statements = new Map<string, StatementSync>();
  readonly #ids = new Set<string>();
  readonly #queues: ReadonlyMap<unknown, string>;
  readonly #places = new Map<unknown, { cwd: string; path: string | null } | null>();
  #failures = 0;
  #unreadable = 0;
  #found: string | null | undefined;
  #ofJobs: string | undefined;

  constructor(db: DatabaseSync, onJob: (found: SalvagedJob) => void) {
    this.#db = db;
    this.#onJob = onJob;
    const queues = this.#rows<{ key: number; name: string }>('SELECT key, name FROM queue') ?? [];
    this.#queues = new Map(
      queues.filter(({ name }) => isName(name)).map(({ key, name }) => [key, name]),
    );
  }

  run(): Salvaged {
    const last = this.#lastKey();
    if (last > 0) this.#read(1, last);
    const expected = this.#expected();
    const lost = this.#ids.size === expected ? [] : this.#readByIndex();
    const unread = Math.max(lost.length, expected === null ? this.#unreadable : 0);
    return {
      jobs: this.#ids.size,
      lost: expected === null ? unread : Math.max(expected - this.#ids.size, 0),
      lostIds: lost.slice(0, MOST_NAMED),
    };
  }

  /** Null where it cannot be read. */
  #rows<Row extends object>(sql: string, ...values: (string | number)[]): Row[] | null {
    try {
      let statement = this.#statements.get(sql);
      if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)));
      // The shape is that of our own tables; values that are not are found out by isSound.
      return statement.all(...values) as Row[];
    } catch {
      return null;
    }
  }

  #read(first: number, last: number): void {
    for (let from = first; from <= last;) {
      const rows = this.#rows<BareRow>(
        `${SELECT} BETWEEN ? AND ? ORDER BY key LIMIT ${RANGE}`,
        from,
        last,
      );
      if (rows === null) {
        this.#failures += 1;
        if (from === last) this.#unreadable += 1;
        if (from === last || this.#failures > MOST_FAILURES) return;
        const middle = Math.floor((from + last) / 2);
        this.#read(from, middle);
        from = middle + 1;
        continue;
      }
      for (const row of rows) this.#take(row);
      if (rows.length < RANGE) return;
      // A key that is out of order must not send it back.
      from = Math.max(from, rows.at(-1)?.key ?? last) + 1;
    }
  }

  /**
   * By the index of ids, from both of its ends, what the table did not give in order: a key
   * out of order hides what comes behind it. Answers the ids of those that are gone.
   */
  #readByIndex(): string[] {
    const lost: string[] = [];
    const seen = new Set<string>();
    for (const [order, after, start] of [
      ['', '>', ''],
      ['DESC', '<', '\u{10ffff}'],
    ] as const) {
      let at: string = start;
      for (;;) {
        const found = this.#rows<{ id: string; key: number }>(
          `SELECT id, key FROM job INDEXED BY sqlite_autoindex_job_1
           WHERE id ${after} ? ORDER BY id ${order} LIMIT ${RANGE}`,
          at,
        );
        const end = found?.at(-1)?.id;
        if (found === null || end === undefined || seen.has(end)) break;
        for (const { id, key } of found) {
          if (seen.has(id) || this.#ids.has(id)) continue;
          seen.add(id);
          for (const row of this.#rows<BareRow>(`${SELECT} = ?`, key) ?? []) {
            if (row.id === id) this.#take(row);
          }
          if (!this.#ids.has(id)) lost.push(id);
        }
        at = end;
      }
    }
    return lost;
  }

  #take(row: BareRow): void {
    if (!isSound(row)) {
      this.#unreadable += 1;
      return;
    }
    if (this.#ids.has(row.id)) return;
    if (this.#isDeleted(row.id)) return;
    if (row.bytes > FITS_BYTES && this.#pagesAreShared()) {
      this.#unreadable += 1;
      return;
    }
    const queue = this.#queues.get(row.queue);
    const place = this.#placeOf(row.place);
    const job = this.#jobOf({
      ...row,
      queue_name: queue ?? '',
      cwd: place?.cwd ?? '',
      path: place?.path ?? null,
    });
    if (job === null) {
      this.#unreadable += 1;
      return;
    }
    this.#ids.add(row.id);
    this.#onJob({ job, queue: queue ?? null, cwd: place?.cwd ?? null });
  }

  #jobOf(row: Omit<JobRow, keyof AttemptRow | 'cancel_requested'>): Job | null {
    const [attempt] =
      row.last_attempt === 0
        ? []
        : (this.#rows<AttemptRow & { cancel_requested: number | null }>(
            `SELECT cancel_requested, ${ATTEMPT_COLUMNS}
             FROM attempt JOIN worker ON worker.key = attempt.worker
             WHERE attempt.job = ? AND attempt.number = ?`,
            row.key,
            row.last_attempt,
          ) ?? []);
    try {
      return jobOf({ ...row, ...NO_ATTEMPT, ...(attempt ?? { last_attempt: 0 }) });
    } catch {
      return null;
    }
  }

  #placeOf(key: number): { cwd: string; path: string | null } | null {
    let place = this.#places.get(key);
    if (place === undefined) {
      const sql = 'SELECT cwd, path FROM place WHERE key = ?';
      const [row] = this.#rows<{ cwd: string; path: string | null }>(sql, key) ?? [];
      place = typeof row?.cwd === 'string' && row.cwd.startsWith('/') ? row : null;
      this.#places.set(key, place);
    }
    return place;
  }

  /** What SQLite finds wrong; null where it cannot even look. */
  #problems(): string | null {
    if (this.#found === undefined) this.#found = this.#check('1000000')?.join('\n') ?? null;
    return this.#found;
  }

  #check(scope: string): string[] | null {
    const rows = this.#rows<{ integrity_check: string }>(`PRAGMA integrity_check(${scope})`);
    return rows?.map(({ integrity_check: line }) => line) ?? null;
  }

  /**
   * Whether some page belongs to two things. Text that goes on in further pages may then go
   * on in those of another job, and nothing in the row would show it.
   */
  #pagesAreShared(): boolean {
    return this.#problems()?.includes('2nd reference') ?? true;
  }

  /** Whether the index of ids is sound and does not know it: what was deleted leaves traces. */
  #isDeleted(id: string): boolean {
    const sql = 'SELECT key FROM job INDEXED BY sqlite_autoindex_job_1 WHERE id = ?';
    if (this.#rows(sql, id)?.length !== 0) return false;
    const [index] =
      this.#rows<{ rootpage: number }>(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_job_1'",
      ) ?? [];
    // Damage to other tables may keep SQLite from looking at them all.
    const problems = this.#problems() ?? (this.#ofJobs ??= this.#check('job')?.join('\n'));
    return problems !== undefined && !problems.includes(`Tree ${index?.rootpage} `);
  }

  /** How many jobs there should be; null where that cannot be read. */
  #expected(): number | null {
    const [row] = this.#rows<{ n: number | null }>('SELECT sum(n) AS n FROM tally') ?? [];
    return typeof row?.n === 'number' && Number.isSafeInteger(row.n) ? row.n : null;
  }

  /** AUTOINCREMENT writes it down; a damaged table may have a false end. Throws if neither is. */
  #lastKey(): number {
    const answers = [
      "SELECT seq AS last FROM sqlite_sequence WHERE name = 'job'",
      'SELECT coalesce(max(key), 0) AS last FROM job',
    ].map((sql) => this.#rows<{ last: number }>(sql)?.[0]?.last);
    const keys = answers.filter((key) => Number.isSafeInteger(key)).map(Number);
    if (keys.length > 0) return Math.max(...keys);
    const sql = 'SELECT max(key) AS last FROM job INDEXED BY job_by_state';
    const [row] = this.#rows<{ last: number }>(sql) ?? [];
    if (Number.isSafeInteger(row?.last)) return Number(row?.last);
    // What is wrong: damage, or the table is not even known.
    this.#db.prepare('SELECT key FROM job LIMIT 1').get();
    return 0;
  }
}

const NO_ATTEMPT = {
  cancel_requested: null,
  number: 0,
  run_token: 0,
  worker: 0,
  host: '',
  pid: 0,
  started_at: 0,
  finished_at: null,
  outcome: null,
  exit_code: null,
  signal: null,
  error: null,
  log_bytes: null,
} satisfies AttemptRow & { cancel_requested: null };
