// Fault 47: 100,000 jobs become due at the same moment. Every queue makes progress, the oldest
// first, and nobody else waits long for the write lock: what is due is moved in bounded batches.

import { NO_FILTER } from '../../src/store/store.ts';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemEnv } from '../../src/env.ts';
import type { NewJob } from '../../src/job.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { crew, until } from '../fixtures/crew.ts';

const QUEUES = ['a', 'b', 'c', 'd', 'e'];
const EACH = 20_000;
/** Finished in each queue before we have seen enough. */
const ENOUGH = 50;
/** Of some milliseconds at most; a busy machine is given much more. */
const LONGEST_WAIT_MS = 5000;

interface StatusShown {
  readonly queues: readonly { readonly queue: string; readonly completed: number }[];
}

test('100,000 jobs due at once', { timeout: 120_000 }, async (t) => {
  const queue = crew(t);
  await queue.ok(['config', 'set', 'max_retries', '0']);

  // Stored an hour ago by the clock of who stored them; due by now, and nobody has moved them.
  const stored = await openSqliteStore({
    database: join(queue.home, 'queue.db'),
    wakeFile: join(queue.home, 'wake'),
    env: { ...systemEnv, now: () => systemEnv.now() - 3_600_000 },
    patience: 10_000,
  });
  const runAt = systemEnv.now() - 1;
  // Queue by queue: the last one's stand behind 80,000 others.
  const jobs = QUEUES.flatMap((name) =>
    Array.from({ length: EACH }, (_, i) => job(name, i, runAt)),
  );
  let begun = performance.now();
  await stored.enqueue(jobs);
  const inserting = performance.now() - begun;

  begun = performance.now();
  const waits: number[] = [];
  let over = false;
  const enqueuing = (async () => {
    while (!over) {
      const asked = performance.now();
      await queue.ok(['enqueue', '--queue', 'other', '--delay', '1h', '--', 'true']);
      waits.push(performance.now() - asked);
    }
  })();
  for (const name of QUEUES) await queue.begin('--queue', name);
  await queue.begin('--concurrency', '2');
  const done = await until('every queue makes progress', async () => {
    const { queues } = await queue.json<StatusShown>(['status']);
    const counts = QUEUES.map((name) => queues.find((each) => each.queue === name)?.completed ?? 0);
    return Math.min(...counts) >= ENOUGH ? counts : null;
  }).finally(() => (over = true));
  await enqueuing;
  const progress = performance.now() - begun;
  await queue.ok(['worker', 'stop']);

  for (const name of QUEUES) {
    const { jobs: oldest } = await stored.list({
      ...NO_FILTER,
      queue: name,
      sort: 'oldest',
      limit: EACH,
      cursor: null,
    });
    assert.equal(oldest.length, EACH);
    const ran = oldest.filter(({ lastAttempt }) => lastAttempt > 0).length;
    assert.ok(
      oldest.slice(0, ran).every(({ lastAttempt }) => lastAttempt === 1),
      name,
    );
  }
  await stored.close();
  waits.sort((one, other) => one - other);
  const longest = waits.at(-1) ?? assert.fail();
  assert.ok(longest < LONGEST_WAIT_MS, `an enqueue took ${longest} ms`);
  t.diagnostic(
    `stored in ${Math.round(inserting)} ms; ${Math.round(progress)} ms after the first worker's ` +
      `start ${done.join('/')} were done by queue; meanwhile an enqueue took ` +
      `${Math.round(waits[Math.floor(waits.length / 2)] ?? 0)} ms (median of ${waits.length}), ` +
      `${Math.round(longest)} ms at most`,
  );
});

function job(queue: string, n: number, runAt: number): NewJob {
  return {
    id: `${queue}${n}`,
    kind: 'command',
    queue,
    priority: 0,
    command: 'true',
    spec: {},
    cwd: '/',
    path: null,
    tags: null,
    maxRetries: null,
    timeout: null,
    delay: null,
    runAt,
  };
}
