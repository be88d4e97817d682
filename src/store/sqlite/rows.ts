// Rows of the database ↔ the types of job.ts. The only place that knows how kinds, specs
// and tags are written down.

import { QueuectlError } from '../../errors.ts';
import {
  type Attempt,
  type CommandSpec,
  type Job,
  type Kind,
  KINDS,
  type OutcomeKind,
  type State,
} from '../../job.ts';

/** The version of CommandSpec that this code writes. */
export const SPEC_VERSION = 1;

/** A kind is stored as its index in KINDS, which is therefore only ever appended to. */
export function kindNumber(kind: Kind): number {
  return KINDS.indexOf(kind);
}

export function kindOf(number: number): Kind {
  const kind = KINDS[number];
  if (kind === undefined) throw new QueuectlError('internal', `unknown kind of job: ${number}`);
  return kind;
}

export function encodeSpec(spec: CommandSpec): string | null {
  const text = JSON.stringify(spec);
  return text === '{}' ? null : text;
}

export function decodeSpec(text: string | null): CommandSpec {
  return text === null ? {} : (JSON.parse(text) as CommandSpec);
}

export interface AttemptRow {
  readonly number: number;
  readonly run_token: number;
  readonly worker: number;
  readonly host: string;
  readonly pid: number;
  readonly started_at: number;
  readonly finished_at: number | null;
  readonly outcome: OutcomeKind | null;
  readonly exit_code: number | null;
  readonly signal: string | null;
  readonly error: string | null;
  readonly log_bytes: number | null;
}

/** The columns of an AttemptRow, from `attempt` joined with `worker`. */
export const ATTEMPT_COLUMNS = `
  attempt.number, attempt.run_token, attempt.worker, worker.host, worker.pid,
  attempt.started_at, attempt.finished_at, attempt.outcome, attempt.exit_code,
  attempt.signal, attempt.error, attempt.log_bytes`;

export function attemptOf(row: AttemptRow): Attempt {
  return {
    number: row.number,
    runToken: row.run_token,
    worker: workerName(row.worker),
    host: row.host,
    pid: row.pid,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    outcome: row.outcome,
    exitCode: row.exit_code,
    signal: row.signal,
    error: row.error,
    logBytes: row.log_bytes,
  };
}

/** A job with its newest attempt; that part is null, all of it, before the first. */
export interface JobRow extends AttemptRow {
  readonly key: number;
  readonly id: string;
  readonly kind: number;
  readonly command: string;
  readonly spec: string | null;
  readonly cwd: string;
  readonly path: string | null;
  readonly queue_name: string;
  readonly priority: number;
  readonly state: State;
  readonly attempts: number;
  readonly last_attempt: number;
  readonly max_retries: number;
  readonly timeout: number | null;
  readonly tags: string | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly run_at: number | null;
  readonly cancel_requested: number | null;
}

/** SELECT … FROM for JobRows; append WHERE and ORDER BY on `job`. */
export const SELECT_JOBS = `
  SELECT job.key, job.id, job.kind, job.command, job.spec, place.cwd, place.path,
    queue.name AS queue_name, job.priority, job.state, job.attempts, job.last_attempt,
    job.max_retries, job.timeout, job.tags, job.created_at, job.updated_at, job.run_at,
    attempt.cancel_requested, ${ATTEMPT_COLUMNS}
  FROM job
  JOIN place ON place.key = job.place
  JOIN queue ON queue.key = job.queue
  LEFT JOIN attempt ON attempt.job = job.key AND attempt.number = job.last_attempt
  LEFT JOIN worker ON worker.key = attempt.worker`;

export function jobOf(row: JobRow): Job {
  return {
    key: row.key,
    id: row.id,
    kind: kindOf(row.kind),
    command: row.command,
    spec: decodeSpec(row.spec),
    cwd: row.cwd,
    path: row.path,
    queue: row.queue_name,
    priority: row.priority,
    state: row.state,
    attempts: row.attempts,
    lastAttempt: row.last_attempt,
    maxRetries: row.max_retries,
    timeout: row.timeout,
    tags: row.tags === null ? {} : (JSON.parse(row.tags) as Record<string, string>),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    runAt: row.run_at,
    cancelRequested: row.state === 'processing' && row.cancel_requested === 1,
    last: row.last_attempt === 0 ? null : attemptOf(row),
  };
}

/** Short, and unique because worker keys are never used twice. */
export function workerName(key: number): string {
  return `w${key}`;
}
