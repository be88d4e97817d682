// The command line as a whole, in memory: what is understood, how it is refused, what goes
// to which stream. Commands that need a database are in test/cli/.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { COMMANDS, FAMILIES } from '../../src/cli/commands.ts';
import { ReaderGone } from '../../src/cli/context.ts';
import { run } from '../../src/cli/run.ts';
import { VERSION } from '../../src/cli/version.ts';
import { QueuectlError } from '../../src/errors.ts';
import { type FakeOptions, fakeContext } from './cli-context.ts';

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function cli(argv: readonly string[], options: FakeOptions = {}): Promise<Answer> {
  const context = fakeContext({ ...options, argv });
  const code = await run(context);
  return { code, ...context.said };
}

async function refuses(argv: readonly string[], message: RegExp, code = 2): Promise<void> {
  const answer = await cli(argv);
  assert.equal(answer.code, code, answer.err);
  assert.equal(answer.out, '');
  const [first = '', second, ...rest] = answer.err.trimEnd().split('\n');
  assert.match(first, message);
  assert.match(first, /^queuectl: /);
  assert.deepEqual(rest, []);
  if (second !== undefined) assert.match(second, /^hint: /);
}

test('the version is that of the package', async () => {
  const { version } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as { version: string };
  assert.equal(VERSION, version);
  for (const argv of [['--version'], ['list', '--version'], ['--json', '--version']]) {
    assert.deepEqual(await cli(argv), { code: 0, out: `queuectl ${version}\n`, err: '' });
  }
});

test('alone it shows what there is', async () => {
  for (const argv of [[], ['--help'], ['help'], ['-h'], ['--db', 'list', '--help']]) {
    const { code, out, err } = await cli(argv);
    assert.equal(code, 0);
    assert.equal(err, '');
    for (const [name, { group }] of COMMANDS) {
      assert.equal(out.includes(` ${name} `), group !== null, name);
    }
  }
});

test('every command has help with usage and examples that begin with its name', async () => {
  for (const [name, { group }] of COMMANDS) {
    if (group === null) continue;
    const words = name.split(' ');
    const { code, out } = await cli([...words, '--help']);
    assert.equal(code, 0);
    assert.match(out, /^Usage:$/m);
    assert.match(out, /^Examples:$/m);
    assert.ok(out.includes(`queuectl ${name}`));
    assert.ok(
      out.split('\n').every((line) => line.length <= 100),
      name,
    );
    assert.equal((await cli(['help', ...words])).out, out);
    assert.equal((await cli(['--bogus', ...words, 'x', 'y', 'z', '-h'])).out, out);
  }
});

test('the families of commands have help and want a second word', async () => {
  assert.deepEqual([...FAMILIES].toSorted(), ['config', 'dlq', 'service', 'worker']);
  for (const family of FAMILIES) {
    assert.equal((await cli([family, '--help'])).code, 0);
    assert.equal((await cli(['help', family])).code, 0);
    await refuses([family], new RegExp(`${family} needs one of: `));
  }
});

test('mistyped commands are refused with what was probably meant', async () => {
  await refuses(['lst'], /unknown command "lst", did you mean list\?/);
  await refuses(['enqeue'], /did you mean enqueue\?/);
  await refuses(['conf'], /did you mean config\?/);
  await refuses(['dlq', 'rety', 'x'], /unknown command "dlq rety", did you mean retry\?/);
  await refuses(['worker', 'strat'], /did you mean start\?/);
  await refuses(['add'], /did you mean enqueue\?/);
  await refuses(['tail', 'x'], /did you mean logs -f\?/);
  await refuses(['xyzzy'], /unknown command "xyzzy"$/);
  await refuses(['help', 'lst'], /did you mean list\?/);
  await refuses(['--', 'list'], /command is missing/);
  await refuses([''], /unknown command ""/);
});

test('names that objects already have are unknown commands like any other', async () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'valueOf']) {
    await refuses([name], /unknown command/);
    await refuses(['dlq', name], /unknown command/);
    await refuses(['help', name], /unknown command/);
    await refuses(['config', 'get', name], /there is no setting/);
    await refuses(['config', 'set', name, '1'], /there is no setting/);
  }
});

test('flags of a command do not stand before it', async () => {
  await refuses(['--limit', '5', 'list'], /unknown command "5"/);
  await refuses(['--bogus', 'list'], /unknown flag --bogus for list/);
});

