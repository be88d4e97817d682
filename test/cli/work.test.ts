// Jobs that run: wait, logs, cancel, the dead letter queue, workers, as seen from a shell.
// SH-04, SH-06, SH-12 to SH-17, SH-19, SH-24, SH-27.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { type Box, box, exitCode, hasScript, QUEUECTL, untilOutput } from './box.ts';

interface JobJson {
  readonly id: string;
  readonly state: string;
  readonly attempts: number;
  readonly exit_code: number | null;
  readonly history: { attempt: number; outcome: string; exit_code: number | null }[];
}

/** A home with a worker, in which failures are final unless a test says otherwise. */
async function working(t: TestContext): Promise<Box> {
  const cli = box(t);
  await cli.ok(['config', 'set', 'max_retries', '0']);
  await cli.ok(['config', 'set', 'backoff_max', '50ms']);
  await cli.ok(['worker', 'start', '--concurrency', '4']);
  return cli;
}

const shell = (id: string, command: string, ...flags: string[]): string[] => [
  'enqueue',
  '--id',
  id,
  ...flags,
  '--shell',
  command,
];

test('wait answers as the job did', async (t) => {
  const cli = await working(t);
  await cli.ok(shell('fine', 'exit 0'));
  await cli.ok(shell('nine', 'exit 9'));
  await cli.ok(shell('killed', 'kill -KILL $$'));
  await cli.ok(shell('slow', 'sleep 60', '--timeout', '200ms'));
  await cli.ok(['enqueue', '--id', 'missing', '--', './nosuch']);
  writeFileSync(join(cli.directory, 'plain'), 'x', { mode: 0o600 });
  await cli.ok(['enqueue', '--id', 'noexec', '--', './plain']);
  await cli.ok(shell('gone', 'true', '--delay', '1h'));
  await cli.ok(['cancel', 'gone']);
  const codes = { fine: 0, nine: 9, killed: 137, slow: 124, missing: 127, noexec: 126, gone: 130 };
  for (const [id, code] of Object.entries(codes)) {
    const answer = await cli.q(['wait', id]);
    assert.deepEqual([id, answer.code, answer.stdout], [id, code, '']);
    if (code !== 0) assert.match(answer.stderr, /^queuectl: job \S+ is (dead|cancelled)/);
  }
  assert.equal((await cli.q(['wait', 'fine', 'slow', 'nine'])).code, 124);
  assert.equal((await cli.q(['wait', '--any', 'gone', 'nine'])).code, 130);
  const json = JSON.parse((await cli.q(['wait', '--json', 'nine', 'fine'])).stdout) as JobJson[];
  assert.deepEqual(
    json.map(({ id, exit_code }) => [id, exit_code]),
    [
      ['nine', 9],
      ['fine', 0],
    ],
  );
});

test('wait fails with 125 where queuectl itself does', async (t) => {
  const cli = await working(t);
  await cli.refused(['wait', 'nosuch'], 125);
  await cli.ok(shell('w', 'sleep 60'));
  const started = Date.now();
  const { code, stderr } = await cli.q(['wait', 'w', '--timeout', '300ms']);
  assert.deepEqual([code, stderr], [125, 'queuectl: job w is processing after 300ms of waiting\n']);
  assert.ok(Date.now() - started >= 300);
  assert.equal((await cli.json<JobJson>(['show', 'w'])).state, 'processing');
  assert.equal(await cli.ok(['cancel', 'w']), 'Cancelling w: it runs, its worker ends it\n');
  assert.equal((await cli.q(['wait', 'w'])).code, 130);
  await cli.refused(['--db', '/nonexistent/x/q.db', 'wait', 'w'], 125);
});

test('file names as people have them', async (t) => {
  const cli = await working(t);
  const names = ["Mc'Laren", 'a "b" c', 'two\nlines', '-n', 'émoji 😀'];
  for (const name of names) {
    writeFileSync(join(cli.directory, name), name);
    const id = (await cli.ok(['enqueue', '--quiet', '--', 'cat', '--', name])).trim();
    await cli.ok(['wait', id]);
    assert.equal(await cli.ok(['logs', id]), name);
  }
});

