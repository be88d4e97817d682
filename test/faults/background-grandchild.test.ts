// Fault 36: a command that leaves something in the background which keeps its output open
// (guarantee 10).

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { crew, ms } from '../fixtures/crew.ts';

/** Promised is a second; a machine with a lot else to do may take so much more. */
const BUSY_MS = 2000;

suite('a background grandchild', { concurrency: 3 }, () => {
  for (const [what, command, log] of [
    ['keeps the output open', 'echo out; sleep 60 & exit 0', 'out\n'],
    [
      'ignores TERM',
      `(trap '' TERM; echo ready >&2; sleep 60; sleep 60) & sleep 0.3; exit 0`,
      'ready\n',
    ],
    ['has closed the output', 'sleep 60 >/dev/null 2>&1 & echo out', 'out\n'],
    [
      'says something when it is ended',
      `(trap 'sleep 0.2; echo end; exit' TERM; sleep 60 & wait) & sleep 0.3`,
      'end\n',
    ],
  ] as const) {
    test(`that ${what} ends with its command`, async (t) => {
      const queue = crew(t);
      await queue.begin();
      await queue.enqueue('job', command);
      const job = await queue.finished('job');
      // Of the job only: the worker goes on.
      const left = queue.processes().filter(({ args }) => !args.includes('__'));
      assert.deepEqual(left, []);
      assert.deepEqual([job.state, job.exit_code, job.attempts], ['completed', 0, 1]);
      const [attempt] = job.history;
      const took = ms(attempt?.finished_at ?? null) - ms(attempt?.started_at ?? null);
      t.diagnostic(`${took} ms`);
      assert.ok(took < 1000 + BUSY_MS, `${took} ms`);
      assert.equal(await queue.ok(['logs', 'job']), log);
    });
  }
});
