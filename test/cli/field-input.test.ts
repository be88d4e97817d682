// Bad input and bad surroundings, as a stranger would try them, and LQ-11 and LQ-33: the
// exit code, one line that says what, and everything left as it was. More of it is in
// refusals.test.ts and test/unit/spec.test.ts.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { type Box, box, QUEUECTL } from './box.ts';
import { type JobJson, line, shell, working } from './field.ts';

/** Nothing was stored, not even a home was made. */
function untouched(cli: Box): void {
  assert.ok(!existsSync(cli.home));
}

test('malformed JSON is refused with its position', async (t) => {
  const cli = box(t);
  for (const [json, column] of [
    ['{', 2],
    ['{"command"', 11],
    ["{'command':'x'}", 2],
    ['{command:x}', 2],
    ['{"command":"a', 12],
    ['{"command":"a\\x"}', 14],
    ['{"command":"a",}', 16],
    ['{"command":"a"} x', 17],
    ['{"command":"a","id":"a","id":"b"}', 25],
  ] as const) {
    assert.match(
      await cli.refused(['enqueue', json], 2),
      new RegExp(`at column ${column}: `),
      json,
    );
  }
  assert.match(await cli.refused(['enqueue', '{command:x}'], 2), /hint: .*single quotes/);
  untouched(cli);
});

test('unknown, mistyped and out-of-range fields are refused by name', async (t) => {
  const cli = box(t);
  for (const [fields, message] of [
    [{ prioritty: 1 }, /"prioritty"\nhint: did you mean "priority"\?/],
    [{ state: 'dead' }, /"state" is set by queuectl/],
    [{ 'max-retries': 1, max_retries: 2 }, /max_retries is given twice/],
    [{ priority: 1.5 }, /priority must be .* not 1\.5/],
    [{ priority: '1' }, /priority must be .* not "1"/],
    [{ priority: 1001 }, /from -1000 to 1000/],
    [{ max_retries: -1 }, /max_retries must be/],
    [{ id: 7 }, /id must be text.* not 7/],
    [{ id: '' }, /id must be/],
    [{ id: '..' }, /id must be/],
    [{ id: '-x' }, /id must be/],
    [{ id: 'a/b' }, /id must be/],
    [{ id: 'a\nb' }, /id must be .* not "a\\nb"/],
    [{ id: 'x'.repeat(129) }, /id must be/],
    [{ queue: '../q' }, /queue must be/],
    [{ tags: ['x'] }, /tags must be/],
    [{ tags: { x: 1 } }, /tag "x" must be text, not 1\nhint: put it in double quotes/],
    [{ env_from: ['A=B'] }, /env_from must be/],
    [{ cwd: '' }, /cwd must be/],
    [{ timeout: '5 minutes' }, /timeout must be/],
    [{ args: ['ls'] }, /command and args exclude each other/],
    [{ command: 'a\0b' }, /command must be text without NUL bytes/],
    [{ command: '\ud800' }, /command must be valid Unicode/],
    [{ command: ' ' }, /command must be/],
  ] as const) {
    const json = JSON.stringify({ command: 'true', ...fields });
    assert.match(await cli.refused(['enqueue', json], 2), message, json);
  }
  const inexact = '{"command":"true","max_retries":12345678901234567890}';
  assert.match(await cli.refused(['enqueue', inexact], 2), /cannot carry exactly/);
  untouched(cli);
});

test('LQ-11 · times that are not times', async (t) => {
  const cli = box(t);
  for (const [flag, value] of [
    ...['2027-02-30T00:00Z', '2027-02-29T09:00Z', '2027-13-01T00:00Z', '2027-12-01T24:00Z'].map(
      (time) => ['--run-at', time] as const,
    ),
    ...['NaN', '-5m', '1e400', '99999999999d', '', ' 5m', '0x10', '1h30'].map(
      (time) => ['--delay', time] as const,
    ),
  ]) {
    const message = await cli.refused(['enqueue', `${flag}=${value}`, '--', 'true'], 2);
    assert.ok(message.includes(`${flag} must be`), message);
  }
  for (const fields of [
    '"delay":""',
    '"run_at":0',
    '"delay":1e400',
    '"delay":-1',
    '"delay":true',
  ]) {
    const [name] = /\w+/.exec(fields) ?? assert.fail();
    const message = await cli.refused(['enqueue', `{"command":"true",${fields}}`], 2);
    assert.ok(message.includes(name), message);
  }
  const unzoned = '{"command":"true","run_at":"2027-12-01T09:00"}';
  assert.match(await cli.refused(['enqueue', unzoned], 2), /with a time zone/);
  untouched(cli);

  // A flag without a zone is the caller's time, and is told back with it; a time that the
  // clocks skip is none.
  const env = { TZ: 'Europe/Berlin' };
  const at = (time: string): string[] => ['enqueue', '--json', '--run-at', time, '--', 'true'];
  const local = await cli.q(at('2027-12-01T09:00'), { env });
  assert.equal((JSON.parse(local.stdout) as JobJson).run_at, '2027-12-01T08:00:00.000Z');
  assert.match(local.stderr, /2027-12-01T09:00:00\+01:00/);
  assert.match(await cli.refused(at('2027-03-28T02:30'), 2, { env }), /the clocks go forward/);
  const rounded = await cli.q(at('2027-12-01T09:00:00.0001Z'));
  assert.equal((JSON.parse(rounded.stdout) as JobJson).run_at, '2027-12-01T09:00:00.001Z');
});

