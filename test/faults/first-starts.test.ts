// Fault 24: twenty first starts at once, where there is nothing yet, or a database of an older
// version. One makes it or migrates it, all work.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { type Crew, crew, type JobShown } from '../fixtures/crew.ts';
import { nextRelease } from './kit/next-release.ts';

const TWENTY = Array.from({ length: 20 }, (_, i) => i);

/** Also where one fails: the others must not go on starting when the test is over. */
async function atOnce<T>(each: (i: number) => Promise<T>): Promise<T[]> {
  const calls = TWENTY.map(each);
  await Promise.allSettled(calls);
  return await Promise.all(calls);
}

function assertOneDatabase({ home }: Crew, migrations: number): void {
  assert.deepEqual(
    readdirSync(home).filter((name) => !/^(queue\.db(-wal|-shm)?|logs|run|wake)$/.test(name)),
    [],
    'drafts',
  );
  const handle = new DatabaseSync(join(home, 'queue.db'));
  try {
    const scalar = (sql: string): unknown => Object.values(handle.prepare(sql).get() ?? {})[0];
    assert.equal(scalar('PRAGMA integrity_check'), 'ok');
    if (migrations > 0) assert.equal(scalar('SELECT count(*) FROM migrated'), migrations);
  } finally {
    handle.close();
  }
}

test('twenty first starts at once', async (t) => {
  const queue = crew(t);
  const started = await atOnce(async (i) => {
    await queue.ok(['enqueue', '--id', `before${i}`, '--', 'true']);
    return await queue.begin();
  });
  assert.equal(new Set(started.flat().map(({ name }) => name)).size, 20);
  assert.equal((await queue.workers()).length, 20);
  assert.equal(queue.supervisors().length, 20);
  const ids = Array.from({ length: 60 }, (_, i) => `job${i}`);
  const input = ids.map((id) => JSON.stringify({ id, command: 'sleep 0.2' })).join('\n');
  await queue.ok(['enqueue', '-'], { input });
  const jobs = await queue.allFinished([...ids, ...TWENTY.map((i) => `before${i}`)]);
  assert.ok(jobs.every(({ state, attempts }) => state === 'completed' && attempts === 1));
  assert.ok(new Set(jobs.map(({ history }) => history[0]?.worker)).size > 10);
  assertOneDatabase(queue, 0);
  assert.equal(await queue.ok(['worker', 'stop']), 'Stopped 20 workers\n');
  assert.doesNotMatch(queue.log(), /ended:|could not|trying again/);
});

test('twenty first starts of a newer version at once, on the database of this one', async (t) => {
  const queue = crew(t);
  const executable = await nextRelease(t, [
    'CREATE TABLE migrated (at INTEGER); INSERT INTO migrated VALUES (1)',
    'ALTER TABLE job ADD COLUMN note TEXT; UPDATE job SET note = id',
  ]);
  queue.cleanup(async () => {
    await queue.q(['worker', 'stop', '--now'], { executable });
  });
  const old = Array.from({ length: 100 }, (_, i) => `old${i}`);
  const input = old.map((id) => JSON.stringify({ id, command: 'true' })).join('\n');
  await queue.ok(['enqueue', '-'], { input });

  await atOnce(async (i) => {
    if (i % 2 === 0) await queue.ok(['worker', 'start'], { executable });
    else await queue.ok(['enqueue', '--id', `new${i}`, '--', 'true'], { executable });
  });
  const ids = [...old, ...TWENTY.filter((i) => i % 2 === 1).map((i) => `new${i}`)];
  await queue.ok(['wait', ...ids], { executable });
  const jobs = await queue.json<JobShown[]>(['list', '--limit', '1000'], { executable });
  assert.deepEqual(jobs.map(({ id }) => id).toSorted(), ids.toSorted());
  assert.ok(jobs.every(({ state, attempts }) => state === 'completed' && attempts === 1));
  assertOneDatabase(queue, 1);
  assert.equal(await queue.ok(['worker', 'stop'], { executable }), 'Stopped 10 workers\n');
  assert.doesNotMatch(queue.log(), /ended:|could not|trying again/);
});
