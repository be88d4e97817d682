// What the database says, read with SQLite alone: a checker that asked the program would
// believe it.

import { DatabaseSync } from 'node:sqlite';
import type { AttemptSeen, JobSeen } from './history.ts';

interface Row {
  readonly id: string;
  readonly state: string;
  readonly attempts: number;
  readonly maxRetries: number;
  readonly number: number | null;
  readonly runToken: number;
  readonly pid: number;
  readonly startedAt: number;
  readonly finishedAt: number | null;
  readonly outcome: string | null;
  readonly exitCode: number | null;
}

export class Look {
  readonly #db: DatabaseSync;

  constructor(database: string) {
    this.#db = new DatabaseSync(database, { readOnly: true, timeout: 10_000 });
  }

  /** Jobs that are not in a terminal state. */
  unfinished(): number {
    const row = this.#db
      .prepare(
        "SELECT count(*) AS n FROM job WHERE state IN ('pending', 'processing', 'failed', 'blocked')",
      )
      .get();
    return Number(row?.['n'] ?? 0);
  }

  jobs(): JobSeen[] {
    const rows = this.#db
      .prepare(
        `SELECT job.key, job.id, job.state, job.attempts, job.max_retries AS maxRetries,
           attempt.number, attempt.run_token AS runToken, worker.pid,
           attempt.started_at AS startedAt, attempt.finished_at AS finishedAt,
           attempt.outcome, attempt.exit_code AS exitCode
         FROM job
         LEFT JOIN attempt ON attempt.job = job.key
         LEFT JOIN worker ON worker.key = attempt.worker
         ORDER BY job.key, attempt.number`,
      )
      .all() as unknown as (Row & { readonly key: number })[];
    return [...Map.groupBy(rows, ({ key }) => key).values()].map((some) => jobOf(some));
  }

  /** When it was recorded that the supervisor is gone that had this pid then; null: never. */
  supervisorEnded(pid: number, at: number): number | null {
    const row = this.#db
      .prepare(
        `SELECT ended_at AS ended FROM supervisor
         WHERE pid = ? AND started_at <= ? AND ended_at >= ?
         ORDER BY key LIMIT 1`,
      )
      .get(pid, at, at);
    return row === undefined ? null : Number(row['ended']);
  }

  /** `ok`, or what is wrong. */
  integrity(): string {
    const rows = this.#db.prepare('PRAGMA integrity_check').all();
    return rows.map((row) => String(Object.values(row)[0])).join('; ');
  }

  close(): void {
    this.#db.close();
  }
}

function jobOf(rows: readonly Row[]): JobSeen {
  const [first] = rows;
  if (first === undefined) throw new Error('a job without a row');
  const { id, state, attempts, maxRetries } = first;
  const history = rows.flatMap((row): AttemptSeen[] => {
    const { number, runToken, pid, startedAt, finishedAt, outcome, exitCode } = row;
    return number === null
      ? []
      : [{ number, runToken, pid, startedAt, finishedAt, outcome, exitCode }];
  });
  return { id, state, attempts, maxRetries, history };
}
