// Whatever is thrown at the input side: a job or a QueuectlError that says why not, never
// another exception, and no object but the answer is changed.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import fc from 'fast-check';
import { QueuectlError } from '../../src/errors.ts';
import type { NewJob } from '../../src/job.ts';
import { readJobs } from '../../src/ndjson.ts';
import { parseJob, parseJobText } from '../../src/spec.ts';

const context = { cwd: '/srv', path: null, now: () => 0, newId: () => 'new-id' };
const RUNS = { numRuns: 2000 };

/** What `{}` inherits; a polluted prototype has more, or other values. */
const prototypes = [Object.prototype, Array.prototype, Function.prototype, String.prototype];
const pristine = prototypes.map((prototype) => Object.getOwnPropertyDescriptors(prototype));

function check(run: () => NewJob): void {
  let job: NewJob | undefined;
  try {
    job = run();
  } catch (error) {
    checkRefusal(error);
  }
  if (job !== undefined) checkJob(job);
}

afterEach(() => {
  for (const [i, prototype] of prototypes.entries()) {
    assert.deepEqual(Object.getOwnPropertyDescriptors(prototype), pristine[i]);
  }
});

function checkRefusal(error: unknown): void {
  assert.ok(error instanceof QueuectlError, String(error));
  assert.equal(error.code, 'invalid');
  // One line of printable text, whatever was in the input.
  assert.match(error.message + (error.hint ?? ''), /^\P{C}+$/u);
  assert.ok(error.message.length < 400, error.message);
}

function checkJob(job: NewJob): void {
  assert.match(job.id, /^(?!-|\.{1,2}$)[\w.:@-]{1,128}$/);
  assert.match(job.queue, /^(?!-|\.{1,2}$)[\w.:@-]{1,128}$/);
  assert.notEqual(job.command.trim(), '');
  assert.ok(Number.isInteger(job.priority) && Math.abs(job.priority) <= 1000);
  for (const n of [job.maxRetries, job.timeout, job.delay, job.runAt]) {
    assert.ok(n === null || (Number.isSafeInteger(n) && n >= 0), String(n));
  }
  assert.ok(job.delay === null || job.runAt === null);
  assert.ok(job.cwd.startsWith('/'));
  const { args = [], env = {}, env_from = [], stdin = '/' } = job.spec;
  assert.ok(stdin.startsWith('/'));
  const texts = [job.command, job.cwd, stdin, ...args, ...env_from];
  texts.push(...Object.entries(env).flat(), ...Object.entries(job.tags ?? {}).flat());
  for (const text of texts) assert.ok(text.isWellFormed() && !text.includes('\0'), text);
  // As it is stored.
  assert.deepEqual(JSON.parse(JSON.stringify(job)), job);
}

const FIELDS =
  'id command args queue priority max_retries delay run_at timeout cwd env env_from stdin tags'.split(
    ' ',
  );
const TEXTS = [
  ' .. -x ../x 5m -5m none 2027-02-30T00:00Z 2026-12-01T09:00Z 1e400 99999999999d a=b'.split(' '),
  '__proto__ constructor prototype toString hasOwnProperty valueOf toJSON then length'.split(' '),
  [' ', 'a\0b', '\ud800', '\u202e', '\u001b[31m', 'x'.repeat(130_000)],
].flat();
const NUMBERS = [0, -0, 1, -1, 1.5, 1001, 2 ** 53, 1e21, -1e300, Number.NaN, Infinity];
const ODD: readonly unknown[] = [
  [true, false, null, undefined, {}, 10n, Symbol('x'), () => 'x', new Date(0), /x/],
  [[], [[]], new Map([['a', 1]]), Object.create(null), new Proxy({}, {})],
].flat();

const text = fc.oneof(
  fc.constantFrom(...TEXTS),
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.string({ minLength: 1 }),
);
const name = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...FIELDS) },
  fc.constantFrom('max-retries', 'run-at', 'state', 'comand', 'max_retrys', '__defineGetter__'),
  text,
);
const value: fc.Arbitrary<unknown> = fc.oneof(
  text,
  fc.constantFrom(...NUMBERS),
  fc.constantFrom(...ODD),
  fc.array(fc.oneof({ weight: 5, arbitrary: text }, fc.constantFrom(...ODD))),
  // Object.fromEntries makes `__proto__` an own property, as JSON.parse does.
  fc
    .array(fc.tuple(text, fc.oneof({ weight: 9, arbitrary: text }, fc.constantFrom(...NUMBERS))))
    .map((pairs) => Object.fromEntries<unknown>(pairs)),
  fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true, key: text }),
);

