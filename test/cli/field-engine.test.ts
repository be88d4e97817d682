// Field cases of library queues, as far as jobs are commands: leases, cancels, retries,
// order, counters. LQ-05, LQ-06, LQ-08, LQ-10, LQ-13 to LQ-15, LQ-19, LQ-21, LQ-23.
// LQ-01, LQ-03, LQ-07, LQ-17 are in workers.test.ts, the races of LQ-08 in
// test/faults/cancel-races-claim.test.ts.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { type Box, box } from './box.ts';
import { type JobJson, line, shell, until, untilState, working } from './field.ts';

interface WorkerJson {
  readonly name: string;
  readonly pid: number;
  readonly jobs: string[];
}

/** The queue's own database, as somebody with the sqlite3 shell would open it. */
function database(t: { after(hook: () => void): void }, cli: Box): DatabaseSync {
  const db = new DatabaseSync(join(cli.home, 'queue.db'), { timeout: 10_000 });
  t.after(() => db.close());
  return db;
}

/** Holds a lock for so many seconds; start and end go to `spans`, in one directory for all. */
const span = (seconds: number): string =>
  'exec 9>>lock.$QUEUECTL_JOB_ID; flock -n 9 || echo OVERLAP >> spans;' +
  ` echo S $QUEUECTL_JOB_ID >> spans; sleep ${seconds}; echo E $QUEUECTL_JOB_ID >> spans`;

function spans(cli: Box): string[] {
  const file = join(cli.directory, 'spans');
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
}

const pidsOf = async (cli: Box): Promise<number[]> =>
  (await cli.json<WorkerJson[]>(['worker', 'list'])).map(({ pid }) => pid);

const parentOf = (pid: number): number =>
  Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

test('LQ-05 · the result cannot be written for a while', async (t) => {
  const cli = await working(t);
  await cli.ok(['config', 'set', 'lease', '1s']);
  const db = database(t, cli);
  for (const [id, locked] of [
    ['half', 500],
    ['double', 2000],
  ] as const) {
    await cli.ok(shell(id, span(1)));
    await untilState(cli, id, 'processing');
    db.exec('BEGIN IMMEDIATE');
    await until('the command has ended', async () =>
      spans(cli).includes(`E ${id}`) ? true : undefined,
    );
    await new Promise((resolve) => setTimeout(resolve, locked));
    db.exec('COMMIT');
    await cli.ok(['wait', id]);
    const { attempts, history } = await cli.json<JobJson>(['show', id]);
    assert.deepEqual([attempts, history.length], [1, 1], id);
  }
  assert.deepEqual(spans(cli), ['S half', 'E half', 'S double', 'E double']);
});

test('LQ-06 · after suspend and resume work goes on, and who is dropped comes back', async (t) => {
  const cli = box(t);
  await cli.ok(['config', 'set', 'lease', '1s']);
  await cli.ok(['config', 'set', 'max_retries', '0']);
  await cli.ok(['worker', 'start', '--count', '2']);
  const workers = await pidsOf(cli);
  const all = [parentOf(workers[0] ?? 0), ...workers];
  await cli.ok(shell('long', span(1)));
  await untilState(cli, 'long', 'processing');
  // Not in the middle of a write: who stands still with the lock keeps everybody waiting.
  const db = database(t, cli);
  db.exec('BEGIN IMMEDIATE');
  for (const pid of all) process.kill(pid, 'SIGSTOP');
  db.exec('ROLLBACK');
  await cli.ok(['enqueue', '--id', 'meanwhile', '--', 'true']);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  for (const pid of all) process.kill(pid, 'SIGCONT');
  await cli.ok(['wait', 'long', 'meanwhile']);
  assert.deepEqual(spans(cli), ['S long', 'E long']);
  assert.deepEqual(await pidsOf(cli), workers);

  db.exec('DELETE FROM worker');
  await cli.ok(['enqueue', '--id', 'after', '--', 'true']);
  await cli.ok(['wait', 'after']);
  await until('worker list is true again', async () =>
    (await pidsOf(cli)).length === 2 ? true : undefined,
  );
});

