// Looking: list, show, status, config, help; and what goes to which stream. SH-05, SH-18.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { box, hasScript } from './box.ts';

interface Listed {
  readonly id: string;
}

test('an empty queue says what to do next, and is [] for programs', async (t) => {
  const cli = box(t);
  assert.match(await cli.ok(['list']), /^No jobs yet. Try: queuectl enqueue -- echo hello\n$/);
  assert.match(await cli.ok(['status']), /^No jobs yet. Try: queuectl enqueue/);
  assert.match(await cli.ok(['dlq', 'list']), /^No dead jobs/);
  assert.match(await cli.ok(['worker', 'list']), /^No worker is running. Try: queuectl worker/);
  for (const command of [['list'], ['dlq', 'list'], ['worker', 'list']]) {
    assert.equal(await cli.ok([...command, '--json']), '[]\n');
  }
});

test('one row a job, whatever its command holds', async (t) => {
  const cli = box(t);
  const command = 'echo one\necho two\n# 漢字 😀\ttab \u001b[31m \u202e';
  await cli.ok(['enqueue', '--id', 'm', '--shell', command]);
  await cli.ok(['enqueue', '--id', 'longer', '--', 'true']);
  const table = await cli.ok(['list']);
  assert.equal(table.split('\n').length, 4);
  assert.ok(table.endsWith('\n'));
  assert.match(table, /^m {7}pending .* echo one\\necho two\\n# 漢字 😀\\ttab \\e\[31m \\u202e$/m);
  const [, job] = await cli.json<{ command: string }[]>(['list']);
  assert.equal(job?.command, command);
});

test('pages: a limit, a cursor, and a word about what follows', async (t) => {
  const cli = box(t);
  const input = Array.from({ length: 60 }, (_, i) => `{"id":"j${i}","command":"true"}\n`).join('');
  await cli.ok(['enqueue', '-'], { input });
  assert.equal((await cli.json<Listed[]>(['list'])).length, 50);
  const { stdout, stderr } = await cli.q(['list', '--limit', '2']);
  assert.equal(stdout.split('\n').length, 4);
  assert.match(stderr, /--cursor j58/);
  const next = await cli.json<Listed[]>(['list', '--limit', '2', '--cursor', 'j58']);
  assert.deepEqual(
    next.map(({ id }) => id),
    ['j57', 'j56'],
  );
  const last = await cli.q(['list', '--limit', '5', '--cursor', 'j2']);
  assert.deepEqual([last.stdout.split('\n').length, last.stderr], [4, '']);
  assert.match(await cli.ok(['list', '--cursor', 'j0']), /^No more jobs/);
  await cli.refused(['list', '--cursor', 'nosuch'], 3);
});

test('filters', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'a', '--queue', 'q', '--tag', 'k=1', '--', 'make']);
  await cli.ok(['enqueue', '--id', 'b', '--tag', 'k=1', '--tag', 'l=2', '--', 'make', 'all']);
  await cli.ok(['enqueue', '--id', 'c', '--priority', '9', '--', 'true']);
  await cli.ok(['cancel', 'c']);
  const ids = async (...flags: string[]): Promise<string> =>
    (await cli.json<Listed[]>(['list', ...flags])).map(({ id }) => id).join();
  assert.equal(await ids(), 'c,b,a');
  assert.equal(await ids('--queue', 'q'), 'a');
  assert.equal(await ids('--tag', 'k=1'), 'b,a');
  assert.equal(await ids('--tag', 'k=1', '--tag', 'l=2'), 'b');
  assert.equal(await ids('--search', 'MAKE'), 'b,a');
  assert.equal(await ids('--state', 'cancelled'), 'c');
  assert.equal(await ids('--state', 'cancelled,pending', '--sort', 'oldest'), 'a,b,c');
  assert.equal(await ids('--state', 'dead', '--queue', 'nosuch'), '');
  assert.match(await cli.ok(['list', '--queue', 'nosuch']), /^No job matches/);
});