const VALID: readonly (readonly [string, unknown])[] = [
  ['id', 'a'],
  ['command', 'echo hello'],
  ['queue', 'q'],
  ['priority', 5],
  ['max_retries', 2],
  ['delay', '5m'],
  ['timeout', 10],
  ['cwd', 'x'],
  ['env', { A: '1' }],
  ['env_from', ['B']],
  ['stdin', 'in'],
  ['tags', { a: 'b' }],
];
/** A field with a value of its own type, or of another. */
const change = fc.oneof(
  fc.tuple(name, value),
  fc.tuple(fc.constantFrom('id', 'command', 'queue', 'run_at', 'cwd', 'stdin'), text),
  fc.tuple(fc.constantFrom('args', 'env_from'), fc.array(text)),
  fc.tuple(
    fc.constantFrom('env', 'tags'),
    fc.array(fc.tuple(text, text)).map((pairs) => Object.fromEntries(pairs)),
  ),
  fc.tuple(
    fc.constantFrom('priority', 'max_retries', 'delay', 'timeout'),
    fc.constantFrom(...NUMBERS),
  ),
);
/** A valid job with up to three fields more, less or other. */
const mutated = fc
  .tuple(fc.shuffledSubarray([...VALID]), fc.array(change, { maxLength: 3 }))
  .map(([fields, changes]) => Object.fromEntries<unknown>([...fields, ...changes]));

test('any value', () => {
  fc.assert(
    fc.property(fc.oneof(value, mutated), fc.boolean(), (input, flags) => {
      check(() => parseJob(input, { ...context, flags }));
    }),
    RUNS,
  );
});

test('most mutations of a valid job are told from it', () => {
  let accepted = 0;
  fc.assert(
    fc.property(mutated, (input) => {
      try {
        parseJob({ command: 'true', ...input }, context);
        accepted++;
      } catch {
        // Both happen; that neither is rare shows that the other tests reach both.
      }
    }),
    RUNS,
  );
  assert.ok(accepted > RUNS.numRuns / 20 && accepted < (RUNS.numRuns * 19) / 20, String(accepted));
});

/** JSON.stringify without its exceptions, and with `__proto__`. */
const jsonText = fc.oneof(
  fc.json({ stringUnit: 'binary' }),
  mutated.map((input) => {
    const plain = (_: string, inner: unknown): unknown =>
      ['bigint', 'symbol', 'function'].includes(typeof inner) ? String(inner) : inner;
    return JSON.stringify(input, plain) ?? '';
  }),
);

/** A text with a few characters taken out, put in or doubled. */
const damaged = fc
  .tuple(
    fc.oneof(jsonText, fc.constant(JSON.stringify(Object.fromEntries(VALID)))),
    fc.array(fc.tuple(fc.nat(), fc.nat(3), fc.string({ unit: 'binary', maxLength: 3 })), {
      maxLength: 4,
    }),
  )
  .map(([json, cuts]) =>
    cuts.reduce((whole, [where, length, put]) => {
      const start = where % (whole.length + 1);
      return whole.slice(0, start) + put + whole.slice(start + length);
    }, json),
  );

test('any text', () => {
  fc.assert(
    fc.property(fc.oneof(damaged, fc.string({ unit: 'binary' })), (input) => {
      check(() => parseJobText(input, context));
    }),
    RUNS,
  );
});

test('any bytes, whole or in pieces', async () => {
  const line = fc.oneof(
    damaged.map((json) => Buffer.from(json)),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom('', '\r', '\uFEFF', ' ').map((blank) => Buffer.from(blank)),
  );
  const newline = Buffer.from('\n');
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 8 }),
      fc.integer({ min: 1, max: 64 }),
      async (lines, size) => {
        const bytes = Buffer.concat(lines.flatMap((each) => [each, newline]));
        const pieces: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));

        const refused: number[] = [];
        const onInvalid = (error: QueuectlError, number: number): void => {
          checkRefusal(error);
          assert.ok(error.message.startsWith(`line ${number}: `));
          refused.push(number);
        };
        const jobs = await readJobs(pieces, context, { onInvalid, sameIds: true });
        for (const job of jobs) checkJob(job);
        assert.deepEqual(
          await readJobs([bytes], context, { onInvalid: () => {}, sameIds: true }),
          jobs,
        );

        const first = refused[0];
        const whole = readJobs(pieces, context, { sameIds: true });
        if (first === undefined) assert.deepEqual(await whole, jobs);
        else await assert.rejects(whole, new RegExp(`^QueuectlError: line ${first}: `));
      },
    ),
    { numRuns: 500 },
  );
});
