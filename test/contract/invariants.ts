// What holds in any database at any quiet moment, seen through the contract alone.

import assert from 'node:assert/strict';
import { type Attempt, isTerminal, type Job, STATES } from '../../src/job.ts';
import type { RunningAttempt, Stats, Store, WorkerRecord } from '../../src/store/store.ts';
import { query } from './values.ts';

interface Seen {
  readonly jobs: readonly Job[];
  /** By key of the job. */
  readonly attempts: ReadonlyMap<number, readonly Attempt[]>;
  readonly stats: Stats;
  readonly running: readonly RunningAttempt[];
  readonly workers: readonly WorkerRecord[];
}

/** Everything there is to see. Equal before and after: nothing was changed. */
export async function everything(store: Store): Promise<Seen> {
  const jobs = await allJobs(store);
  const attempts = new Map<number, Attempt[]>();
  for (const { key } of jobs) attempts.set(key, await store.attempts(key));
  return {
    jobs,
    attempts,
    stats: await store.stats(),
    running: await store.running(),
    workers: await store.workers(),
  };
}

/** Every job, oldest first, through pages. */
export async function allJobs(store: Store): Promise<Job[]> {
  const jobs: Job[] = [];
  for (;;) {
    const cursor = jobs.at(-1)?.id ?? null;
    const page = await store.list(query({ sort: 'oldest', limit: 1000, cursor }));
    jobs.push(...page.jobs);
    if (!page.more) return jobs;
  }
}

export async function assertConsistent(store: Store): Promise<void> {
  const seen = await everything(store);
  assertCounts(seen);
  for (const job of seen.jobs) assertJob(job, seen);
  assertRunning(seen);
}

/** The counts are those of the rows: never off, never negative, never zero. */
function assertCounts({ jobs, stats }: Seen): void {
  assert.ok(stats.counts.every(({ n }) => n > 0));
  const order = (counts: readonly string[]): string[] => counts.toSorted();
  const counted = new Map<string, number>();
  for (const { queue, state } of jobs) {
    const name = `${queue} ${state}`;
    counted.set(name, (counted.get(name) ?? 0) + 1);
  }
  assert.deepEqual(
    order(stats.counts.map(({ queue, state, n }) => `${queue} ${state} ${n}`)),
    order([...counted].map(([name, n]) => `${name} ${n}`)),
    'the counts are those of the rows',
  );
}

/** The history replays to the job's row. */
function assertJob(job: Job, { attempts, running }: Seen): void {
  const history = attempts.get(job.key) ?? [];
  assert.ok(STATES.includes(job.state));
  assert.deepEqual(
    history.map(({ number }) => number),
    history.map((_, index) => index + 1),
    `${job.id}: numbers its attempts 1, 2, 3 …`,
  );
  assert.equal(job.lastAttempt, history.length);
  assert.deepEqual(job.last, history.at(-1) ?? null);
  const tokens = history.map(({ runToken }) => runToken);
  assert.deepEqual(
    tokens,
    [...new Set(tokens)].toSorted((a, b) => a - b),
    'run tokens grow',
  );

  const unfinished = history.filter(({ finishedAt, outcome }) => {
    assert.equal(finishedAt === null, outcome === null);
    return finishedAt === null;
  });
  const owned = running.filter(({ key }) => key === job.key);
  const owners = job.state === 'processing' ? 1 : 0;
  assert.equal(unfinished.length, owners, `${job.id}: one attempt owns it while it runs`);
  assert.equal(owned.length, owners);
  assert.equal(
    job.cancelRequested,
    owned.some(({ cancelRequested }) => cancelRequested),
  );

  const charged = history.filter(({ outcome }) => outcome !== 'interrupted').length;
  // Not at most max_retries + 1: an edit may have taken retries away since.
  assert.ok(job.attempts >= 0);
  // A cancelled job keeps the charge of the attempt that its cancel interrupted.
  const given = job.state === 'cancelled' ? history.length : charged;
  assert.ok(job.attempts <= given, `${job.id}: charged for what ran`);
  if (!isTerminal(job.state)) return;
  const { outcome, exitCode } = job.last ?? { outcome: null, exitCode: null };
  if (job.state === 'completed') assert.deepEqual([outcome, exitCode], ['exited', 0]);
  if (job.state === 'dead') {
    assert.ok(outcome !== null && outcome !== 'interrupted' && outcome !== 'cancelled');
    assert.ok(job.attempts > job.maxRetries, `${job.id}: dead with retries left`);
  }
}

function assertRunning({ running, workers, jobs }: Seen): void {
  const tokens = running.map(({ runToken }) => runToken);
  assert.equal(new Set(tokens).size, tokens.length);
  for (const worker of workers) {
    const owned = running.filter((attempt) => attempt.worker === worker.key);
    assert.deepEqual(
      worker.jobs,
      owned.map(({ jobId }) => jobId),
    );
    assert.ok(owned.every(({ workerName }) => workerName === worker.name));
  }
  const processing = jobs.filter(({ state }) => state === 'processing').length;
  assert.equal(running.length, processing);
}
