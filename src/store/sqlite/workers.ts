// Workers and supervisors: who there is, who was asked to stop, and what each must know.

import type {
  AttemptRef,
  Attention,
  NewSupervisor,
  NewWorker,
  Renewal,
  RunningAttempt,
  StopMode,
  StopRequest,
  SupervisorRecord,
  WorkerRecord,
} from '../store.ts';
import { resolveSettings } from '../../config.ts';
import type { ProcessIdentity } from '../../platform/identity.ts';
import { servedLanes } from './claim.ts';
import type { Connection } from './connection.ts';
import { workerName } from './rows.ts';
import { readSettings } from './settings.ts';
import { nextDue } from './stats.ts';

interface IdentityRow {
  readonly host: string;
  readonly boot_id: string;
  readonly pid_namespace: string;
  readonly pid: number;
  readonly start_time: string;
}

const IDENTITY = 'host, boot_id, pid_namespace, pid, start_time';

function identityOf(row: IdentityRow): ProcessIdentity {
  return {
    host: row.host,
    bootId: row.boot_id,
    pidNamespace: row.pid_namespace,
    pid: row.pid,
    startTime: row.start_time,
  };
}

function identityValues(identity: ProcessIdentity): [string, string, string, number, string] {
  const { host, bootId, pidNamespace, pid, startTime } = identity;
  return [host, bootId, pidNamespace, pid, startTime];
}