test('output is byte for byte, in order, and each stream alone', async (t) => {
  const cli = await working(t);
  await cli.ok(shell('b', "printf 'a\\377\\376\\033[31m\\000b'; echo err >&2; printf 'c\\nd'"));
  await cli.ok(['wait', 'b']);
  const bytes = (...flags: string[]): string =>
    spawnSync(QUEUECTL, ['logs', 'b', ...flags], { env: cli.env }).stdout.toString('latin1');
  assert.equal(bytes('--stdout'), 'a\u00ff\u00fe\u001b[31m\u0000bc\nd');
  assert.equal(bytes('--stderr'), 'err\n');
  assert.equal(bytes().length, bytes('--stdout').length + 4);
  assert.equal(bytes('-n', '1', '--stdout'), 'd');
  assert.equal(bytes('-n', '2', '--stdout'), bytes('--stdout'));
  for (const command of [['show', 'b'], ['list'], ['logs', 'b']]) {
    const { stdout } = spawnSync(QUEUECTL, [...command, '--json'], { env: cli.env });
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(stdout));
  }
});

test('the attempts of a job, each with its log', async (t) => {
  const cli = await working(t);
  // The first attempt waits until somebody follows: later ones may begin before that.
  const first = 'test $QUEUECTL_ATTEMPT -gt 1 || until test -e go; do sleep 0.02; done';
  const command = `echo try $QUEUECTL_ATTEMPT; ${first}; test $QUEUECTL_ATTEMPT = 3`;
  await cli.ok(shell('r', command, '--max-retries', '5'));
  const following = cli.start(['logs', '-f', 'r']);
  const closed = once(following, 'close');
  const followed = { stdout: '', stderr: '' };
  following.stdout?.on('data', (chunk: Buffer) => (followed.stdout += chunk.toString()));
  following.stderr?.on('data', (chunk: Buffer) => (followed.stderr += chunk.toString()));
  await untilOutput(following, /try 1/);
  writeFileSync(join(cli.directory, 'go'), '');
  await closed;
  assert.deepEqual([following.exitCode, followed.stdout], [0, 'try 1\ntry 2\ntry 3\n']);
  // Either its end was seen, or that the next one had begun.
  const retried = /^(queuectl: attempt [12] of r: exit code 1; (again|attempt) .*\n){2}$/;
  assert.match(followed.stderr, retried);
  assert.equal(await cli.ok(['logs', 'r']), 'try 3\n');
  assert.equal(await cli.ok(['logs', 'r', '--attempt', '1']), 'try 1\n');
  assert.match(await cli.refused(['logs', 'r', '--attempt', '4'], 3), /no attempt 4: 3 so far/);
  const { history } = await cli.json<JobJson>(['show', 'r']);
  assert.deepEqual(
    history.map(({ attempt, outcome, exit_code }) => [attempt, outcome, exit_code]),
    [
      [1, 'exited', 1],
      [2, 'exited', 1],
      [3, 'exited', 0],
    ],
  );
});

test('follow waits for the start, shows unfinished lines at once, ends with the job', async (t) => {
  const cli = await working(t);
  const go = join(cli.directory, 'go');
  await cli.ok(
    shell(
      'f',
      `printf '10%%\\r'; until test -e ${go}; do sleep 0.05; done; echo done`,
      '--delay',
      '300ms',
    ),
  );
  const child = cli.start(['logs', '-f', 'f']);
  const shown = untilOutput(child, /done\n/);
  const early = await untilOutput(cli.start(['logs', '-f', 'f']), /10%\r$/);
  assert.equal(early, '10%\r');
  writeFileSync(go, '');
  assert.equal(await shown, '10%\rdone\n');
  assert.equal(await exitCode(child), 0);
  await cli.refused(['logs', '-f', 'nosuch'], 3);
});

test('Ctrl-C and a reader that leaves end follow, and nothing else', async (t) => {
  const cli = await working(t);
  await cli.ok(shell('h', 'while sleep 0.05; do echo tick; done'));
  const interrupted = cli.start(['logs', '-f', 'h']);
  await untilOutput(interrupted, /tick/);
  interrupted.kill('SIGINT');
  assert.equal(await exitCode(interrupted), 130);
  const left = cli.start(['logs', '-f', 'h']);
  await untilOutput(left, /tick/);
  left.stdout?.destroy();
  assert.equal(await exitCode(left), 0);
  assert.equal((await cli.json<JobJson>(['show', 'h'])).state, 'processing');
});

test('several jobs are followed side by side, by line, behind their ids', async (t) => {
  const cli = await working(t);
  await cli.ok(shell('a', 'echo one; printf unfinished'));
  await cli.ok(shell('bcd', 'echo two; echo three >&2'));
  const lines = (await cli.ok(['logs', '-f', 'a', 'bcd'])).trimEnd().split('\n');
  assert.deepEqual(lines.toSorted(), ['a   | one', 'a   | unfinished', 'bcd | three', 'bcd | two']);
});

