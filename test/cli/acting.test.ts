// Acting on many: edit, delete, cancel and retry by id and by filter.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { grouped } from '../../src/invalid.ts';
import { crew, until } from '../fixtures/crew.ts';
import { box, exitCode, hasScript } from './box.ts';
import { hasTmux, terminal } from './terminal.ts';

const noTmux = hasTmux ? false : 'needs tmux(1)';

interface Listed {
  readonly id: string;
  readonly priority: number;
  readonly queue: string;
  readonly run_at: string | null;
  readonly max_retries: number;
  readonly timeout: number | null;
}

const jobs = (n: number, fields = ''): string =>
  Array.from({ length: n }, (_, i) => `{"id":"j${i}","command":"true"${fields}}\n`).join('');

test('edit: what is named changes, refusals say why', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '-'], { input: jobs(3) });
  assert.equal(
    await cli.ok(['edit', 'j0', '--priority', '7', '--timeout', '90s', '--max-retries', '0']),
    'Edited j0\n',
  );
  await cli.ok(['edit', 'j0', '--run-at', '2036-01-01T00:00Z', '--to-queue', 'slow']);
  const job = await cli.json<Listed>(['show', 'j0']);
  assert.deepEqual(
    [job.priority, job.timeout, job.max_retries, job.run_at, job.queue],
    [7, 90, 0, '2036-01-01T00:00:00.000Z', 'slow'],
  );
  await cli.ok(['edit', 'j0', '--delay', '0', '--timeout', '0']);
  const now = await cli.json<Listed>(['show', 'j0']);
  assert.deepEqual([now.run_at, now.timeout, now.priority], [null, null, 7]);

  assert.match(await cli.refused(['edit', 'j0'], 2), /something to change/);
  assert.match(await cli.refused(['edit', '--priority', '1'], 2), /needs an ID, or a filter/);
  assert.match(
    await cli.refused(['edit', 'j0', '--queue', 'x', '--priority', '1'], 2),
    /--to-queue x/,
  );
  assert.match(await cli.refused(['edit', 'j0', '--priority', '5000'], 2), /--priority must be/);
  assert.match(await cli.refused(['edit', 'no', '--priority', '1'], 3), /no job "no"/);
  await cli.ok(['cancel', 'j1']);
  assert.match(await cli.refused(['edit', 'j1', '--priority', '1'], 4), /is cancelled/);
});

test('by filter: a rehearsal, a question, and no terminal to ask at', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '-'], { input: jobs(25, ',"queue":"q"') });
  const rehearsal = await cli.ok(['delete', '--queue', 'q', '--dry-run']);
  assert.match(rehearsal, /^Would delete 25 jobs\n {2}j0\n/);
  assert.match(rehearsal, /and 5 more jobs\n$/);
  const { ids } = await cli.json<{ ids: string[] }>(['cancel', '--queue', 'q', '--dry-run']);
  assert.equal(ids.length, 25);
  for (const verb of [['delete'], ['cancel'], ['retry'], ['edit', '--priority', '1']]) {
    assert.match(await cli.refused([...verb, '--queue', 'q'], 2), /asks first.*\nhint: add --yes/);
    assert.match(await cli.refused([...verb, '--queue', 'q', 'j0'], 2), /exclude|filter/);
  }
  assert.equal((await cli.json<Listed[]>(['list'])).length, 25);
  assert.equal(
    await cli.ok(['edit', '--queue', 'q', '--to-queue', 'p', '--yes']),
    'Edited 25 jobs\n',
  );
  assert.equal(await cli.ok(['cancel', '--search', 'j1', '--yes']), 'Cancelled 11 jobs\n');
});

test('on a terminal it says how many and asks; enter means no', { skip: !hasScript }, async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '-'], { input: jobs(3) });
  const no = await cli.terminal('queuectl delete --state pending', { keys: '\n' });
  assert.match(no.shown, /Delete 3 jobs and their logs\? \[y\/N\]/);
  assert.match(no.shown, /Nothing was done/);
  const yes = await cli.terminal('queuectl delete --state pending', { keys: 'y\n' });
  assert.match(yes.shown, /Deleted 3 jobs/);
  assert.deepEqual(await cli.json(['list']), []);
});

test('what came after the question is not touched', { skip: noTmux }, async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '-'], { input: jobs(3) });
  const screen = await terminal(t, cli);
  screen.type('queuectl delete --state pending');
  await screen.shows(/Delete 3 jobs and their logs\? \[y\/N\]/);
  await cli.ok(['enqueue', '--id', 'late', '--', 'true']);
  screen.press('y', 'Enter');
  await screen.shows(/Deleted 3 jobs/);
  assert.deepEqual(
    (await cli.json<{ id: string }[]>(['list'])).map(({ id }) => id),
    ['late'],
  );
});

test('an empty text is no filter: a variable that is not set would mean all', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '-'], { input: jobs(3) });
  assert.match(await cli.refused(['delete', '--search', '', '--yes'], 2), /--search must be/);
  assert.equal((await cli.json<unknown[]>(['list'])).length, 3);
});

test('delete takes the logs along, and refuses what runs', async (t) => {
  const queue = crew(t);
  await queue.begin();
  await queue.enqueue('done', 'echo hello');
  await queue.finished('done');
  await queue.enqueue('runs', 'sleep 60');
  await until('it runs', async () => (await queue.show('runs')).state === 'processing');
  assert.equal(await queue.ok(['logs', 'done']), 'hello\n');
  const { code, stderr } = await queue.q(['delete', 'done', 'runs', 'nobody']);
  assert.equal(code, 4);
  assert.match(stderr, /job runs runs: cancel it first\n.*no job "nobody"/);
  assert.match(await queue.refused(['logs', 'done'], 3), /no job/);
  const left = readdirSync(join(queue.home, 'logs/jobs'), { recursive: true, encoding: 'utf8' });
  assert.deepEqual(left, [], 'one has written nothing, the other was deleted');
  await queue.ok(['cancel', 'runs']);
});

