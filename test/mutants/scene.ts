// One small directed storm on the executable: what is asked and done is written down, and
// at the end the history checker judges it as it judges a long one.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TestContext } from 'node:test';
import { check } from '../faults/kit/checker.ts';
import type { Asked, AttemptSeen, JobSeen, Killed } from '../faults/kit/history.ts';
import {
  type Crew,
  crew,
  killHard,
  spanned,
  spans,
  until,
  type WorkerShown,
} from '../fixtures/crew.ts';

/** Ms. Promised is a second; a busy machine may take so much more. */
const NOTICED_WITHIN = 5000;
/** Seconds, as set in every scene. */
const BACKOFF_BASE = 1;
const BACKOFF_MAX = 3600;
const STOPPED = 'stopped';
/** Seconds until a job that does not finish counts as one that never will. */
const PATIENCE = 10;

interface EnqueueOptions {
  readonly fields?: Readonly<Record<string, unknown>>;
  /** A program that runs the shell of the command in its own place, `env -i` say. */
  readonly within?: readonly string[];
}

export class Scene {
  readonly queue: Crew;
  readonly #asked: Asked[] = [];
  readonly #killed: Killed[] = [];

  private constructor(queue: Crew) {
    this.queue = queue;
  }

  static async open(
    t: TestContext,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<Scene> {
    const queue = crew(t);
    for (const [name, value] of Object.entries({ ...settings, backoff_base: `${BACKOFF_BASE}` })) {
      await queue.ok(['config', 'set', name, value]);
    }
    return new Scene(queue);
  }

  /** A job whose command writes down when it runs. */
  async enqueue(
    id: string,
    body: string,
    { fields = {}, within = [] }: EnqueueOptions = {},
  ): Promise<void> {
    const invokedAt = Date.now();
    const inner = spanned(body);
    const command = within.length === 0 ? inner : `exec ${within.join(' ')} sh -c '${inner}'`;
    const job = JSON.stringify({ id, command, ...fields });
    await this.queue.ok(['enqueue', job]);
    const answeredAt = Date.now();
    this.#asked.push({
      verb: 'enqueue',
      id,
      invokedAt,
      answeredAt,
      answer: 'ok',
      result: null,
    });
  }

  /** Jobs in one call, which may be refused. */
  async enqueueAll(ids: readonly string[]): Promise<void> {
    const invokedAt = Date.now();
    const jobs = ids.map((id) => JSON.stringify({ id, command: spanned('true') }));
    const { code } = await this.queue.q(['enqueue', '-'], { input: jobs.join('\n') });
    const answer = code === 0 ? 'ok' : 'failed';
    const answeredAt = Date.now();
    for (const id of ids) {
      this.#asked.push({ verb: 'enqueue', id, invokedAt, answeredAt, answer, result: null });
    }
  }

  async cancel(id: string): Promise<void> {
    const invokedAt = Date.now();
    const { code, stdout } = await this.queue.q(['--json', 'cancel', id]);
    const [{ result }] = JSON.parse(stdout) as [{ result: string }];
    const answer = code === 0 ? 'ok' : 'failed';
    this.#asked.push({ verb: 'cancel', id, invokedAt, answeredAt: Date.now(), answer, result });
  }

  /** Starts a worker that stops (SIGSTOP) when it first comes to this step. */
  async beginStopping(step: string): Promise<void> {
    const env = {
      QUEUECTL_FAILPOINT: `${step}:stop`,
      QUEUECTL_FAILPOINT_ONCE: join(this.queue.directory, STOPPED),
    };
    await this.queue.ok(['worker', 'start'], { env });
  }

  /** Its pid, once it has stopped. */
  async stopped(): Promise<number> {
    return Number(await until('a worker has stopped', () => this.queue.lines(STOPPED)[0]));
  }

  /** The worker that runs this job. */
  async owner(id: string): Promise<WorkerShown> {
    return await until(`${id} runs`, async () =>
      (await this.queue.workers()).find(({ jobs }) => jobs.includes(id)),
    );
  }

  async kill(pid: number): Promise<void> {
    this.#killed.push({ pid, at: Date.now() });
    await killHard(pid);
  }

  /** Until a command has written this line, `S2` say. */
  async written(id: string, what: 'S' | 'E', attempt: number): Promise<void> {
    await until(`${id} has written ${what}${attempt}`, () =>
      spans(this.queue).some(
        (span) => span.id === id && span.what === what && span.attempt === attempt,
      ),
    );
  }

  /** Waits for all jobs, stops the workers and holds what was against what should be. */
  async judge(): Promise<void> {
    const { queue } = this;
    const ids = this.#asked.filter(({ verb }) => verb === 'enqueue').map(({ id }) => id);
    await queue.q(['wait', ...ids, '--timeout', String(PATIENCE)]);
    // A broken queue may wait for ever; who is left is told below.
    await queue.q(['worker', 'stop', '--now'], { timeout: 5000 }).catch(() => {});
    const left = (): string[] => queue.processes().map(({ pid, args }) => `${pid} ${args}`);
    await until('nobody is left', () => left().length === 0, 1000).catch(() => {});
    const { jobs, integrity } = seenIn(join(queue.home, 'queue.db'));
    const findings = check(
      {
        asked: this.#asked,
        spans: spans(queue),
        killed: this.#killed,
        backoffBase: BACKOFF_BASE,
        backoffMax: BACKOFF_MAX,
        noticedWithin: NOTICED_WITHIN,
      },
      { jobs, integrity, left: left(), leaks: [] },
    );
    const told = findings.map((finding) => `${finding.invariant}: ${finding.told}`);
    assert.equal(told.length, 0, told.join('\n'));
  }
}

function seenIn(database: string): { jobs: JobSeen[]; integrity: string } {
  const db = new DatabaseSync(database, { readOnly: true });
  const all = <Row>(sql: string): Row[] => db.prepare(sql).all() as Row[];
  try {
    const attempts = Map.groupBy(
      all<AttemptSeen & { readonly job: number }>(
        `SELECT attempt.job, number, run_token AS runToken, pid, attempt.started_at AS startedAt,
           finished_at AS finishedAt, outcome, exit_code AS exitCode
         FROM attempt JOIN worker ON worker.key = attempt.worker ORDER BY job, number`,
      ),
      ({ job }) => job,
    );
    const jobs = all<Omit<JobSeen, 'history'> & { readonly key: number }>(
      'SELECT key, id, state, attempts, max_retries AS maxRetries FROM job ORDER BY key',
    );
    const [integrity] = all<{ integrity_check: string }>('PRAGMA integrity_check');
    return {
      jobs: jobs.map((job) => ({ ...job, history: attempts.get(job.key) ?? [] })),
      integrity: integrity?.integrity_check ?? 'no answer',
    };
  } finally {
    db.close();
  }
}
