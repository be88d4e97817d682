// show: what happened to a job, and what becomes of it, in every state and outcome.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { crew, signal, until } from '../fixtures/crew.ts';
import { box } from './box.ts';

/** What stands below everything else. */
const ending = (text: string): string => text.trimEnd().split('\n\n').at(-1) ?? '';

const NO_WORKER = 'no worker is running; start one with: queuectl worker start';

test('show: a job that has not run', async (t) => {
  const cli = box(t);
  const shown = async (id: string): Promise<string> => ending(await cli.ok(['show', id]));
  await cli.ok(['enqueue', '--id', 'plain', '--', 'true']);
  assert.equal(await shown('plain'), `It starts once a worker serves its queue.\n${NO_WORKER}`);
  await cli.ok(['enqueue', '--id', 'later', '--delay', '90m', '--', 'true']);
  assert.match(await shown('later'), /^It starts in 2h, not before \S+\.\nno worker is running/);
  await cli.ok(['edit', 'plain', '--delay', '1h']);
  assert.match(await shown('plain'), /^It starts in 1h, not before/);
  await cli.ok(['cancel', 'plain']);
  assert.equal(await shown('plain'), 'It was cancelled before it ran, and never will.');
});

test('show: every way an attempt ends', async (t) => {
  const queue = crew(t);
  const shown = async (id: string): Promise<string> => ending(await queue.ok(['show', id]));
  await queue.ok(['config', 'set', 'kill_after', '1s']);
  await queue.begin('--concurrency', '8');
  const none = { max_retries: 0 };
  await queue.enqueue('done', 'echo ready');
  await queue.enqueue('code', 'echo "no such host" >&2; exit 7', { max_retries: 1 });
  await queue.enqueue('timed', 'sleep 60', { ...none, timeout: 0.3 });
  await queue.enqueue('killed', 'kill -KILL $$', none);
  await queue.ok(['enqueue', '--id', 'missing', '--max-retries', '0', '--', './missing']);
  await queue.enqueue('runs', 'sleep 60', { timeout: '1h' });
  await queue.enqueue('ended', 'sleep 60');
  await queue.allFinished(['done', 'timed', 'killed', 'missing']);

  assert.equal(await shown('done'), 'Done.\nqueuectl logs done shows its output');
  assert.match(await shown('timed'), /^Attempt 1: timed out. It is dead: no retry was asked for/);
  assert.match(await shown('killed'), /^Attempt 1: killed by SIGKILL\. .*\nqueuectl did not send/);
  assert.match(await shown('missing'), /^Attempt 1: .*\.\/missing.*no such file.* It is dead/);
  assert.match(await shown('runs'), /^It runs on w\d+, for at most 59m\d+(\.\d)?s more\.\n/);
  await until('it runs', async () => (await queue.show('ended')).state === 'processing');
  await queue.ok(['cancel', 'ended']);
  await queue.finished('ended');
  assert.equal(await shown('ended'), 'It was cancelled in attempt 1, while it ran.');

  await until('it waits', async () => (await queue.show('code')).state === 'failed');
  assert.match(
    await shown('code'),
    /^Attempt 1: exit code 7\. Retry 1 of 1 starts in \ds, at .*\n.*queuectl edit code --delay 0/,
  );
  await queue.ok(['edit', 'code', '--delay', '0']);
  await queue.finished('code');
  const dead = await queue.ok(['show', 'code']);
  assert.match(dead, /The last lines of attempt 2:\n {2}│ no such host\n/);
  assert.match(ending(dead), /It is dead: its one retry is used up\.\n.*dlq retry code runs it/);

  await queue.ok(['worker', 'stop', '--now']);
  assert.match(
    await shown('runs'),
    /^Attempt 1: interrupted.* It was given back, which costs no retry, and starts once a worker/,
  );
  await queue.ok(['dlq', 'retry', 'code']);
  assert.match(await shown('code'), /It was taken from the dead letter queue and starts once/);
});

test('show: its worker has died and nobody was there to see it', async (t) => {
  const queue = crew(t);
  const [worker] = await queue.begin();
  await queue.enqueue('j', 'sleep 60', { max_retries: 0 });
  await until('it runs', async () => (await queue.show('j')).state === 'processing');
  for (const pid of queue.supervisors()) signal(pid, 'SIGKILL');
  if (worker !== undefined) signal(worker.pid, 'SIGKILL');
  await until('it is gone', async () => (await queue.workers()).length === 0);
  assert.match(
    ending(await queue.ok(['show', 'j'])),
    /^Its worker w\d+ is gone: the attempt will be lost\.\nto recover it: queuectl worker start$/,
  );
  await queue.begin();
  await queue.finished('j');
  assert.match(ending(await queue.ok(['show', 'j'])), /^Attempt 1: lost: .* It is dead/);
});

test('show: hundreds of attempts, and a line of any length, on a narrow terminal', async (t) => {
  const queue = crew(t);
  await queue.begin();
  await queue.enqueue('j', `printf '漢字 \\033[2J\\a%s' ${'x'.repeat(3000)}; exit 1`, {
    max_retries: 0,
  });
  await queue.finished('j');
  await queue.ok(['worker', 'stop']);
  const db = new DatabaseSync(join(queue.home, 'queue.db'), { timeout: 5000 });
  db.exec(`
    WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 700)
    INSERT INTO attempt (job, number, run_token, worker, started_at, finished_at, outcome, exit_code)
    SELECT job, i, 1000 + i, worker, started_at, finished_at, outcome, exit_code FROM attempt, n
    WHERE number = 1`);
  db.close();
  const { shown } = await queue.terminal('queuectl show j', { columns: 40 });
  assert.match(shown, /and 680 earlier attempts: --json has them all/);
  assert.ok(!shown.includes('\u0007') && !shown.includes('\u001b[2J'));
  const rows = shown.split('\r\n').filter((line) => /^ +(\u001b\[\d+m)?\d+ /.test(line));
  for (const row of rows) assert.ok(row.replaceAll(/\u001b\[\d+m/g, '').length <= 40, row);
  const { history } = await queue.json<{ history: unknown[] }>(['show', 'j']);
  assert.equal(history.length, 700);
});
