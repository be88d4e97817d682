// What a user may ask for, and in which words everything else is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QueuectlError } from '../../src/errors.ts';
import { MAX_ARGUMENT_BYTES, MAX_TAG_VALUE_BYTES, MAX_TAGS } from '../../src/limits.ts';
import { type JobContext, parseJob, parseJobText } from '../../src/spec.ts';

const NOW = Date.UTC(2026, 10, 25, 12);
const context: JobContext = {
  cwd: '/srv',
  path: '/usr/bin:/bin',
  now: () => NOW,
  newId: () => 'new-id',
};

const PLAIN = {
  id: 'new-id',
  kind: 'command',
  command: 'true',
  spec: {},
  cwd: '/srv',
  path: '/usr/bin:/bin',
  queue: 'default',
  priority: 0,
  maxRetries: null,
  timeout: null,
  runAt: null,
  delay: null,
  tags: null,
};

test('the job of the seed', () => {
  assert.deepEqual(
    parseJobText('{"id":"job_ok","command":"echo hello","max_retries":2}', context),
    { ...PLAIN, id: 'job_ok', command: 'echo hello', maxRetries: 2 },
  );
});

const ACCEPTED: readonly (readonly [string, object, object])[] = [
  ['nothing but a command', {}, {}],
  ['null is like absent', { queue: null, tags: null, max_retries: undefined }, {}],
  [
    'dashes in names',
    { 'max-retries': 0, 'run-at': '10m' },
    { maxRetries: 0, runAt: NOW + 600_000 },
  ],
  [
    'the ends of the ranges',
    { priority: -1000, max_retries: 1e6 },
    { priority: -1000, maxRetries: 1e6 },
  ],
  ['minus zero', { priority: -0, max_retries: -0, delay: -0 }, { priority: 0, maxRetries: 0 }],
  ['durations', { delay: '1h30m', timeout: 2.5 }, { delay: 5_400_000, timeout: 2500 }],
  ['no delay', { delay: 0 }, { delay: null }],
  ['no timeout', { timeout: 0 }, { timeout: 0 }],
  ['no timeout, in words', { timeout: 'none' }, { timeout: 0 }],
  ['an instant', { run_at: '2026-12-01T09:00+01:00' }, { runAt: Date.UTC(2026, 11, 1, 8) }],
  ['a relative directory', { cwd: 'a/../b' }, { cwd: '/srv/b' }],
  ['an absolute directory', { cwd: '/a/' }, { cwd: '/a' }],
  [
    'stdin from where enqueue was called',
    { cwd: '/x', stdin: 'in' },
    { cwd: '/x', spec: { stdin: '/srv/in' } },
  ],
  ['names of variables', { env_from: ['A', 'B', 'A'] }, { spec: { env_from: ['A', 'B'] } }],
  ['nothing in lists', { env: {}, env_from: [], tags: {} }, {}],
  ['every character of an id', { id: 'aZ9._:@-', queue: 'a.b' }, { id: 'aZ9._:@-', queue: 'a.b' }],
  ['an id of 128', { id: 'x'.repeat(128) }, { id: 'x'.repeat(128) }],
  ['three dots', { id: '...' }, { id: '...' }],
  [
    'an id that objects have',
    { id: '__proto__', queue: 'constructor' },
    { id: '__proto__', queue: 'constructor' },
  ],
];

for (const [name, fields, expected] of ACCEPTED) {
  test(`accepted: ${name}`, () => {
    assert.deepEqual(parseJob({ command: 'true', ...fields }, context), { ...PLAIN, ...expected });
    const json = JSON.stringify({ command: 'true', ...fields });
    assert.deepEqual(parseJobText(`\uFEFF ${json}\r\n`, context), { ...PLAIN, ...expected });
  });
}

test('SH-01: arguments stay apart, command is the form to paste', () => {
  const args = ['printf', '[%s]', 'hello  world', '', '*', "it's", '$HOME'];
  const job = parseJob({ args }, context);
  assert.deepEqual(job.spec, { args });
  assert.match(job.command, /^printf .*hello {2}world/);
});