test('LQ-08 · cancel of what waits means that it never starts', async (t) => {
  const cli = await working(t, 1);
  await cli.ok(['config', 'set', 'backoff_base', '3']);
  await cli.ok(shell('failed', 'echo failed >> ran; exit 1', '--max-retries', '3'));
  await cli.ok(shell('later', 'echo later >> ran', '--delay', '3s'));
  const { run_at: retry } = await untilState(cli, 'failed', 'failed');
  const { run_at: delayed } = await cli.json<JobJson>(['show', 'later']);
  await cli.ok(shell('holds', 'sleep 60'));
  const ids = Array.from({ length: 50 }, (_, i) => `p${i}`);
  const input = ids.map((id) => JSON.stringify({ id, command: `echo ${id} >> ran` })).join('\n');
  await cli.ok(['enqueue', '-'], { input });
  await untilState(cli, 'holds', 'processing');
  const answers = await cli.json<{ id: string; result: string }[]>([
    'cancel',
    'later',
    'failed',
    'holds',
    ...ids,
  ]);
  for (const { id, result } of answers) {
    assert.equal(result, id === 'holds' ? 'cancel_requested' : 'cancelled', id);
  }
  assert.equal((await cli.q(['wait', 'holds'])).code, 130);
  await cli.ok(['worker', 'stop']);
  await cli.ok(['worker', 'start', '--count', '2']);
  const due = Math.max(Date.parse(retry ?? ''), Date.parse(delayed ?? '')) + 300;
  const last = ['enqueue', '--id', 'last', '--run-at', new Date(due).toISOString(), '--', 'true'];
  await cli.ok(last);
  await cli.ok(['wait', 'last']);
  assert.equal(readFileSync(join(cli.directory, 'ran'), 'utf8'), 'failed\n');
  const jobs = await cli.json<JobJson[]>(['list', '--state', 'cancelled', '--limit', '100']);
  assert.equal(jobs.length, 53);
});

test('LQ-10 · backoff that overflows', async (t) => {
  const cli = box(t);
  await cli.ok(['config', 'set', 'backoff_base', '1000']);
  await cli.ok(['enqueue', '--id', 'big', '--max-retries', '2000', '--', 'false']);
  database(t, cli).exec("UPDATE job SET attempts = 1100 WHERE id = 'big'");
  await cli.ok(['worker', 'start']);
  const failed = await untilState(cli, 'big', 'failed');
  const wait = Date.parse(failed.run_at ?? '') - Date.now();
  assert.ok(wait > 3_500_000 && wait < 3_960_000, `${failed.run_at}`);
  assert.match(await cli.ok(['show', 'big']), /^big {2}failed {2}retry in /m);
  // The worker survived recording it.
  await cli.ok(['enqueue', '--id', 'after', '--', 'true']);
  await cli.ok(['wait', 'after']);
});

test('LQ-13 · two people press "retry all"', async (t) => {
  const cli = await working(t, 8);
  const ids = Array.from({ length: 600 }, (_, i) => `d${i}`);
  const command = 'test -e fixed';
  const input = ids.map((id) => JSON.stringify({ id, command })).join('\n');
  await cli.ok(['enqueue', '-'], { input });
  await cli.q(['wait', ...ids]);
  await line(cli, 'touch fixed');
  const answers = await Promise.all(
    [1, 2, 3, 4].map(() => cli.json<{ retried: number }>(['dlq', 'retry', '--all', '--yes'])),
  );
  assert.equal(
    answers.reduce((sum, { retried }) => sum + retried, 0),
    ids.length,
  );
  await cli.ok(['wait', ...ids]);
  const db = database(t, cli);
  const { n } = db.prepare('SELECT count(*) AS n FROM attempt').get() as { n: number };
  assert.equal(n, 2 * ids.length);
});

const noProc = existsSync('/proc/self/status') ? false : 'needs /proc';

test('LQ-14 · slots after an unclean restart', { skip: noProc }, async (t) => {
  const cli = box(t);
  await cli.ok(['config', 'set', 'backoff_max', '0']);
  const ids = ['a', 'b', 'c', 'd'];
  for (const id of ids) await cli.ok(shell(id, span(0.5)));
  await cli.ok(['worker', 'start', '--concurrency', '2']);
  await until('two run', async () => (spans(cli).length >= 2 ? true : undefined));
  const [worker = 0] = await pidsOf(cli);
  const supervisor = parentOf(worker);
  process.kill(supervisor, 'SIGKILL');
  process.kill(worker, 'SIGKILL');
  await cli.ok(['worker', 'start', '--count', '3', '--concurrency', '4']);
  await cli.ok(['wait', ...ids]);
  // What ran was ended before it ran again; nothing is stuck.
  assert.ok(!spans(cli).includes('OVERLAP'));
  for (const id of ids) assert.ok(spans(cli).includes(`E ${id}`));
});

test('LQ-15 · a crowd that nobody serves hides nothing', async (t) => {
  const cli = box(t);
  const crowd = '{"command":"true","queue":"gpu","priority":9}\n'.repeat(20_000);
  await cli.ok(['enqueue', '-'], { input: crowd });
  await cli.ok(['worker', 'start', '--queue', 'default', '--queue', 'other']);
  await cli.ok(['enqueue', '--id', 'same', '--', 'true']);
  await cli.ok(['enqueue', '--id', 'other', '--queue', 'other', '--', 'true']);
  await cli.ok(['wait', 'same', 'other']);
  for (const id of ['same', 'other']) {
    const job = await cli.json<{ created_at: string; started_at: string }>(['show', id]);
    const waited = Date.parse(job.started_at) - Date.parse(job.created_at);
    assert.ok(waited < 5000, `${id} waited ${waited} ms`);
  }
  const { jobs } = await cli.json<{ jobs: Record<string, number> }>(['status']);
  assert.equal(jobs['pending'], 20_000);
});

