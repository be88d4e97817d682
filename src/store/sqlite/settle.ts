// The end of an attempt, however it came about: recorded by its worker, or reaped by
// somebody else. Guarantee 4: every write here carries the run token in its WHERE clause
// and changes nothing where that no longer owns the job.

import { type Outcome, settle, type Settled } from '../../job.ts';
import type { AttemptRef, Ended, Reaping, Recorded } from '../store.ts';
import type { BackoffPolicy } from '../../backoff.ts';
import type { Connection } from './connection.ts';
import { addWaiting, type Standing, STANDING } from './place.ts';

/** Minutes of throughput kept: what 'status' can look back on. */
const THROUGHPUT_MINUTES = 60;

export function record(
  db: Connection,
  now: number,
  backoff: BackoffPolicy,
  ended: Ended,
): Recorded {
  const { attempt, outcome } = ended;
  return finish(db, now, {
    attempt,
    outcome,
    backoff,
    logBytes: ended.logBytes,
    logKept: ended.logKept,
    random: ended.random,
  });
}

/** `lost` for an attempt whose owner is gone; refused if the lease was renewed meanwhile. */
export function reap(db: Connection, now: number, reaping: Reaping): Recorded {
  const renewed = db.get(
    `SELECT 1 FROM attempt
     WHERE job = ? AND number = ? AND run_token = ? AND finished_at IS NULL AND lease_until <> ?`,
    reaping.attempt.key,
    reaping.attempt.number,
    reaping.attempt.runToken,
    reaping.leaseUntil,
  );
  if (renewed !== undefined) return { stale: true };
  const { attempt, backoff, random, reason } = reaping;
  return finish(db, now, {
    attempt,
    outcome: { kind: 'lost' },
    backoff,
    logBytes: null,
    random,
    reason,
  });
}

interface Finish {
  readonly attempt: AttemptRef;
  readonly outcome: Outcome;
  readonly backoff: BackoffPolicy;
  readonly logBytes: number | null;
  readonly logKept?: number | undefined;
  readonly random: number;
  readonly reason?: string;
}

interface OwnedJob extends Standing {
  readonly attempts: number;
  readonly max_retries: number;
  readonly cancel_requested: number | null;
}

const SELECT_OWNED = `
  SELECT ${STANDING}, job.attempts, job.max_retries, attempt.cancel_requested
  FROM attempt JOIN job ON job.key = attempt.job
  WHERE attempt.job = ? AND attempt.number = ? AND attempt.run_token = ?
    AND attempt.finished_at IS NULL
    AND job.state = 'processing'`;

function finish(db: Connection, now: number, end: Finish): Recorded {
  const { key, number, runToken } = end.attempt;
  const job = db.get<OwnedJob>(SELECT_OWNED, key, number, runToken);
  if (job === undefined) return { stale: true };

  const settled = settle(end.outcome, {
    attempts: job.attempts,
    maxRetries: job.max_retries,
    // Read in this transaction: a cancel acknowledged before it wins (guarantee 9).
    cancelRequested: job.cancel_requested === 1,
    backoff: end.backoff,
    random: end.random,
  });
  const result = columnsOf(end.outcome, end.reason);
  const owned = db.run(
    `UPDATE attempt
     SET finished_at = ?, outcome = ?, exit_code = ?, signal = ?, error = ?, log_bytes = ?,
       log_kept = ?, lease_until = NULL, cancel_requested = NULL
     WHERE job = ? AND number = ? AND run_token = ? AND finished_at IS NULL`,
    now,
    end.outcome.kind,
    result.exitCode,
    result.signal,
    result.error,
    end.logBytes,
    end.logKept === end.logBytes ? null : (end.logKept ?? null),
    key,
    number,
    runToken,
  );
  if (owned === 0) return { stale: true };
  const runAt = move(db, now, job, settled);
  countThroughput(db, now, settled);
  return { stale: false, state: settled.state, runAt };
}

/** Moves the job on; answers its run_at. */
function move(db: Connection, now: number, job: OwnedJob, settled: Settled): number | null {
  const runAt = settled.delay === null ? job.run_at : now + settled.delay;
  db.run(
    `UPDATE job SET state = ?, attempts = ?, updated_at = ?, run_at = ?
     WHERE key = ? AND state = 'processing'`,
    settled.state,
    settled.charged ? job.attempts : job.attempts - 1,
    now,
    runAt,
    job.key,
  );
  if (settled.state === 'pending' || settled.state === 'failed') {
    addWaiting(db, { ...job, run_at: runAt }, now);
  }
  return runAt;
}

function columnsOf(
  outcome: Outcome,
  reason: string | undefined,
): {
  exitCode: number | null;
  signal: string | null;
  error: string | null;
} {
  switch (outcome.kind) {
    case 'exited':
      return { exitCode: outcome.code, signal: null, error: null };
    case 'signaled':
      return { exitCode: null, signal: outcome.signal, error: null };
    case 'spawn_failed':
      return { exitCode: outcome.code, signal: null, error: outcome.error };
    case 'lost':
      return { exitCode: null, signal: null, error: reason ?? null };
    case 'timed_out':
    case 'cancelled':
    case 'interrupted':
      return { exitCode: null, signal: null, error: null };
  }
}

/** Given-back attempts are neither a success nor a failure. */
function countThroughput(db: Connection, now: number, settled: Settled): void {
  if (settled.verb === 'release' || settled.verb === 'cancel') return;
  const minute = Math.floor(now / 60_000);
  const succeeded = settled.verb === 'complete' ? 1 : 0;
  const known = db.run(
    'UPDATE throughput SET succeeded = succeeded + ?, failed = failed + ? WHERE minute = ?',
    succeeded,
    1 - succeeded,
    minute,
  );
  if (known === 1) return;
  db.run(
    'INSERT INTO throughput (minute, succeeded, failed) VALUES (?, ?, ?)',
    minute,
    succeeded,
    1 - succeeded,
  );
  // Also what a clock that was set back has left in the future.
  db.run(
    'DELETE FROM throughput WHERE minute NOT BETWEEN ? AND ?',
    minute - THROUGHPUT_MINUTES,
    minute,
  );
}
