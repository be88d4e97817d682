// Arguments as people write them, and how each mistake is refused. SH-02, SH-07.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Command, defineCommand } from '../../src/cli/command.ts';
import { parse, type Parsed } from '../../src/cli/parse.ts';
import { QueuectlError } from '../../src/errors.ts';

const define = (change: Partial<Command>): Command =>
  defineCommand({
    summary: '',
    usage: [],
    flags: {
      priority: { type: 'text', value: 'N', help: '' },
      'max-retries': { type: 'text', value: 'N', help: '' },
      tag: { type: 'list', value: 'K=V', help: '' },
      follow: { type: 'boolean', short: 'f', help: '' },
      lines: { type: 'text', short: 'n', value: 'N', help: '' },
      state: { type: 'list', value: 'S', choices: ['pending', 'dead'], help: '' },
      sort: { type: 'text', value: 'S', choices: ['newest', 'oldest'], help: '' },
    },
    operands: { min: 0, max: null, name: 'ID' },
    takesRest: true,
    examples: [],
    run: () => Promise.resolve(0),
    ...change,
  });

async function parsed(argv: readonly string[], change: Partial<Command> = {}): Promise<Parsed> {
  const outcome = await parse(argv, 'try', define(change));
  assert.equal(outcome.kind, 'parsed');
  return outcome.kind === 'parsed' ? outcome.parsed : assert.fail();
}

async function refused(argv: readonly string[], message: RegExp, change: Partial<Command> = {}) {
  await assert.rejects(parse(argv, 'try', define(change)), (error: unknown) => {
    assert.ok(error instanceof QueuectlError);
    assert.equal(error.code, 'usage');
    assert.match(error.message, message);
    return true;
  });
}

test('a value may be negative, joined by =, or look like anything after =', async () => {
  assert.equal((await parsed(['--priority', '-5'])).flags['priority'], '-5');
  assert.equal((await parsed(['--priority=-5'])).flags['priority'], '-5');
  assert.equal((await parsed(['--priority=--max-retries'])).flags['priority'], '--max-retries');
  assert.equal((await parsed(['--priority='])).flags['priority'], '');
  assert.equal((await parsed(['--priority', '-'])).flags['priority'], '-');
  assert.equal((await parsed(['--priority', 'a=b=c'])).flags['priority'], 'a=b=c');
});

test('a forgotten value names the flag that lacks it', async () => {
  await refused(['--priority', '--max-retries', '1'], /^--priority needs a value/);
  await refused(['--priority'], /^--priority needs a value/);
  await refused(['--priority', '--', 'true'], /^--priority needs a value/);
  await refused(['--priority', '-f'], /^--priority needs a value/);
  await refused(['-n'], /^-n needs a value/);
});

test('short forms, joined and apart', async () => {
  for (const argv of [['-f', '-n', '5'], ['-fn', '5'], ['-fn5'], ['-n5', '-f'], ['-f', '-n=5']]) {
    const { flags } = await parsed(argv);
    assert.deepEqual([flags['follow'], flags['lines']], [true, '5'], argv.join(' '));
  }
});

test('nothing after -- is ours, not even another --', async () => {
  const words = ['--json', '--db', '/x', '--help', '-h', '--', '--priority', '', '-f', '--version'];
  const { rest, globals, operands, flags } = await parsed(['--priority', '1', '--', ...words]);
  assert.deepEqual(rest, words);
  assert.deepEqual(operands, []);
  assert.equal(flags['priority'], '1');
  assert.deepEqual([globals.json, globals.db, globals.help], [false, undefined, false]);
  assert.deepEqual((await parsed(['--'])).rest, []);
  assert.equal((await parsed([])).rest, null);
});

test('for a command without a command line of its own -- ends the flags', async () => {
  const { operands, rest } = await parsed(['a', '--', 'b', '--json'], { takesRest: false });
  assert.deepEqual(operands, ['a', 'b', '--json']);
  assert.equal(rest, null);
});

test('global flags stand anywhere before --', async () => {
  const { globals } = await parsed(['a', '--json', '--db', 'q.db', 'b', '--quiet', '--no-color']);
  assert.deepEqual(
    [globals.json, globals.db, globals.quiet, globals['no-color'], globals.debug],
    [true, 'q.db', true, true, false],
  );
});

test('a list collects, a single value given twice is refused, a switch may be repeated', async () => {
  assert.deepEqual((await parsed(['--tag', 'a=1', '--tag=b=2'])).flags['tag'], ['a=1', 'b=2']);
  await refused(['--priority', '1', '--priority', '1'], /^--priority was given twice/);
  assert.equal((await parsed(['--json', '--json'])).globals.json, true);
});

test('choices are checked, lists of them may be joined by commas', async () => {
  assert.deepEqual((await parsed(['--state', 'dead,pending'])).flags['state'], ['dead', 'pending']);
  await refused(['--state', 'daed'], /"daed", did you mean dead\?/);
  await refused(['--state', 'dead,x'], /"x"$/);
  await refused(['--sort', 'newset'], /"newset", did you mean newest\?/);
  await refused(['--sort', 'newest,oldest'], /--sort does not know/);
});

test('unknown flags are named, with what was probably meant', async () => {
  await refused(['--priorty', '1'], /^unknown flag --priorty for try, did you mean --priority\?/);
  await refused(['--max_retries', '1'], /did you mean --max-retries\?/);
  await refused(['--xyzzy'], /^unknown flag --xyzzy for try$/);
  await refused(['-z'], /^unknown flag -z/);
  await refused(['--json=yes'], /^--json takes no value/);
});

test('names that objects already have are unknown flags like any other', async () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf']) {
    await refused([`--${name}`], new RegExp(`^unknown flag --${name}`));
    await refused([`--${name}=x`], new RegExp(`^unknown flag --${name}`));
  }
});

test('operands are counted', async () => {
  const one = { operands: { min: 1, max: 1, name: 'ID' } };
  await refused([], /^try needs an ID$/, one);
  await refused(['a', 'b'], /^try: unexpected "b"$/, one);
  await refused(['a'], /^try takes no argument: "a"$/, {
    operands: { min: 0, max: 0, name: 'argument' },
  });
  await refused(['a'], /^try needs 2 arguments$/, {
    operands: { min: 2, max: 2, name: 'argument' },
  });
});

test('--help wins over every mistake, but not from behind --', async () => {
  assert.equal((await parse(['--bogus', '--help'], 'try', define({}))).kind, 'help');
  assert.equal((await parse(['-h', 'a', 'b'], 'try', define({}))).kind, 'help');
  assert.equal((await parse(['--version'], '', null)).kind, 'version');
  assert.equal((await parse(['--', '--help'], 'try', define({}))).kind, 'parsed');
  // Here -h is the value that --priority would have, had it not looked like a flag.
  await refused(['--priority', '-h'], /^--priority needs a value/);
});