test('what enqueue refuses before it opens anything', async () => {
  await refuses(['enqueue'], /enqueue needs a command/);
  await refuses(['enqueue', '--'], /the command is missing after --/);
  await refuses(['enqueue', 'echo', 'hello'], /enqueue takes one job, not 2 arguments/);
  await refuses(['enqueue', '{"command":"x"}', '--priority', '1'], /--priority does not go with/);
  await refuses(['enqueue', '{"command":"x"}', '--', 'y'], /unexpected/);
  await refuses(['enqueue', '--shell', 'x', '--', 'y'], /--shell and -- exclude each other/);
  await refuses(['enqueue', '--shell', ' '], /--shell must be a command that is not empty/);
  await refuses(['enqueue', '--skip-invalid', '--', 'y'], /--skip-invalid needs --file/);
  await refuses(['enqueue', '--stream', '{"command":"x"}'], /--stream needs --file/);
  await refuses(['enqueue', '--file', 'x', '--queue', 'q'], /--queue does not go with a file/);
  await refuses(['enqueue', '--file', 'x', '-'], /exclude each other/);
  await refuses(['enqueue', '--file', '/nonexistent/x'], /cannot read .*: there is no such file/);
  await refuses(['enqueue', '--file', '/'], /cannot read \/: it is a directory/);
  await refuses(['enqueue', '--tag', 'x', '--', 'y'], /--tag must be NAME=VALUE, not "x"/);
  await refuses(['enqueue', '--priority', 'high', '--', 'y'], /--priority must be a whole number/);
  await refuses(['enqueue', '--id', '', '--', 'y'], /--id must be/);
  await refuses(['enqueue', '--env', '=x', '--', 'y'], /--env must be/);
  await refuses(['enqueue', '--env-file', '/nonexistent', '--', 'y'], /cannot read --env-file/);
  await refuses(['enqueue', '--delay', 'soon', '--', 'y'], /--delay must be a duration/);
  await refuses(['enqueue', '--run-at', '2030-02-30T10:00', '--', 'y'], /--run-at must be/);
  await refuses(['enqueue', '{"command":'], /malformed JSON at column 12/);
  await refuses(['enqueue', '{"comand":"x"}'], /unknown field "comand"/);
});

test('arguments that were not UTF-8 are refused, a real U+FFFD is not', async () => {
  const argv = ['enqueue', '--tag', 'x', '--', '\ufffd'];
  const broken = await cli(argv, { rawArguments: new Uint8Array([0x66, 0xff, 0]) });
  assert.match(broken.err, /an argument is not valid UTF-8/);
  const fine = await cli(argv, { rawArguments: new TextEncoder().encode('\ufffd\0') });
  assert.match(fine.err, /--tag must be/);
});

test('numbers and durations are refused by the name of their flag', async () => {
  await refuses(['list', '--limit', '0'], /--limit must be a whole number/);
  await refuses(['list', '--limit', '-1'], /--limit must be a whole number/);
  await refuses(['list', '--limit', '1e3'], /--limit must be a whole number/);
  await refuses(['list', '--tag', 'x'], /--tag must be NAME=VALUE/);
  await refuses(['wait', 'a', '--timeout', 'x'], /--timeout must be a duration/);
  await refuses(['logs', 'a', '-n', 'x'], /--lines must be a whole number/);
  await refuses(['worker', 'start', '--count', '0'], /--count must be a whole number/);
  await refuses(['worker', 'start', '--queue', '../x'], /--queue must be/);
  await refuses(['worker', 'stop', '--grace', '1', '--now'], /--grace and --now exclude/);
  await refuses(['dlq', 'retry'], /dlq retry needs an ID, or --all/);
  await refuses(['dlq', 'retry', 'a', '--all'], /exclude each other/);
  await refuses(['dlq', 'retry', 'a', '--queue', 'q'], /exclude each other/);
  await refuses(['dlq', 'purge', '--older-than', '-1d'], /--older-than must be a duration/);
  await refuses(['config', 'set', 'backoff_base', '0.5'], /backoff_base must be a number from 1/);
  await refuses(['config', 'set', 'lease'], /config set needs 2 arguments/);
});

test('what deletes asks, and where nobody can be asked names --yes', async () => {
  await refuses(['dlq', 'purge'], /dlq purge asks first/);
  assert.match((await cli(['dlq', 'purge'])).err, /--yes/);
});

test('a message is one line, whatever was typed', async () => {
  const { err } = await cli(['show\n\u001b[31m\u202e', 'x']);
  assert.match(err, /^queuectl: unknown command "show\\+n\\.*\nhint: .*\n$/);
  assert.ok(!err.includes('\u001b') && !err.includes('\u202e'));
});

test('a reader that leaves is no error', async () => {
  const { code, err } = await cli(['help'], { stdoutError: new ReaderGone() });
  assert.deepEqual([code, err], [0, '']);
});

test('a stdout that cannot be written is one', async () => {
  const stdoutError = new QueuectlError(
    'internal',
    'cannot write to stdout: no space left on device',
  );
  const { code, err } = await cli(['help'], { stdoutError });
  assert.equal(code, 1);
  assert.equal(err, 'queuectl: cannot write to stdout: no space left on device\n');
});

test('what is unexpected is told without a stack trace, with --debug in full', async () => {
  const stdoutError = new TypeError('x is not a function');
  const short = await cli(['help'], { stdoutError });
  assert.equal(short.code, 1);
  assert.match(short.err, /^queuectl: internal error: x is not a function\nhint: .*--debug.*\n$/);
  const long = await cli(['help', '--debug'], { stdoutError });
  assert.match(long.err, /\n +at /);
  const behind = await cli(['help', '--', '--debug'], { stdoutError });
  assert.doesNotMatch(behind.err, /\n +at /);
});

test('colour only on a terminal that wants it', async () => {
  assert.ok((await cli(['help'], { terminal: 80 })).out.includes('\u001b['));
  assert.ok(!(await cli(['help'])).out.includes('\u001b['));
  assert.ok(
    !(await cli(['help'], { terminal: 80, env: { NO_COLOR: '1' } })).out.includes('\u001b['),
  );
  assert.ok(
    !(await cli(['help'], { terminal: 80, env: { TERM: 'dumb' } })).out.includes('\u001b['),
  );
  assert.ok(!(await cli(['help', '--no-color'], { terminal: 80 })).out.includes('\u001b['));
});