test('LQ-19 · one duplicate in a batch', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'u9', '--', 'stored']);
  const lines = Array.from({ length: 1000 }, (_, i) => `{"id":"u${i + 1}","command":"true"}`);
  const stored = lines.join('\n');
  lines[699] = '{"id":"u500","command":"other"}';
  const twice = lines.join('\n');
  const refused = await cli.refused(['enqueue', '-'], 2, { input: twice });
  assert.match(refused, /line 700: .*"u500".*line 500/);
  await cli.refused(['enqueue', '-'], 4, { input: stored });
  assert.equal((await cli.json<JobJson[]>(['list', '--limit', '2000'])).length, 1);
  // Asked to, it takes one of each and says what stood.
  assert.match(
    await cli.ok(['enqueue', '--if-absent', '-'], { input: twice }),
    /^Enqueued 998 jobs, 2 were there already\n/,
  );
  assert.equal((await cli.json<JobJson[]>(['list', '--limit', '2000'])).length, 999);
  for (const [id, command] of [
    ['u9', 'stored'],
    ['u500', 'true'],
  ] as const) {
    assert.equal((await cli.json<JobJson>(['show', id])).command, command);
  }
});

test('LQ-21 · purge takes dead jobs only, and old enough ones', async (t) => {
  const cli = await working(t);
  for (const id of ['old', 'older']) await cli.ok(shell(id, 'exit 1'));
  await cli.ok(shell('retries', 'exit 1', '--max-retries', '9'));
  await cli.ok(['enqueue', '--id', 'later', '--delay', '60d', '--', 'true']);
  await cli.ok(['enqueue', '--id', 'fine', '--', 'true']);
  await cli.q(['wait', 'old', 'older', 'fine']);
  await untilState(cli, 'retries', 'failed');
  assert.deepEqual(await cli.json(['dlq', 'purge', '--yes', '--older-than', '1h']), { purged: 0 });
  assert.deepEqual(await cli.json(['dlq', 'purge', '--yes']), { purged: 2 });
  const left = await cli.json<JobJson[]>(['list', '--sort', 'oldest']);
  assert.deepEqual(
    left.map(({ id }) => id),
    ['retries', 'later', 'fine'],
  );
});

test('LQ-23 · counters that drift', async (t) => {
  const cli = box(t);
  await cli.ok(['config', 'set', 'lease', '1s']);
  await cli.ok(['config', 'set', 'backoff_max', '50ms']);
  await cli.ok(['worker', 'start', '--count', '3', '--concurrency', '3']);
  const input = Array.from({ length: 300 }, (_, i) => {
    const command = `sleep 0.0${i % 10}; exit ${i % 3 === 0 ? 1 : 0}`;
    return JSON.stringify({ id: `m${i}`, queue: `q${i % 3}`, max_retries: i % 4, command });
  });
  await cli.ok(['enqueue', '-'], { input: input.join('\n') });
  for (let round = 0; round < 4; round += 1) {
    const [victim = 0] = (await pidsOf(cli)).slice(round % 2);
    if (victim > 0) process.kill(victim, 'SIGKILL');
    await Promise.all([
      cli.q(['cancel', `m${round * 60}`, `m${round * 60 + 1}`, '--quiet']),
      cli.q(['dlq', 'retry', '--all', '--queue', 'q0']),
      cli.q(['dlq', 'purge', '--yes', '--queue', 'q1']),
      cli.q(['cancel', '--queue', 'q2', '--state', 'failed', '--yes']),
      cli.q(['retry', `m${round * 7}`, `m${round * 9}`]),
      cli.q(['delete', '--queue', 'q0', '--state', 'completed', '--yes']),
      cli.q(['prune', '--older-than', '0s', '--queue', 'q2', '--yes']),
    ]);
  }
  type Counts = Record<string, number>;
  const status = await until('quiet', async () => {
    const seen = await cli.json<{
      jobs: Counts;
      queues: (Counts & { queue: string })[];
      workers: Counts;
    }>(['status']);
    const busy = ['pending', 'processing', 'failed'].some((state) => seen.jobs[state] !== 0);
    return busy ? undefined : seen;
  });
  const rows = database(t, cli)
    .prepare(
      'SELECT queue.name AS queue, state, count(*) AS n FROM job JOIN queue ON queue.key = job.queue GROUP BY 1, 2',
    )
    .all() as { queue: string; state: string; n: number }[];
  const counted = new Map(rows.map(({ queue, state, n }) => [`${queue} ${state}`, n]));
  for (const { queue, ...states } of status.queues) {
    for (const [state, n] of Object.entries(states)) {
      assert.equal(n, counted.get(`${queue} ${state}`) ?? 0, `${queue} ${state}`);
    }
  }
  assert.equal(
    rows.reduce((sum, { n }) => sum + n, 0),
    Object.values(status.jobs).reduce((sum, n) => sum + n, 0),
  );
  assert.deepEqual([status.workers['busy'], status.workers['running']], [0, 0]);
});
