// Fault 4: a worker is killed (kill -9), and what it has started lives on: a command that
// ignores TERM, a child of it in the same group, one that left the group. All of them are gone
// before the job runs again: each holds a lock that the next attempt tests (guarantees 5, 6).

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  type Crew,
  crew,
  isAlive,
  killHard,
  ms,
  outcomes,
  spanned,
  spans,
  story,
  until,
  type WorkerShown,
} from '../fixtures/crew.ts';

/** Promised is a second; a machine full of tests may take so much more. */
const BUSY_MS = 4000;

const FIRST = `trap '' TERM
  sleep 61 & echo $! >>pids
  setsid sleep 62 & echo $! >>pids
  echo $$ >>pids; sleep 63`;

const COMMAND = spanned(`if [ $QUEUECTL_ATTEMPT = 1 ]; then ${FIRST}; else sleep 0.1; fi`);

suite('a worker dies and its child lives on', { concurrency: 3 }, () => {
  for (const [who, kill] of [
    ['its supervisor notices', (_: Crew, owner: WorkerShown) => [owner.pid]],
    [
      'its supervisor dies with it, another worker notices',
      (queue: Crew, owner: WorkerShown) => [...queue.supervisors(), owner.pid],
    ],
    [
      'everybody dies with it, the next start notices',
      (queue: Crew, owner: WorkerShown) => [
        ...queue.supervisors(),
        ...queue
          .processes()
          .filter(({ args }) => args.includes('__worker'))
          .map(({ pid }) => pid)
          .filter((pid) => pid !== owner.pid),
        owner.pid,
      ],
    ],
  ] as const) {
    test(`its old processes are gone before the job runs again: ${who}`, async (t) => {
      const queue = crew(t);
      await queue.ok(['config', 'set', 'backoff_base', '1']);
      await queue.begin('--count', '2');
      await queue.enqueue('job', COMMAND);
      await until('all of it runs', () => queue.lines('pids').length === 3);
      const old = queue.lines('pids').map(Number);
      const owner = (await queue.workers()).find(({ jobs }) => jobs.includes('job'));
      assert.ok(owner !== undefined);

      const victims = kill(queue, owner);
      const killedAt = Date.now();
      await killHard(...victims);
      const nobodyLeft = victims.length > 2;
      if (nobodyLeft) {
        assert.deepEqual(old.map(isAlive), [true, true, true], 'they do outlive their worker');
        await queue.begin('--count', '1');
      }
      const job = await queue.finished('job');

      assert.equal(story(queue, 'job'), 'S1 S2 E2', JSON.stringify(spans(queue)));
      assert.deepEqual(old.map(isAlive), [false, false, false]);
      assert.deepEqual([job.state, job.attempts], ['completed', 2]);
      assert.equal(outcomes(job), 'lost, exited 0');
      if (nobodyLeft) return;
      const noticed = ms(job.history[0]?.finished_at ?? null) - killedAt;
      assert.ok(noticed < 1000 + BUSY_MS, `recorded lost after ${noticed} ms`);
    });
  }
});