test('too long is refused, just fitting runs', async (t) => {
  const cli = await working(t);
  const input = JSON.stringify({ id: 'big', command: 'x'.repeat(10_000_000) });
  assert.match(await cli.refused(['enqueue', '-'], 2, { input }), /at most 128,000 bytes/);
  assert.deepEqual(await cli.json(['list']), []);
  const args = ['true', ...Array.from({ length: 11 }, () => 'x'.repeat(127_000))];
  const jobs = [
    { id: 'shell', command: `true ${'x'.repeat(127_995)}` },
    { id: 'args', args },
    { id: 'many', args: ['true', ...Array.from({ length: 100_000 }, () => 'x')] },
  ];
  await cli.ok(['enqueue', '-'], { input: jobs.map((job) => JSON.stringify(job)).join('\n') });
  await cli.ok(['wait', 'shell', 'args', 'many']);
  const deep = `{"command":"x","tags":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  await cli.refused(['enqueue', '-'], 2, { input: deep });
});

test('a directory whose name is not UTF-8 is refused before anything is stored', (t) => {
  const cli = box(t);
  const script = `mkdir "$(printf 'd\\377')" && cd "$(printf 'd\\377')" && exec "$0" enqueue -- true`;
  const { status, stderr } = spawnSync('sh', ['-c', script, QUEUECTL], {
    cwd: cli.directory,
    env: cli.env,
    encoding: 'utf8',
  });
  assert.equal(status, 2, stderr);
  assert.match(stderr, /directory is not valid UTF-8\nhint: /);
  untouched(cli);
});

test('LQ-33 · names that JavaScript objects already have', async (t) => {
  const cli = await working(t);
  const env = '{"__proto__":"x","constructor":"y","toString":"z"}';
  const tags = '{"toString":"1","__proto__":"2"}';
  const json = `{"id":"__proto__","args":["env"],"env":${env},"tags":${tags},"queue":"constructor"}`;
  await cli.ok(['enqueue', json]);
  await cli.ok(['wait', '__proto__']);
  const seen = (await cli.ok(['logs', '__proto__'])).split('\n');
  for (const variable of ['__proto__=x', 'constructor=y', 'toString=z']) {
    assert.ok(seen.includes(variable), variable);
  }
  const job = await cli.json<JobJson>(['show', '__proto__']);
  assert.equal(JSON.stringify(job.env), env);
  assert.equal(JSON.stringify(job.tags), tags);
  for (const [filter, found] of [
    [['--tag', '__proto__=2'], 1],
    [['--tag', 'toString=1'], 1],
    [['--tag', 'constructor=1'], 0],
    [['--queue', 'constructor'], 1],
    [['--queue', '__proto__'], 0],
    [['--search', '__proto__'], 1],
  ] as const) {
    const jobs = await cli.json<JobJson[]>(['list', ...filter]);
    assert.equal(jobs.length, found, filter.join(' '));
  }
  const id = 'hasOwnProperty';
  await cli.ok(shell(id, 'exit 1', '--queue', 'valueOf'));
  assert.equal((await cli.q(['wait', id])).code, 1);
  await cli.ok(['dlq', 'show', id]);
  await cli.ok(['dlq', 'retry', id]);
  assert.equal((await cli.q(['wait', id])).code, 1);
  assert.deepEqual(await cli.json(['dlq', 'purge', '--yes', '--queue', 'valueOf']), { purged: 1 });
  await cli.ok(['config', 'set', 'retention', '1d', '--queue', 'constructor']);
  await cli.ok(shell('valueOf', 'true', '--queue', 'constructor', '--delay', '1h'));
  await cli.ok(['edit', 'valueOf', '--to-queue', '__proto__']);
  assert.equal((await cli.json<JobJson>(['show', 'valueOf'])).queue, '__proto__');
  await cli.ok(['cancel', '--queue', '__proto__', '--yes']);
  await cli.ok(['delete', '--queue', '__proto__', '--yes']);
  await cli.refused(['show', 'valueOf'], 3);
  const { queues } = await cli.json<{ queues: { queue: string }[] }>(['status']);
  assert.ok(queues.some(({ queue }) => queue === 'constructor'));

  for (const args of [
    ['constructor'],
    ['dlq', 'toString'],
    ['help', '__proto__'],
    ['list', '--__proto__', 'x'],
    ['list', '--state', 'constructor'],
    ['list', '--sort', 'toString'],
    ['config', 'get', '__proto__'],
    ['config', 'set', 'constructor', '1'],
    ['enqueue', '{"command":"true","__proto__":{"id":"x"}}'],
    ['enqueue', '{"command":"true","constructor":1}'],
    ['enqueue', '{"command":"true","env":{"__proto__":"a","__proto__":"b"}}'],
  ]) {
    await cli.refused(args, 2);
  }
  await cli.refused(['show', 'constructor'], 3);
});

/** What can stand where a database should, each made from a good one. */
const DAMAGES: Readonly<Record<string, (file: string) => void>> = {
  empty: (file) => truncateSync(file, 0),
  text: (file) => writeFileSync(file, 'hello\n'),
  header: (file) => overwrite(file, 0, 'XXXXXXXX'),
  truncated: (file) => truncateSync(file, 20_000),
  zeroed: (file) => overwrite(file, 4096, '\0'.repeat(8 * 4096)),
  newer: (file) => execute(file, 'PRAGMA user_version = 99'),
  foreign: (file) => {
    rmSync(file);
    execute(file, 'CREATE TABLE job (id TEXT)');
  },
  fifo: (file) => {
    rmSync(file);
    spawnSync('mkfifo', [file]);
  },
  dangling: (file) => {
    rmSync(file);
    symlinkSync('nosuch', file);
  },
};

function overwrite(file: string, at: number, text: string): void {
  const content = readFileSync(file);
  content.write(text, at, 'latin1');
  writeFileSync(file, content);
}

function execute(file: string, sql: string): void {
  const db = new DatabaseSync(file);
  db.exec(sql);
  db.close();
}

test('a file that is no sound queue is 6, stays as it is, and gets nothing beside it', async (t) => {
  const cli = box(t);
  const input = '{"command":"true"}\n'.repeat(300);
  await cli.ok(['--db', 'good.db', 'enqueue', '-'], { input });
  const good = join(cli.directory, 'good.db');
  for (const [kind, damage] of Object.entries(DAMAGES)) {
    const place = join(cli.directory, kind);
    mkdirSync(place);
    const file = join(place, 'q.db');
    copyFileSync(good, file);
    damage(file);
    const isFile = lstatSync(file).isFile();
    const before = isFile ? readFileSync(file) : null;
    for (const args of [['list'], ['enqueue', '--', 'true'], ['worker', 'start']]) {
      assert.match(await cli.refused(['--db', file, ...args], 6), /q\.db/, kind);
    }
    if (before !== null) assert.deepEqual(readFileSync(file), before, kind);
    if (kind !== 'zeroed') assert.deepEqual(readdirSync(place), ['q.db'], kind);
  }
});

test('stdout and stderr that cannot be written', async (t) => {
  const cli = await working(t);
  await cli.ok(shell('a', 'echo out; exit 1'));
  await cli.q(['wait', 'a']);
  for (const command of [
    'list',
    'list --json',
    'logs a',
    'status',
    'config get lease',
    '--version',
  ]) {
    const { code, stderr } = await line(cli, `queuectl ${command} > /dev/full`);
    assert.equal(code, 1, command);
    assert.match(stderr, /^queuectl: cannot write to stdout: no space left on device\nhint: /);
  }
  assert.equal((await line(cli, 'queuectl wait --json a > /dev/full')).code, 125);
  assert.equal((await line(cli, 'queuectl show nosuch 2> /dev/full')).code, 3);
  const closed = await line(cli, 'queuectl enqueue --id b -- true <&- >&- 2>&-; echo $?');
  assert.equal(closed.stdout, '0\n');
  await cli.ok(['wait', 'b']);
  for (const command of ['list --limit 9999', 'list --json', 'help', 'logs a']) {
    const head = await line(cli, `set -o pipefail; queuectl ${command} | head -1`);
    assert.deepEqual([head.code, head.stderr], [0, ''], command);
  }
});
