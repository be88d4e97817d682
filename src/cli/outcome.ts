// How an attempt ended: in words for people, and as the exit code that `wait` answers.

import type { Attempt, Job } from '../job.ts';
import { formatDuration } from '../duration.ts';
import { numberOfSignal } from '../platform/signals.ts';

/** `exit code 9`, `killed by SIGKILL`, `timed out` … Not yet escaped. */
export function outcomeText(attempt: Attempt): string {
  const { outcome, error } = attempt;
  switch (outcome) {
    case null:
      return 'running';
    case 'exited':
      return attempt.exitCode === 0 ? 'succeeded' : `exit code ${attempt.exitCode ?? '?'}`;
    case 'signaled':
      return `killed by ${attempt.signal ?? 'a signal'}`;
    case 'timed_out':
      return 'timed out';
    case 'spawn_failed':
      return error ?? 'could not be started';
    case 'lost':
      return error === null ? 'lost: its worker died' : `lost: ${error}`;
    case 'cancelled':
      return 'cancelled';
    case 'interrupted':
      return 'interrupted: its worker was stopped';
  }
}

/** How long it ran, or has run. */
export function runTime(attempt: Attempt, now: number): string {
  return formatDuration(Math.max(0, (attempt.finishedAt ?? now) - attempt.startedAt));
}

/** What `docker run` and `env` would answer for a job in a terminal state. */
export function exitCodeOf(job: Job): number {
  if (job.state === 'completed') return 0;
  if (job.state === 'cancelled') return 130;
  const { last } = job;
  switch (last?.outcome) {
    case 'exited':
    case 'spawn_failed':
      return last.exitCode ?? OURS_FAILED;
    case 'signaled':
      return 128 + numberOfSignal(last.signal ?? '');
    case 'timed_out':
      return 124;
    default:
      return OURS_FAILED;
  }
}

/** Where queuectl itself failed: unknown id, lost attempt, out of time. */
export const OURS_FAILED = 125;