test('show tells everything about a job, and what to paste', async (t) => {
  const cli = box(t);
  const args = ['enqueue', '--id', 'a', '--env', 'E=\u001b', '--tag', 'k=v', '--delay', '1h', '--'];
  await cli.ok([...args, 'printf', '[%s]', "it's", 'x\ty', '']);
  const text = await cli.ok(['show', 'a']);
  assert.match(text, /^a {2}pending {2}due in 1h$/m);
  assert.match(text, /Command +printf '\[%s\]' 'it'\\''s' \$'x\\ty' ''$/m);
  assert.match(text, /Variable +E=\\e$/m);
  assert.match(text, /Tag +k=v$/m);
  assert.match(text, new RegExp(`Directory +${cli.directory}$`, 'm'));
  assert.match(await cli.refused(['show', 'nosuch'], 3), /no job "nosuch"/);
  assert.match(await cli.refused(['dlq', 'show', 'a'], 4), /job a is pending, not dead/);
});

test('status counts by state and queue, and says when nobody works', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--queue', 'q', '--', 'true']);
  await cli.ok(['enqueue', '--id', 'c', '--', 'true']);
  await cli.ok(['cancel', 'c']);
  const { stdout, stderr } = await cli.q(['status']);
  assert.match(stdout, /^QUEUE +PENDING +PROCESSING +COMPLETED +FAILED +DEAD +CANCELLED$/m);
  assert.match(stdout, /^q +1 +0 +0 +0 +0 +0$/m);
  assert.match(stdout, /^all +1 +0 +0 +0 +0 +1$/m);
  assert.match(stdout, /^Workers +none$/m);
  assert.match(stderr, /^hint: no worker is running/);
  assert.equal((await cli.q(['status', '--quiet'])).stderr, '');
  const json = await cli.json<Record<string, unknown>>(['status']);
  assert.deepEqual(json['jobs'], {
    blocked: 0,
    pending: 1,
    processing: 0,
    completed: 0,
    failed: 0,
    dead: 0,
    cancelled: 1,
  });
  assert.deepEqual(json['workers'], {
    alive: 0,
    idle: 0,
    busy: 0,
    stopping: 0,
    slots: 0,
    running: 0,
  });
});

test('settings: the bare value, the default again, ranges, mistyped keys', async (t) => {
  const cli = box(t);
  assert.equal(await cli.ok(['config', 'set', 'backoff_base', '2']), 'backoff_base = 2\n');
  assert.equal(await cli.ok(['config', 'get', 'backoff_base']), '2\n');
  assert.equal(await cli.ok(['config', 'get', 'max-retries']), '3\n');
  await cli.ok(['config', 'set', 'max-retries', '5']);
  const job = await cli.json<{ max_retries: number }>(['enqueue', '--', 'true']);
  assert.equal(job.max_retries, 5);
  assert.equal(await cli.ok(['config', 'unset', 'max_retries']), 'max_retries = 3 (the default)\n');
  assert.match(await cli.refused(['config', 'set', 'backoff_base', '0.9'], 2), /from 1 to/);
  assert.match(await cli.refused(['config', 'set', 'leese', '1'], 2), /did you mean lease\?/);
  assert.match(await cli.ok(['config', 'list']), /^lease +30s +30s +how long a worker may/m);
  const list = await cli.json<{ name: string; value: unknown; is_set: boolean }[]>([
    'config',
    'list',
  ]);
  assert.deepEqual(
    list.filter(({ is_set }) => is_set).map(({ name, value }) => [name, value]),
    [['backoff_base', 2]],
  );
  assert.equal(list.find(({ name }) => name === 'lease')?.value, 30);
});

test('--db: another database, with its things beside it', async (t) => {
  const cli = box(t);
  await cli.ok(['--db', 'other.db', 'enqueue', '--id', 'a', '--', 'true']);
  assert.deepEqual(await cli.json(['list']), []);
  assert.equal((await cli.json<Listed[]>(['list', '--db', 'other.db'])).length, 1);
  const env = { QUEUECTL_DB: `${cli.directory}/other.db` };
  assert.equal((await cli.json<Listed[]>(['list'], { env })).length, 1);
});

test('help and version need no home', async (t) => {
  const cli = box(t);
  const env = { HOME: '/dev/null', QUEUECTL_HOME: undefined };
  for (const args of [[], ['--version'], ['enqueue', '--help'], ['help', 'dlq', 'retry']]) {
    const { code, stderr } = await cli.q(args, { env, cwd: '/' });
    assert.deepEqual([code, stderr], [0, '']);
  }
});

const skip = hasScript ? false : 'needs script(1)';

test('a table fits its terminal and has colour there', { skip }, async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'm', '--shell', `# ${'漢字 😀 '.repeat(30)}`]);
  for (const columns of [40, 80, 132]) {
    const { shown } = await cli.terminal('queuectl list', { columns });
    const row = shown.split('\r\n').find((line) => line.startsWith('m ')) ?? assert.fail(shown);
    assert.ok(row.includes('\u001b[36mpending\u001b[39m'));
    const width = Array.from(row.replaceAll(/\u001b\[\d+m/g, '')).reduce(
      (sum, character) => sum + (/[漢字😀]/u.test(character) ? 2 : 1),
      0,
    );
    assert.ok(width <= columns && width > columns - 3, `${width} of ${columns}: ${row}`);
    assert.ok(row.endsWith('…'));
  }
  // An id of ours is as wide as half of this: it stays whole, to be copied.
  const id = await cli.ok(['enqueue', '--quiet', '--', 'echo', 'x'.repeat(100)]);
  const narrow = await cli.terminal('NO_COLOR=1 queuectl list --limit 1', { columns: 48 });
  const [first, second = ''] = narrow.shown.split('\r\n');
  assert.equal(first, id.trim());
  assert.match(second, /^ {2}pending .* echo x+…$/);
  assert.ok(second.length <= 48);
  const plain = await cli.terminal('NO_COLOR=1 queuectl list');
  assert.ok(!plain.shown.includes('\u001b['));
});
