// What programs read: the JSON of jobs, attempts and workers. Keys, their order and their
// types are a contract (cli.md): scripts rely on them. Invariant: a key is never missing,
// unknown is null; times are ISO 8601 in UTC with milliseconds, durations seconds; the
// text is valid UTF-8 whatever a job is called or printed.

import { formatInstant } from '../instant.ts';
import { type Attempt, isTerminal, type Job } from '../job.ts';
import type { WorkerRecord } from '../store/store.ts';
import { outcomeText } from './outcome.ts';

/**
 * What JSON leaves as it is and a terminal acts upon (text.ts has the same): DEL, C1, line
 * separators, marks that reorder or hide text. Outside of strings JSON has none of them.
 */
const ACTIVE = /[\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/**
 * JSON.stringify, with halves of surrogate pairs replaced as every decoder would, and
 * nothing in it that could act on a terminal: an escape means the same to every program.
 */
export function wellFormedJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, wellFormed, indent).replace(
    ACTIVE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function wellFormed(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? value.toWellFormed() : value;
}

export function iso(at: number): string;
export function iso(at: number | null): string | null;
export function iso(at: number | null): string | null {
  return at === null ? null : formatInstant(at);
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}

export function jobJson(job: Job): Record<string, unknown> {
  const { last, spec } = job;
  return {
    id: job.id,
    command: job.command,
    state: job.state,
    attempts: job.attempts,
    max_retries: job.maxRetries,
    created_at: iso(job.createdAt),
    updated_at: iso(job.updatedAt),
    queue: job.queue,
    priority: job.priority,
    run_at: iso(job.runAt),
    started_at: iso(last?.startedAt ?? null),
    finished_at: isTerminal(job.state) ? iso(job.updatedAt) : null,
    timeout: seconds(job.timeout),
    exit_code: last?.exitCode ?? null,
    error: last === null ? null : failureOf(last),
    worker: last?.worker ?? null,
    tags: job.tags,
    cwd: job.cwd,
    after: [],
    args: spec.args ?? null,
    env: spec.env ?? {},
    env_from: spec.env_from ?? [],
    stdin: spec.stdin ?? null,
    stdin_text: spec.stdin_text ?? null,
    cancel_requested: job.cancelRequested,
    outcome: last?.outcome ?? null,
    signal: last?.signal ?? null,
  };
}

/** Why an attempt failed, in words; null while it runs and where it succeeded. */
function failureOf(attempt: Attempt): string | null {
  if (attempt.outcome === null || attempt.exitCode === 0) return null;
  return attempt.error ?? outcomeText(attempt);
}

export function attemptJson(attempt: Attempt): Record<string, unknown> {
  return {
    attempt: attempt.number,
    run_token: attempt.runToken,
    worker: attempt.worker,
    host: attempt.host,
    pid: attempt.pid,
    started_at: iso(attempt.startedAt),
    finished_at: iso(attempt.finishedAt),
    outcome: attempt.outcome,
    exit_code: attempt.exitCode,
    signal: attempt.signal,
    error: failureOf(attempt),
    log_bytes: attempt.logBytes,
  };
}

export type WorkerState = 'idle' | 'busy' | 'stopping';

export function workerState(worker: WorkerRecord): WorkerState {
  if (worker.stop !== null) return 'stopping';
  return worker.jobs.length > 0 ? 'busy' : 'idle';
}

/** `queues` null: all of them. */
export function workerJson(worker: WorkerRecord): Record<string, unknown> {
  return {
    name: worker.name,
    pid: worker.identity.pid,
    host: worker.identity.host,
    state: workerState(worker),
    queues: worker.queues,
    concurrency: worker.concurrency,
    jobs: worker.jobs,
    started_at: iso(worker.startedAt),
    heartbeat_at: iso(worker.heartbeatAt),
  };
}