test('nothing is missing from the log of a job that is finished', async (t) => {
  const cli = await working(t);
  const ids = Array.from({ length: 20 }, (_, i) => `z${i}`);
  for (const id of ids) await cli.ok(shell(id, 'seq 500; seq 500 >&2; echo last'));
  await Promise.all(
    ids.map(async (id) => {
      await cli.ok(['wait', id]);
      assert.equal((await cli.ok(['logs', id])).split('\n').length, 1002, id);
    }),
  );
});

test('a job cancelled between two tries never comes back', async (t) => {
  const cli = await working(t);
  await cli.ok(['config', 'set', 'backoff_max', '1h']);
  await cli.ok(['config', 'set', 'backoff_base', '900']);
  await cli.ok(shell('y', 'exit 1', '--max-retries', '5'));
  const child = cli.start(['status', '--watch', '--json']);
  await untilOutput(child, /"failed":1/);
  assert.equal(await cli.ok(['cancel', 'y']), 'Cancelled y\n');
  const { state, attempts } = await cli.json<JobJson>(['show', 'y']);
  assert.deepEqual([state, attempts], ['cancelled', 1]);
  assert.deepEqual(await cli.json(['dlq', 'list']), []);
});

test('cancel by filter asks first, and can be rehearsed', async (t) => {
  const cli = box(t);
  for (const id of ['a', 'b']) await cli.ok(['enqueue', '--id', id, '--tag', 'k=1', '--', 'true']);
  await cli.ok(['enqueue', '--id', 'c', '--queue', 'q', '--', 'true']);
  assert.match(await cli.refused(['cancel'], 2), /needs an ID, or a filter/);
  assert.match(await cli.refused(['cancel', 'a', '--queue', 'q'], 2), /exclude each other/);
  assert.match(await cli.refused(['cancel', '--tag', 'k=1'], 2), /--yes/);
  assert.equal(
    await cli.ok(['cancel', '--tag', 'k=1', '--dry-run']),
    'Would cancel 2 jobs\n  a\n  b\n',
  );
  assert.equal(await cli.ok(['cancel', '--tag', 'k=1', '--yes']), 'Cancelled 2 jobs\n');
  assert.equal(await cli.ok(['cancel', '--state', 'pending', '--yes']), 'Cancelled 1 job\n');
  assert.deepEqual(await cli.json(['cancel', '--queue', 'q', '--yes']), {
    cancelled: 0,
    cancel_requested: 0,
  });
});

test('the dead letter queue: list, show, retry, purge', async (t) => {
  const cli = await working(t);
  const flag = join(cli.directory, 'fixed');
  for (const id of ['a', 'b', 'c']) await cli.ok(shell(id, `echo ${id}; test -e ${flag}`));
  assert.equal((await cli.q(['wait', 'a', 'b', 'c'])).code, 1);
  const table = await cli.ok(['dlq', 'list']);
  assert.match(table, /^ID +ATTEMPTS +DIED +LAST ERROR +COMMAND$/m);
  assert.match(table, /^a +1\/1 .* exit code 1 +echo a; test/m);
  assert.match(await cli.ok(['dlq', 'show', 'a']), /queuectl dlq retry a/);

  writeFileSync(flag, '');
  assert.equal(await cli.ok(['dlq', 'retry', 'a']), 'Retrying a (pending)\n');
  await cli.ok(['wait', 'a']);
  assert.equal(
    await cli.ok(['dlq', 'retry', '--all', '--older-than', '1d']),
    'No dead job matches.\n',
  );
  assert.equal(await cli.ok(['dlq', 'retry', '--all']), 'Retrying 2 jobs\n');
  await cli.ok(['wait', 'b', 'c']);
  assert.equal(await cli.ok(['dlq', 'retry', '--all']), 'No dead jobs: nothing to retry.\n');
  const { history } = await cli.json<JobJson>(['show', 'b']);
  assert.deepEqual(
    history.map(({ attempt }) => attempt),
    [1, 2],
  );

  await cli.ok(shell('d', 'echo output; exit 1'));
  assert.equal((await cli.q(['wait', 'd'])).code, 1);
  await cli.refused(['dlq', 'purge'], 2);
  assert.deepEqual(await cli.json(['dlq', 'purge', '--yes', '--queue', 'other']), { purged: 0 });
  assert.equal(await cli.ok(['dlq', 'purge', '--yes']), 'Deleted 1 dead job\n');
  await cli.refused(['show', 'd'], 3);
});