test('SH-09: names and values of variables arrive unchanged', () => {
  const env = {
    'a.b': '1',
    'x-y': '2',
    E: '',
    P: '50% $HOME `x` "q"',
    NL: 'a\nb=c',
    'BASH_FUNC_f%%': '() { echo hi; }',
  };
  assert.deepEqual(parseJob({ command: 'env', env }, context).spec, { env });
});

test('LQ-33: names that objects already have', () => {
  const json =
    '{"command":"env","env":{"__proto__":"x","constructor":"y","hasOwnProperty":"z"},' +
    '"tags":{"toString":"1","__proto__":"2"}}';
  const job = parseJobText(json, context);
  assert.deepEqual(Object.entries(job.spec.env ?? {}), [
    ['__proto__', 'x'],
    ['constructor', 'y'],
    ['hasOwnProperty', 'z'],
  ]);
  assert.deepEqual(Object.entries(job.tags ?? {}), [
    ['toString', '1'],
    ['__proto__', '2'],
  ]);
  assert.equal(JSON.stringify(job.tags), '{"toString":"1","__proto__":"2"}');
});

const wide = 'é'.repeat(MAX_ARGUMENT_BYTES / 2);

const REFUSED: readonly (readonly [string, unknown, RegExp])[] = [
  ['no object', 'true', /^a job must be an object, not "true"/],
  ['a list', [], /^a job must be an object, not a list/],
  ['null', null, /^a job must be an object, not null/],
  ['nothing to run', {}, /^command is missing/],
  ['two things to run', { command: 'a', args: ['a'] }, /^command and args exclude each other/],
  ['an empty command', { command: '' }, /^command must be text that is not empty, not ""/],
  ['a blank command', { command: ' \n\t' }, /^command must be text that is not empty/],
  ['a NUL', { command: 'a\0b' }, /^command must be text without NUL bytes, not "a\\u0000b"/],
  ['half a character', { command: '\ud800' }, /^command must be valid Unicode, not "\\ud800"/],
  ['a command that is a number', { command: 5 }, /^command must be text that is not empty, not 5/],
  [
    'a command over the limit',
    { command: `${wide}x` },
    /^command must be at most 128,000 bytes long, not 128,001/,
  ],
  [
    'a command of 10 MB',
    { command: 'x'.repeat(1e7) },
    /^command must be at most 128,000 bytes long, not 10,000,000$/,
  ],
  ['no arguments', { args: [] }, /^args must be a list with a program in it/],
  ['arguments in one text', { args: 'cp a b' }, /^args must be a list of texts, not "cp a b"/],
  [
    'a program without a name',
    { args: ['', 'x'] },
    /^the program must be a name that is not empty/,
  ],
  ['an argument that is a number', { args: ['sleep', 5] }, /^args\[1\] must be text, not 5/],
  ['a NUL in an argument', { args: ['a', 'b\0'] }, /^args\[1\] must be text without NUL/],
  [
    'an argument over the limit',
    { args: ['a', `${wide}x`] },
    /^args\[1\] must be at most 128,000 bytes/,
  ],
  [
    'arguments over the sum',
    { args: Array(12).fill(wide) },
    /^the command, its arguments and variables must be at most 1,500,000 bytes/,
  ],
  [
    'many small arguments',
    { args: Array(200_000).fill('a') },
    /^the command, its arguments and variables/,
  ],
  ['an empty id', { id: '' }, /^id must be text of 1 to 128 characters/],
  ['an id of 129', { id: 'x'.repeat(129) }, /^id must be .*, not "x{60}…"$/],
  ['a dash first', { id: '-x' }, /^id must be/],
  ['a dot', { id: '.' }, /^id must be/],
  ['two dots', { id: '..' }, /^id must be/],
  ['a path', { id: '../x' }, /^id must be/],
  ['an encoded path', { id: '%2e%2e' }, /^id must be/],
  ['a space', { queue: 'a b' }, /^queue must be/],
  ['a newline at the end', { id: 'x\n' }, /^id must be .*, not "x\\n"$/],
  ['a letter of another script', { id: 'é' }, /^id must be/],
  ['an id that is a number', { id: 5 }, /^id must be text of .*, not 5$/],
  [
    'a priority beyond',
    { priority: 1001 },
    /^priority must be a whole number from -1000 to 1000, not 1001/,
  ],
  ['half a priority', { priority: 1.5 }, /^priority must be a whole number/],
  ['a priority in words', { priority: '5' }, /^priority must be a whole number .* not "5"/],
  ['NaN', { priority: Number.NaN }, /^priority must be .* not NaN/],
  [
    'true',
    { max_retries: true },
    /^max_retries must be a whole number from 0 to 1,000,000, not true/,
  ],
  ['retries below zero', { max_retries: -1 }, /^max_retries must be/],
  ['too many retries', { max_retries: 1_000_001 }, /^max_retries must be/],
  ['an empty delay', { delay: '' }, /^delay must be a duration/],
  ['a delay below zero', { delay: '-5m' }, /^delay must be a duration/],
  ['a delay without end', { delay: Number.POSITIVE_INFINITY }, /^delay must be a duration/],
  [
    'a delay of an odd type',
    { delay: [] },
    /^delay must be a number of seconds or a duration .* not a list/,
  ],
  ['a timeout below zero', { timeout: -1 }, /^timeout must be a duration/],
  ['an instant that is a number', { run_at: 0 }, /^run_at must be text such as/],
  [
    'an instant without a zone',
    { run_at: '2027-12-01T09:00' },
    /^run_at must be an instant with a time zone/,
  ],
  [
    'a day that is not there',
    { run_at: '2027-02-30T00:00Z' },
    /^run_at must be an instant that exists/,
  ],
  ['delay and run_at', { delay: 1, run_at: '1m' }, /^delay and run_at exclude each other/],
  ['an empty directory', { cwd: '' }, /^cwd must be the path of a directory/],
  ['a NUL in a path', { stdin: 'a\0' }, /^stdin must be text without NUL/],
  ['a long path', { cwd: 'x'.repeat(5000) }, /^cwd must be at most 4096 bytes long/],
  [
    'variables in a list',
    { env: ['A=1'] },
    /^env must be an object of names and texts, not a list/,
  ],
  ['a variable that is a number', { env: { A: 1 } }, /^env "A" must be text, not 1/],
  ['= in a variable name', { env: { 'A=B': 'x' } }, /^env must be names .* not "A=B"/],
  ['NUL in a variable name', { env: { 'A\0': 'x' } }, /^a name in env must be text without NUL/],
  ['NUL in a variable', { env: { A: '\0' } }, /^env "A" must be text without NUL/],
  ['a variable without a name', { env: { '': 'x' } }, /^env must be names that are not empty/],
  [
    'a variable over the limit',
    { env: { AB: 'x'.repeat(127_998) } },
    /^env "AB" must be at most 128,000 bytes long, not 128,001/,
  ],
  ['= in env_from', { env_from: ['A=1'] }, /^env_from must be names .* not "A=1"/],
  ['a variable from two sources', { env: { A: '1' }, env_from: ['A'] }, /^"A" is both/],
  ['tags in a list', { tags: ['a'] }, /^tags must be an object of names and texts/],
  ['a tag that is a number', { tags: { a: 1 } }, /^tag "a" must be text, not 1/],
  ['a tag without a name', { tags: { '': '1' } }, /^tags must be names that are not empty/],
  ['a long tag name', { tags: { ['x'.repeat(129)]: '1' } }, /^tag "x+…" must be at most 128 bytes/],
  [
    'a long tag',
    { tags: { a: 'x'.repeat(MAX_TAG_VALUE_BYTES + 1) } },
    /^tag "a" must be at most 1024 bytes long, not 1025/,
  ],
  [
    'too many tags',
    { tags: Object.fromEntries(Array.from({ length: MAX_TAGS + 1 }, (_, i) => [`t${i}`, ''])) },
    /^tags must be at most 64, not 65/,
  ],
  ['an unknown field', { url: 1 }, /^unknown field "url"/],
  ['two spellings', { max_retries: 1, 'max-retries': 2 }, /^max_retries is given twice/],
  ['a field of a stored job', { state: 'pending' }, /^"state" is set by queuectl/],
  [
    '__proto__ as a field',
    JSON.parse('{"command":"a","__proto__":{"id":"x"}}'),
    /^unknown field "__proto__"/,
  ],
  ['constructor as a field', { constructor: 'x' }, /^unknown field "constructor"/],
];

