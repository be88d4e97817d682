// Claiming: who gets which job. Higher priority first, then due time, then arrival, over
// all lanes that the worker serves; never what is not yet due.

import type { Claimed } from '../store.ts';
import type { Connection } from './connection.ts';
import { addWaiting, promoteDue, removeWaiting, type Standing, STANDING } from './place.ts';
import { decodeSpec, kindOf } from './rows.ts';

/** Jobs moved from `delayed` to `ready` per claim: some 5 ms of write lock at most. */
const PROMOTE_LIMIT = 1000;

/**
 * Looks at the ready index per claim. The first yields a job for every free slot, unless
 * the clock was set back and what it found is not due any more; each further look then
 * moves this many out of the way.
 */
const LOOKS = 10;
const FURTHER_LOOK = 100;

export interface ClaimRequest {
  readonly worker: number;
  readonly slots: number;
  readonly now: number;
  readonly leaseUntil: number;
}

interface WorkerRow {
  readonly queues: string | null;
  readonly stop: string | null;
  readonly ended_at: number | null;
}

interface JobRow extends Standing {
  readonly id: string;
  readonly kind: number;
  readonly command: string;
  readonly spec: string | null;
  readonly cwd: string;
  readonly path: string | null;
  readonly queue_name: string;
  readonly timeout: number | null;
  readonly attempts: number;
  readonly last_attempt: number;
  readonly max_retries: number;
}

export interface Claim {
  readonly claimed: readonly Claimed[];
  /** Gave up before it had filled the slots or seen everything that is ready. */
  readonly cutShort: boolean;
}

interface Head {
  readonly rank: number;
  readonly due: number;
  readonly job: number;
}

export function claim(db: Connection, request: ClaimRequest): Claim {
  const worker = db.get<WorkerRow>(
    'SELECT queues, stop, ended_at FROM worker WHERE key = ?',
    request.worker,
  );
  // A worker that was told to stop, or was declared dead, gets nothing.
  if (worker === undefined || worker.stop !== null || worker.ended_at !== null) {
    return { claimed: [], cutShort: false };
  }
  promoteDue(db, request.now, PROMOTE_LIMIT);

  const claimed: Claimed[] = [];
  for (let look = 0; claimed.length < request.slots; look += 1) {
    if (look === LOOKS) return { claimed, cutShort: true };
    const free = request.slots - claimed.length;
    const limit = look === 0 ? free : free + FURTHER_LOOK;
    const heads = firstInLine(db, servedLanes(db, worker.queues), limit);
    if (heads.length === 0) break;
    for (const head of heads) {
      if (claimed.length === request.slots) break;
      const job = take(db, head.job, request);
      if (job !== null) claimed.push(job);
    }
  }
  return { claimed, cutShort: false };
}

/** Lanes of the queues named; for a worker that serves all, those with something ready. */
export function servedLanes(db: Connection, queues: string | null): number[] {
  if (queues !== null) {
    return db
      .all<{ key: number }>(
        'SELECT key FROM queue WHERE name IN (SELECT value FROM json_each(?)) ORDER BY key',
        queues,
      )
      .map((row) => row.key);
  }
  // A loose index scan: one seek per lane, however many jobs stand in each.
  return db
    .all<{ lane: number }>(
      `WITH RECURSIVE lanes (lane) AS (
         SELECT min(lane) FROM ready
         UNION ALL
         SELECT (SELECT min(lane) FROM ready WHERE ready.lane > lanes.lane)
         FROM lanes WHERE lane IS NOT NULL
       )
       SELECT lane FROM lanes WHERE lane IS NOT NULL`,
    )
    .map((row) => row.lane);
}

/** The first `limit` jobs over all these lanes. Each lane is one seek in the ready index. */
function firstInLine(db: Connection, lanes: readonly number[], limit: number): Head[] {
  const heads: Head[] = [];
  for (const lane of lanes) {
    heads.push(
      ...db.all<Head>(
        'SELECT rank, due, job FROM ready WHERE lane = ? ORDER BY rank, due, job LIMIT ?',
        lane,
        limit,
      ),
    );
  }
  if (lanes.length > 1) {
    heads.sort((a, b) => a.rank - b.rank || a.due - b.due || a.job - b.job);
  }
  return heads.slice(0, limit);
}

const SELECT_WAITING = `
  SELECT ${STANDING}, job.id, job.kind, job.command, job.spec, place.cwd, place.path,
    queue.name AS queue_name, job.timeout, job.attempts, job.last_attempt, job.max_retries
  FROM job
  JOIN place ON place.key = job.place
  JOIN queue ON queue.key = job.queue
  WHERE job.key = ?`;

function take(db: Connection, key: number, request: ClaimRequest): Claimed | null {
  const job = db.get<JobRow>(SELECT_WAITING, key);
  if (job === undefined) return null;
  removeWaiting(db, job);
  // It was due when it was promoted, but the clock has been set back since.
  if (job.run_at !== null && job.run_at > request.now) {
    addWaiting(db, job, request.now);
    return null;
  }
  const number = job.last_attempt + 1;
  const charged = db.run(
    `UPDATE job
     SET state = 'processing', attempts = attempts + 1, last_attempt = ?, updated_at = ?
     WHERE key = ? AND state IN ('pending', 'failed')`,
    number,
    request.now,
    key,
  );
  if (charged === 0) return null; // it does not wait: then it must not start either
  const runToken = nextRunToken(db);
  db.run(
    `INSERT INTO attempt (job, number, run_token, worker, started_at, lease_until)
     VALUES (?, ?, ?, ?, ?, ?)`,
    key,
    number,
    runToken,
    request.worker,
    request.now,
    request.leaseUntil,
  );
  return {
    key,
    number,
    runToken,
    id: job.id,
    kind: kindOf(job.kind),
    command: job.command,
    spec: decodeSpec(job.spec),
    cwd: job.cwd,
    path: job.path,
    queue: job.queue_name,
    timeout: job.timeout,
    attempts: job.attempts + 1,
    maxRetries: job.max_retries,
  };
}

/** From one sequence per database that only grows: a re-used job id revives no old token. */
function nextRunToken(db: Connection): number {
  const row = db.get<{ value: number }>(
    "UPDATE meta SET value = value + 1 WHERE name = 'run_token' RETURNING value",
  );
  return row?.value ?? 0;
}