export function registerSupervisor(db: Connection, now: number, supervisor: NewSupervisor): number {
  const key = db.insert(
    `INSERT INTO supervisor (${IDENTITY}, count, started_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ...identityValues(supervisor.identity),
    supervisor.count,
    now,
  );
  return key ?? 0;
}

export function registerWorker(
  db: Connection,
  now: number,
  boot: number,
  worker: NewWorker,
): number {
  const { lease } = resolveSettings(readSettings(db));
  const key = db.insert(
    // One that was still starting when its supervisor was told to stop is told so here.
    `INSERT INTO worker (${IDENTITY}, supervisor, queues, concurrency, ready, started_at,
       heartbeat_at, lease_until, stop, stop_by)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?9, ?10,
       (SELECT stop FROM supervisor WHERE key = ?6),
       (SELECT stop_by FROM supervisor WHERE key = ?6))`,
    ...identityValues(worker.identity),
    worker.supervisor,
    worker.queues === null ? null : JSON.stringify(worker.queues),
    worker.concurrency,
    now,
    Math.round(boot + lease),
  );
  return key ?? 0;
}

export function workerReady(db: Connection, worker: number): void {
  db.run('UPDATE worker SET ready = 1 WHERE key = ?', worker);
}

export function endWorker(db: Connection, now: number, worker: number, reason: string): void {
  db.run(
    'UPDATE worker SET ended_at = ?, end_reason = ? WHERE key = ? AND ended_at IS NULL',
    now,
    reason,
    worker,
  );
}

export function endSupervisor(db: Connection, now: number, key: number, reason: string): void {
  db.run(
    'UPDATE supervisor SET ended_at = ?, end_reason = ? WHERE key = ? AND ended_at IS NULL',
    now,
    reason,
    key,
  );
}

interface WorkerRow extends IdentityRow {
  readonly key: number;
  readonly supervisor: number | null;
  readonly queues: string | null;
  readonly concurrency: number;
  readonly ready: number;
  readonly started_at: number;
  readonly heartbeat_at: number;
  readonly lease_until: number;
  readonly stop: StopMode | null;
}

/** Of a Connection, or of whatever else reads. */
export type Reader = Pick<Connection, 'all'>;

export function workers(db: Reader): WorkerRecord[] {
  const rows = db.all<WorkerRow>(
    `SELECT key, ${IDENTITY}, supervisor, queues, concurrency, ready, started_at, heartbeat_at,
       lease_until, stop
     FROM worker
     WHERE ended_at IS NULL
     ORDER BY key`,
  );
  return rows.map((row) => ({
    key: row.key,
    name: workerName(row.key),
    identity: identityOf(row),
    supervisor: row.supervisor,
    queues: row.queues === null ? null : (JSON.parse(row.queues) as string[]),
    concurrency: row.concurrency,
    ready: row.ready === 1,
    startedAt: row.started_at,
    heartbeatAt: row.heartbeat_at,
    leaseUntil: row.lease_until,
    stop: row.stop,
    jobs: jobsOf(db, row.key),
  }));
}

function jobsOf(db: Reader, worker: number): string[] {
  return db
    .all<{ id: string }>(
      `SELECT job.id
       FROM attempt JOIN job ON job.key = attempt.job
       WHERE attempt.worker = ? AND attempt.finished_at IS NULL
       ORDER BY attempt.run_token`,
      worker,
    )
    .map((row) => row.id);
}

interface SupervisorRow extends IdentityRow {
  readonly key: number;
  readonly count: number;
  readonly started_at: number;
  readonly stop: StopMode | null;
}

export function supervisors(db: Connection): SupervisorRecord[] {
  const rows = db.all<SupervisorRow>(
    `SELECT key, ${IDENTITY}, count, started_at, stop
     FROM supervisor
     WHERE ended_at IS NULL
     ORDER BY key`,
  );
  return rows.map((row) => ({
    key: row.key,
    identity: identityOf(row),
    count: row.count,
    startedAt: row.started_at,
    stop: row.stop,
  }));
}

export function requestStop(db: Connection, request: StopRequest): void {
  const everybody = request.workers === null && request.supervisors === null;
  for (const [table, keys] of [
    ['supervisor', request.supervisors],
    ['worker', request.workers],
  ] as const) {
    // Only ever stricter: `now` stays `now`, and the earlier bound stays.
    db.run(
      `UPDATE ${table}
       SET stop = CASE WHEN stop = 'now' THEN 'now' ELSE ?1 END,
         stop_by = CASE WHEN stop_by IS NULL OR stop_by > ?2 THEN ?2 ELSE stop_by END
       WHERE ended_at IS NULL
         AND (?3 OR key IN (SELECT value FROM json_each(?4)))`,
      request.mode,
      request.stopBy,
      everybody ? 1 : 0,
      JSON.stringify(keys ?? []),
    );
  }
}

export function renew(
  db: Connection,
  now: number,
  leaseUntil: number,
  renewal: Renewal,
): { lost: number[] } {
  db.run(
    'UPDATE worker SET heartbeat_at = ?, lease_until = ? WHERE key = ? AND ended_at IS NULL',
    now,
    leaseUntil,
    renewal.worker,
  );
  const lost = renewal.attempts.filter((attempt) => !renewOne(db, leaseUntil, attempt));
  return { lost: lost.map((attempt) => attempt.runToken) };
}

function renewOne(db: Connection, leaseUntil: number, attempt: AttemptRef): boolean {
  const owned = db.run(
    `UPDATE attempt SET lease_until = ?
     WHERE job = ? AND number = ? AND run_token = ? AND finished_at IS NULL`,
    leaseUntil,
    attempt.key,
    attempt.number,
    attempt.runToken,
  );
  return owned === 1;
}

/**
 * Writes what any worker would have to write to renew its leases, and leaves it as it is.
 * Having the lock is not enough: on a full disk everybody has it and nobody can renew. With
 * less than this an owner that had no room for its own renewal could be called dead.
 */
export function probe(db: Connection): void {
  // There and back: what is overwritten with itself is not written at all.
  for (const step of [1, -1]) {
    db.run('UPDATE worker SET heartbeat_at = heartbeat_at + ? WHERE ended_at IS NULL', step);
    db.run('UPDATE attempt SET lease_until = lease_until + ? WHERE finished_at IS NULL', step);
  }
}

interface AttentionRow {
  readonly queues: string | null;
  readonly stop: StopMode | null;
  readonly stop_by: number | null;
  readonly ended_at: number | null;
}

export function attend(db: Connection, now: number, worker: number): Attention {
  const row = db.get<AttentionRow>(
    'SELECT queues, stop, stop_by, ended_at FROM worker WHERE key = ?',
    worker,
  );
  const cancelRequested = db
    .all<{ run_token: number }>(
      `SELECT run_token FROM attempt
       WHERE worker = ? AND finished_at IS NULL AND cancel_requested = 1`,
      worker,
    )
    .map((attempt) => attempt.run_token);
  return {
    cancelRequested,
    stop: row?.stop ?? null,
    stopBy: row?.stop_by ?? null,
    registered: row !== undefined && row.ended_at === null,
    nextDue: nextDue(db),
    ready: row !== undefined && somethingIsReady(db, now, row.queues),
    unfinished: row !== undefined && somethingIsUnfinished(db, row.queues),
    outdated: db.outdated(),
  };
}

/** A hint only: the claim decides. */
function somethingIsReady(db: Connection, now: number, queues: string | null): boolean {
  if (db.get('SELECT 1 FROM delayed WHERE due <= ? LIMIT 1', now) !== undefined) return true;
  if (queues === null) return db.get('SELECT 1 FROM ready LIMIT 1') !== undefined;
  return servedLanes(db, queues).some(
    (lane) => db.get('SELECT 1 FROM ready WHERE lane = ? LIMIT 1', lane) !== undefined,
  );
}

function somethingIsUnfinished(db: Connection, queues: string | null): boolean {
  const row = db.get(
    `SELECT 1
     FROM tally JOIN queue ON queue.key = tally.queue
     WHERE tally.n > 0
       AND tally.state IN ('pending', 'failed', 'processing')
       AND (?1 IS NULL OR queue.name IN (SELECT value FROM json_each(?1)))
     LIMIT 1`,
    queues,
  );
  return row !== undefined;
}

interface RunningRow extends IdentityRow {
  readonly job: number;
  readonly number: number;
  readonly run_token: number;
  readonly id: string;
  readonly worker: number;
  readonly lease_until: number;
  readonly cancel_requested: number | null;
}

export function running(db: Connection): RunningAttempt[] {
  const rows = db.all<RunningRow>(
    `SELECT attempt.job, attempt.number, attempt.run_token, job.id, attempt.worker,
       attempt.lease_until, attempt.cancel_requested, ${IDENTITY}
     FROM attempt
     JOIN job ON job.key = attempt.job
     JOIN worker ON worker.key = attempt.worker
     WHERE attempt.finished_at IS NULL
     ORDER BY attempt.run_token`,
  );
  return rows.map((row) => ({
    key: row.job,
    number: row.number,
    runToken: row.run_token,
    jobId: row.id,
    worker: row.worker,
    workerName: workerName(row.worker),
    owner: identityOf(row),
    leaseUntil: row.lease_until,
    cancelRequested: row.cancel_requested === 1,
  }));
}