for (const [name, input, message] of REFUSED) {
  test(`refused: ${name}`, () => {
    const isFields = typeof input === 'object' && input !== null && !Array.isArray(input);
    const bare = !isFields || Object.keys(input).length === 0 || 'args' in input;
    const job: unknown = bare ? input : { command: 'true', ...input };
    // The spread leaves out an own `__proto__`: that one comes with its command.
    const whole = isFields && Object.hasOwn(input, '__proto__') ? input : job;
    assert.throws(() => parseJob(whole, context), {
      name: 'QueuectlError',
      code: 'invalid',
      message,
    });
  });
}

test('the largest command, argument and variable there may be', () => {
  assert.equal(parseJob({ command: wide }, context).command, wide);
  const job = parseJob({ args: ['a', wide], env: { AB: 'x'.repeat(127_997) } }, context);
  assert.equal(job.spec.args?.[1], wide);
});

const HINTS: readonly (readonly [string, RegExp])[] = [
  ['{id:job_ok,command:echo}', /the shell took the double quotes.*queuectl enqueue -- COMMAND/],
  ['{command:x', /the shell took the double quotes/],
  ["'{id:1}'", /this shell knows no single quotes/],
  ['echo hello', /to enqueue a command use queuectl enqueue -- COMMAND/],
  ['', /queuectl enqueue -- COMMAND/],
  ['[]', /queuectl enqueue -- COMMAND/],
  ["{'command': 'x'}", /JSON looks like/],
  ['{"command":"x",}', /JSON looks like/],
  ['{"comand":"x"}', /did you mean "command"\?/],
  ['{"maxRetries":1}', /did you mean "max_retries"\?/],
  ['{"xyzzy":1}', /a job has these: id, command/],
  ['{"command":"x","attempts":0}', /leave it out/],
  ['{"command":"x","run_at":"2027-12-01T09:00"}', /add Z for UTC/],
  ['{"command":"x","env":{"A":1}}', /double quotes/],
  ['{"command":"x","id":12345678901234567890}', /double quotes/],
  ['{"command":"x","command":"y"}', /keep one of them/],
];

