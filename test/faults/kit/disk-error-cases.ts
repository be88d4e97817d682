// The cases of fault 10, at every point or at some of them: what is swept, and what must be
// true after each run.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type Crew, crew, outcomes, spanned, spans } from '../../fixtures/crew.ts';
import { type DiskError, type Span, sweepEnqueue, sweepWorker } from './disk-errors.ts';
import { untraceable } from './strace.ts';

export interface EnqueueCase {
  readonly what: string;
  /** What there is before: no database at all, or one with a job in it. */
  readonly empty: boolean;
  readonly jobs: number;
}

export const ENQUEUES: readonly EnqueueCase[] = [
  { what: 'the first job of all', empty: true, jobs: 1 },
  { what: 'a job', empty: false, jobs: 1 },
  { what: 'a file of 300 jobs', empty: false, jobs: 300 },
];

/** Every so many points; null: none. */
export interface Steps {
  /** By case. */
  readonly enqueue: readonly number[];
  /** A worker tries again once a second, so these take long. */
  readonly workerOnce: number;
  readonly workerBurst: number | null;
}

const ERRORS: readonly DiskError[] = ['EIO', 'ENOSPC'];

/** The long form of one test, on a busy machine. */
const TIMEOUT_MS = 600_000;

/** The tests of the short or the long form. Each says how many points it had. */
export function diskErrorTests(title: string, steps: Steps): void {
  suite(title, { skip: untraceable, concurrency: 2 }, () => {
    for (const [index, one] of ENQUEUES.entries()) {
      test(
        `enqueue of ${one.what}: refused aloud, nothing acknowledged lost`,
        { timeout: TIMEOUT_MS },
        async (t) => {
          const step = steps.enqueue[index] ?? 1;
          let points = 0;
          let refusals = 0;
          for (const [error, span] of combinations('once', 'on')) {
            const queue = crew(t);
            if (!one.empty)
              await queue.ok(['enqueue', '--id', 'before', '--delay', '1h', '--', 'true']);
            const ids = Array.from({ length: one.jobs }, (_, i) => `job${i}`);
            const input = ids.map((id) => JSON.stringify({ id, command: 'true' })).join('\n');
            const swept = await sweepEnqueue(
              queue,
              ['enqueue', '-'],
              ids,
              { error, span, step },
              input,
            );
            points += swept.points;
            refusals += swept.refused.length;
            assert.ok(swept.refused.length > 0, 'nothing was ever refused');
          }
          t.diagnostic(`${points} points, ${refusals} refused`);
        },
      );
    }

    for (const [error, span] of combinations('once', 'burst')) {
      const step = span === 'once' ? steps.workerOnce : steps.workerBurst;
      if (step === null) continue;
      const faults = `${error}, ${span === 'once' ? 'once' : 'three times in a row'}`;
      test(
        `workers, ${faults}: every job ends in one state, no result is made up`,
        { timeout: TIMEOUT_MS },
        async (t) => {
          const queue = crew(t);
          await queue.ok(['config', 'set', 'backoff_max', '0']);
          await queue.enqueue('fine', spanned('echo out'));
          await queue.enqueue('fails', spanned('exit 3'), { max_retries: 0 });
          const sweep = { error, span, step };
          const swept = await sweepWorker(queue, sweep, (what) => assertEnded(queue, what));
          const { points, injected, unclean } = swept;
          t.diagnostic(`${points} points, ${injected} errors, ${unclean} times workers gave up`);
          assert.ok(injected > 0, 'nothing was ever refused');
        },
      );
    }
  });
}

function combinations(...all: readonly Span[]): (readonly [DiskError, Span])[] {
  return ERRORS.flatMap((error) => all.map((span) => [error, span] as const));
}

/** After the workers without errors: guarantees 3 to 5, by what the commands wrote themselves. */
async function assertEnded(queue: Crew, what: string): Promise<void> {
  const lines = spans(queue);
  assert.ok(!lines.some((line) => line.what === 'OVERLAP'), what);
  for (const [id, state, code] of [
    ['fine', 'completed', 0],
    ['fails', 'dead', 3],
  ] as const) {
    const job = await queue.show(id);
    const told = `${what}\n${id}: ${job.state}, ${outcomes(job)}`;
    assert.equal(job.state, state, told);
    const own = lines.filter((line) => line.id === id);
    for (const { attempt, outcome, exit_code } of job.history) {
      const ran = own.filter((line) => line.attempt === attempt).map((line) => line.what);
      if (outcome === 'exited') {
        assert.deepEqual([ran.join(''), exit_code], ['SE', code], told);
      } else {
        // Nobody could write down how it ended, or that it was given back.
        assert.match(String(outcome), /^(?:lost|interrupted|spawn_failed)$/, told);
      }
    }
    const numbers = new Set(job.history.map(({ attempt }) => attempt));
    assert.ok(
      own.every(({ attempt }) => numbers.has(attempt)),
      `${told}: ran unasked`,
    );
    assert.ok(own.filter((line) => line.what === 'S').length <= job.history.length, told);
  }
}