test('workers: started and let go of, listed, stopped', async (t) => {
  const cli = box(t);
  const { code, stdout, stderr } = await cli.q(['worker', 'start', '--count', '2', '--queue', 'q']);
  assert.deepEqual([code, stdout], [0, 'Started 2 workers: w1 and w2\n']);
  assert.match(stderr, new RegExp(`log: ${cli.home}/logs/workers/`));
  const { stderr: hint } = await cli.q(['enqueue', '--', 'true']);
  assert.match(hint, /no worker serves the queue default; .*worker start --queue default/);
  assert.equal((await cli.q(['enqueue', '--queue', 'q', '--', 'true'])).stderr, '');

  const [first, ...others] = await cli.json<Record<string, unknown>[]>(['worker', 'list']);
  assert.equal(others.length, 1);
  assert.equal(
    Object.keys(first ?? {}).join(),
    'name,pid,host,state,queues,concurrency,jobs,started_at,heartbeat_at',
  );
  assert.deepEqual([first?.['name'], first?.['state'], first?.['queues']], ['w1', 'idle', ['q']]);
  assert.match(await cli.ok(['worker', 'list']), /^w1 +\d+ +idle +\d+s +0\/1 +q$/m);

  assert.equal(await cli.ok(['worker', 'stop']), 'Stopped 2 workers\n');
  assert.equal(await cli.ok(['worker', 'stop']), 'No worker is running.\n');
});

test('stop says what it waits for', async (t) => {
  const cli = await working(t);
  const go = join(cli.directory, 'go');
  await cli.ok(shell('long', `until test -e ${go}; do sleep 0.05; done`));
  const child = cli.start(['worker', 'stop']);
  await untilOutput(child, /^waiting for long$/m, 'stderr');
  assert.equal((await cli.json<{ state: string }[]>(['worker', 'list']))[0]?.state, 'stopping');
  writeFileSync(go, '');
  assert.equal(await exitCode(child), 0);
  assert.equal((await cli.json<JobJson>(['show', 'long'])).state, 'completed');
});

test('in the foreground it drains and ends, from any directory', async (t) => {
  const cli = box(t);
  mkdirSync(join(cli.directory, 'sub'));
  const env = { QUEUECTL_HOME: '../home', TMPDIR: '/nonexistent', LC_ALL: 'C' };
  await cli.ok(shell('u', "printf 'zażółć 😀'"), { env });
  const { code, stdout, stderr } = await cli.q(['worker', 'start', '--foreground', '--drain'], {
    env,
  });
  assert.deepEqual([code, stdout], [0, '']);
  assert.match(stderr, /w1 ready/);
  assert.equal(await cli.ok(['logs', 'u'], { cwd: join(cli.directory, 'sub') }), 'zażółć 😀');
  assert.ok(!existsSync(join(cli.directory, 'sub', 'home')));
});

const skip = hasScript ? false : 'needs script(1)';

test(
  'on a terminal output is escaped unless --raw, and the prompt is safe',
  { skip },
  async (t) => {
    const cli = await working(t);
    await cli.ok(shell('e', "printf '\\033]0;title\\007red\\tx'"));
    await cli.ok(['wait', 'e']);
    const { shown } = await cli.terminal('queuectl logs e; echo prompt');
    assert.equal(shown, '\\e]0;title\\x07red\tx\r\nprompt\r\n');
    const { shown: raw } = await cli.terminal('queuectl logs e --raw; echo prompt');
    assert.equal(raw, '\u001b]0;title\u0007red\tx\r\nprompt\r\n');
  },
);

test('on a terminal purge asks, and only yes is yes', { skip }, async (t) => {
  const cli = await working(t);
  await cli.ok(shell('d', 'exit 1'));
  await cli.q(['wait', 'd']);
  const no = await cli.terminal('queuectl dlq purge', { keys: '\n' });
  assert.match(no.shown, /Delete 1 dead job and their logs\? \[y\/N\]/);
  assert.match(no.shown, /Nothing was deleted/);
  assert.equal(no.code, 0);
  const yes = await cli.terminal('queuectl dlq purge', { keys: 'y\n' });
  assert.match(yes.shown, /Deleted 1 dead job/);
});

test('a worker outlives the terminal it was started from', { skip }, async (t) => {
  const cli = box(t);
  await cli.terminal('queuectl worker start; queuectl enqueue --id hup -- sleep 1');
  await cli.ok(['wait', 'hup']);
  assert.equal((await cli.json<JobJson>(['show', 'hup'])).attempts, 1);
});