for (const [text, hint] of HINTS) {
  test(`a hint for ${text}`, () => {
    assert.throws(
      () => parseJobText(text, context),
      (error) => {
        assert.ok(error instanceof QueuectlError);
        assert.match(error.hint ?? '', hint);
        return true;
      },
    );
  });
}

test('SH-07: flags are text, and refusals say the flag', () => {
  const flags = { ...context, flags: true };
  const job = parseJob({ args: ['true'], priority: '-5', max_retries: '2', timeout: '10' }, flags);
  assert.deepEqual([job.priority, job.maxRetries, job.timeout], [-5, 2, 10_000]);
  const local = new Date(2027, 11, 1, 9).getTime();
  assert.equal(parseJob({ command: 'a', run_at: '2027-12-01T09:00' }, flags).runAt, local);
  const refused: readonly (readonly [object, RegExp])[] = [
    [{ priority: 'high' }, /^--priority must be a whole number .* not "high"/],
    [{ priority: '' }, /^--priority must be/],
    [{ priority: '1e2' }, /^--priority must be/],
    [{ 'max-retries': '1.5' }, /^--max-retries must be/],
    [{ delay: 'NaN' }, /^--delay must be a duration/],
    [{ run_at: '2027-02-29T09:00Z' }, /^--run-at must be an instant that exists/],
    [{ delay: '1s', run_at: '1s' }, /^--delay and --run-at exclude/],
    [{ env: { 'A=': '' } }, /^--env must be names/],
    [{ tags: { '': 'x' } }, /^--tag must be names/],
    [{ id: '' }, /^--id must be/],
  ];
  for (const [fields, message] of refused) {
    assert.throws(() => parseJob({ command: 'true', ...fields }, flags), { message });
  }
});