test(
  'two people delete the same 100,000 at once: each goes once',
  { timeout: 90_000 },
  async (t) => {
    const cli = box(t);
    const n = 100_000;
    const input = Array.from({ length: n }, () => '{"command":"true"}\n').join('');
    await cli.ok(['enqueue', '--quiet', '-'], { input });
    const both = await Promise.all(
      [0, 1].map(() =>
        cli.json<{ deleted: number }>(['delete', '--state', 'pending', '--yes'], {
          timeout: 80_000,
        }),
      ),
    );
    assert.equal(
      both.reduce((sum, { deleted }) => sum + deleted, 0),
      n,
    );
    assert.deepEqual(await cli.json(['list']), []);
  },
);

test('retry of what is not dead says what to do instead', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'waits', '--', 'true']);
  await cli.ok(['enqueue', '--id', 'over', '--', 'true']);
  await cli.ok(['cancel', 'over']);
  assert.match(await cli.refused(['retry', 'waits'], 4), /is pending, not dead\nhint: it waits/);
  assert.match(await cli.refused(['retry', 'over'], 4), /is cancelled, not dead\nhint: .*again/);
  assert.match(await cli.refused(['retry', 'nobody'], 3), /no job "nobody"/);
  const queue = crew(t);
  await queue.begin();
  await queue.enqueue('fails', 'exit 1', { max_retries: 5 });
  await queue.ok(['config', 'set', 'backoff_base', '1000']);
  await until('it waits', async () => (await queue.show('fails')).state === 'failed');
  const { stderr } = await queue.q(['retry', 'fails']);
  if (stderr.includes('is failed')) assert.match(stderr, /queuectl edit fails --delay 0/);
});

/** What a person who presses a key a moment too late must not undo, or do again. */
async function twice<T>(
  queue: Pick<ReturnType<typeof box>, 'json'>,
  args: readonly string[],
): Promise<T[]> {
  const call = async (): Promise<T> => await queue.json<T>([...args, '--yes'], { timeout: 80_000 });
  return await Promise.all([call(), call(), call()]);
}

const MANY = 3000;

test('several retry all at once while the jobs die again: each runs once more', async (t) => {
  const queue = crew(t);
  const input = jobs(MANY, ',"max_retries":0').replaceAll('"true"', '"exit 1"');
  await queue.ok(['enqueue', '--quiet', '-'], { input });
  await queue.begin('--count', '2', '--concurrency', '4', '--drain');
  const deaths = async (): Promise<number> =>
    (await queue.json<{ jobs: { dead: number } }>(['status'])).jobs.dead;
  await until('all are dead', async () => (await deaths()) === MANY, 120_000);
  await until('drained', async () => (await queue.workers()).length === 0);
  // They die again while it goes on.
  await queue.begin('--count', '2', '--concurrency', '4');
  const retried = await twice<{ retried: number }>(queue, ['retry', '--state', 'dead']);
  await until('all are dead again', async () => (await deaths()) === MANY, 120_000);
  const listed = await queue.json<{ attempts: number }[]>(['list', '--limit', `${MANY}`]);
  assert.ok(listed.every(({ attempts }) => attempts === 1));
  const runs = (await queue.json<{ throughput: { failed: number }[] }>(['status'])).throughput;
  const sum = retried.reduce((all, one) => all + one.retried, 0);
  assert.equal(
    runs.reduce((all, { failed }) => all + failed, 0),
    MANY + sum,
    'one run a retry',
  );
  // Who began after some had died again may rightly have found those.
  assert.ok(sum >= MANY, `${sum}`);
});

test('several cancel and edit the same at once', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--quiet', '-'], { input: jobs(MANY) });
  const edited = await twice<{ edited: number }>(cli, ['edit', '--search', 'j', '--priority', '5']);
  assert.deepEqual(
    edited.map((one) => one.edited),
    [MANY, MANY, MANY],
    'each acts once on each',
  );
  const moved = await twice<{ edited: number }>(cli, [
    'edit',
    '--queue',
    'default',
    '--to-queue',
    'q',
  ]);
  assert.equal(
    moved.reduce((all, one) => all + one.edited, 0),
    MANY,
  );
  const cancelled = await twice<{ cancelled: number }>(cli, ['cancel', '--queue', 'q']);
  assert.equal(
    cancelled.reduce((all, one) => all + one.cancelled, 0),
    MANY,
  );
});

test('Ctrl-C in the middle of many: what was done is told', { timeout: 90_000 }, async (t) => {
  const cli = box(t);
  const n = 100_000;
  const input = '{"command":"true"}\n'.repeat(n);
  await cli.ok(['enqueue', '--quiet', '-'], { input });
  const child = cli.start(['cancel', '--state', 'pending', '--yes']);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const counts = async (): Promise<{ pending: number; cancelled: number }> =>
    (await cli.json<{ jobs: { pending: number; cancelled: number } }>(['status'])).jobs;
  await until('it has begun', async () => (await counts()).cancelled > 0);
  child.kill('SIGINT');
  assert.equal(await exitCode(child), 130);
  const { pending, cancelled } = await counts();
  assert.ok(pending > 0, 'it was stopped');
  assert.equal(pending + cancelled, n);
  assert.equal(stdout, `Cancelled ${grouped(cancelled)} jobs\n`);
  assert.equal(stderr, 'queuectl: interrupted: the other jobs are as they were\n');
});
