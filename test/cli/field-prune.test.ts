// Field cases: deleting what is old. LQ-21, LQ-22: only what has ended goes, and a prune that
// is stopped or killed leaves nothing half.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { type Box, box, exitCode } from './box.ts';
import { type JobJson, shell, until, untilState, working } from './field.ts';

const DAY = 86_400_000;
/** More than a prune deletes until it is stopped: fifty at a time, with a rest after each. */
const JOBS = 60_000;

function database(t: TestContext, cli: Box): DatabaseSync {
  const db = new DatabaseSync(join(cli.home, 'queue.db'), { timeout: 10_000 });
  t.after(() => db.close());
  return db;
}

/** Files in the folder of logs, of whatever job. */
function logs(cli: Box): string[] {
  const root = join(cli.home, 'logs', 'jobs');
  return readdirSync(root).flatMap((name) => readdirSync(join(root, name)));
}

/** Jobs that ended 30 days ago, each with an attempt, the first 2,000 with a log. */
async function history(t: TestContext, cli: Box): Promise<DatabaseSync> {
  await cli.ok(['enqueue', '-'], { input: '{"command":"true"}\n'.repeat(JOBS) });
  const db = database(t, cli);
  db.exec(`
    BEGIN IMMEDIATE;
    INSERT INTO attempt (job, number, run_token, worker, started_at, finished_at, outcome, exit_code)
      SELECT key, 1, key, 1, created_at, created_at, 'exited', 0 FROM job;
    UPDATE meta SET value = ${JOBS} WHERE name = 'run_token';
    UPDATE attempt SET log_bytes = 1 WHERE job <= 2000;
    DELETE FROM ready;
    UPDATE job SET state = 'completed', attempts = 1, last_attempt = 1,
      created_at = created_at - ${30 * DAY}, updated_at = updated_at - ${30 * DAY};
    COMMIT`);
  for (let key = 1; key <= 2000; key += 1) {
    const directory = join(cli.home, 'logs', 'jobs', String(Math.floor(key / 1000)));
    if (!existsSync(directory)) mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `${key}.1.log`), 'x');
  }
  return db;
}

/** Nothing is half: answers how many jobs there are. */
function whole(db: DatabaseSync): number {
  const row = db
    .prepare(`
      SELECT (SELECT count(*) FROM job) AS jobs,
        (SELECT sum(n) FROM tally) AS counted,
        (SELECT count(*) FROM attempt) AS attempts,
        (SELECT count(*) FROM attempt WHERE job NOT IN (SELECT key FROM job)) AS orphans,
        (SELECT sum(log_bytes) FROM queue) - (SELECT count(log_bytes) FROM attempt) AS drift`)
    .get() as Record<string, number>;
  const { jobs = -1 } = row;
  assert.deepEqual({ ...row }, { jobs, counted: jobs, attempts: jobs, orphans: 0, drift: 0 });
  return jobs;
}

test('LQ-22 · a prune that is interrupted leaves nothing half and goes on next time', async (t) => {
  const cli = box(t);
  const db = await history(t, cli);
  const left = (): number => Number(db.prepare('SELECT count(*) AS n FROM job').get()?.['n']);
  let before = whole(db);
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGKILL', null],
    ['SIGTERM', 143],
    ['SIGKILL', null],
  ] as const) {
    const prune = cli.start(['prune']);
    await until('some are gone', () => Promise.resolve(left() < before ? true : undefined));
    prune.kill(signal);
    assert.equal(await exitCode(prune), code);
    const after = whole(db);
    assert.ok(after > 0 && after < before, `${after} of ${before}`);
    before = after;
  }
  // As killed between deleting rows and their logs.
  db.exec('DELETE FROM attempt WHERE job > 1500 AND job <= 1600');
  db.exec('DELETE FROM job WHERE key > 1500 AND key <= 1600');
  assert.ok(logs(cli).includes('1600.1.log'));

  await cli.ok(['worker', 'start', '--concurrency', '4']);
  const pruned = cli.json<{ deleted: number }>(['prune', '--older-than', '1d', '--yes']);
  await cli.ok(['enqueue', '--id', 'meanwhile', '--', 'echo', 'kept']);
  await cli.ok(['wait', 'meanwhile']);
  assert.ok((await pruned).deleted > 0);
  assert.equal(left(), 1);
  assert.deepEqual(await cli.json(['prune']), { deleted: 0 });
  assert.deepEqual(logs(cli), [`${JOBS + 1}.1.log`]);
  assert.equal(await cli.ok(['logs', 'meanwhile']), 'kept\n');
});

test('LQ-21 · prune deletes only what has ended, however old the rest is', async (t) => {
  const cli = await working(t);
  await cli.ok(shell('retries', 'exit 1', '--max-retries', '9'));
  await cli.ok(['enqueue', '--id', 'far', '--delay', '60d', '--', 'true']);
  await cli.ok(shell('dead', 'exit 1'));
  await cli.ok(['enqueue', '--id', 'fine', '--', 'true']);
  await cli.ok(['enqueue', '--id', 'gone', '--delay', '60d', '--', 'true']);
  await cli.ok(['cancel', 'gone']);
  await cli.q(['wait', 'dead', 'fine']);
  await untilState(cli, 'retries', 'failed');
  await cli.ok(['worker', 'stop', '--now']);
  await cli.ok(['enqueue', '-'], { input: '{"command":"true","queue":"backlog"}\n'.repeat(500) });
  await cli.ok(['config', 'set', 'retention', '1m']);
  await cli.ok(['config', 'set', 'retention_jobs', '0']);
  database(t, cli).exec(`UPDATE job SET updated_at = updated_at - ${90 * DAY}`);
  assert.deepEqual(await cli.json(['prune']), { deleted: 2 });
  assert.deepEqual(await cli.json(['prune', '--older-than', '0s', '--yes']), { deleted: 0 });
  const jobs = await cli.json<JobJson[]>(['list', '--queue', 'default']);
  assert.deepEqual(jobs.map(({ id }) => id).toSorted(), ['dead', 'far', 'retries']);
  const backlog = await cli.json<JobJson[]>(['list', '--queue', 'backlog', '--limit', '1000']);
  assert.equal(backlog.length, 500);
});

test('LQ-13 · several who prune at once share the jobs, and each ends when none is left', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '-'], { input: '{"command":"true"}\n'.repeat(5000) });
  database(t, cli).exec(`
    BEGIN IMMEDIATE;
    DELETE FROM ready;
    UPDATE job SET state = 'cancelled', updated_at = updated_at - ${30 * DAY};
    COMMIT`);
  const deleted = await Promise.all(
    [1, 2, 3].map(async () => {
      const answer = await cli.json<{ deleted: number }>(['prune']);
      assert.equal((await cli.json<{ jobs: number }[]>(['list'])).length, 0, 'ended too early');
      return answer.deleted;
    }),
  );
  assert.equal(
    deleted.reduce((sum, n) => sum + n, 0),
    5000,
  );
});
