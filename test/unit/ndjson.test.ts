// Bulk input: lines are found and numbered right wherever the chunks end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { QueuectlError } from '../../src/errors.ts';
import type { NewJob } from '../../src/job.ts';
import {
  JobReader,
  type Line,
  LineSplitter,
  MAX_LINE_BYTES,
  readJobs,
  type ReadOptions,
} from '../../src/ndjson.ts';

let newest = 0;
const context = { cwd: '/srv', path: '/bin', now: () => 0, newId: () => `new-${++newest}` };
const encoder = new TextEncoder();

type Input = string | Uint8Array;

/** The same bytes, `size` at a time, always in the same buffer, as a file reader does it. */
function* chunksOf(input: Input, size: number): Generator<Uint8Array> {
  const bytes = typeof input === 'string' ? encoder.encode(input) : input;
  const buffer = Buffer.alloc(size);
  for (let at = 0; at < bytes.length; at += size) {
    const part = bytes.subarray(at, at + size);
    buffer.set(part);
    yield buffer.subarray(0, part.length);
    buffer.fill('#');
  }
}

function read(input: Input, options?: ReadOptions, size = 65_536): Promise<NewJob[]> {
  return readJobs(chunksOf(input, size), context, options);
}

async function refusal(input: Input, size?: number): Promise<string> {
  try {
    await read(input, {}, size);
  } catch (error) {
    assert.ok(error instanceof QueuectlError, String(error));
    assert.equal(error.code, 'invalid');
    return error.message;
  }
  assert.fail('was accepted');
}

const SIZES = [1, 2, 3, 7, 64, 65_536];

test('SH-30: byte order mark, CRLF, blank lines, no newline at the end', async () => {
  const input =
    '\uFEFF{"id":"j1","command":"true"}\r\n\r\n{"id":"j2","command":"printf hi"}\r\n\n' +
    ' \t\n{"id":"j3","command":"true"}';
  for (const size of SIZES) {
    const jobs = await read(input, {}, size);
    assert.deepEqual(
      jobs.map((job) => [job.id, job.command]),
      [
        ['j1', 'true'],
        ['j2', 'printf hi'],
        ['j3', 'true'],
      ],
    );
  }
});

test('SH-30: a broken line is named by its number', async () => {
  for (const size of SIZES) {
    assert.equal(
      await refusal('{"id":"k1","command":"true"}\n{"id":"k2",\n', size),
      'line 2: malformed JSON at column 12: expected a name in double quotes, found the end',
    );
  }
});

test('nothing is no job', async () => {
  for (const input of ['', '\n', '\r\n\r\n', '\uFEFF', '   ']) {
    assert.deepEqual(await read(input), []);
  }
});

test('a mark in the middle, where files were put together', async () => {
  const jobs = await read('{"command":"a"}\n\uFEFF{"command":"b"}\n');
  assert.deepEqual(
    jobs.map((job) => job.command),
    ['a', 'b'],
  );
});

test('characters cut in two by a chunk arrive whole', async () => {
  for (const size of [1, 2, 3]) {
    const [job] = await read('{"command":"echo zażółć 😀 漢字"}\n', {}, size);
    assert.equal(job?.command, 'echo zażółć 😀 漢字');
  }
});

const REFUSED: readonly (readonly [string, Input, RegExp])[] = [
  ['a list', '\n[{"command":"a"}]\n', /^line 2: a job must be a JSON object/],
  ['a text', '"echo"\n', /^line 1: a job must be a JSON object/],
  ['pretty JSON', '{\n  "command": "a"\n}\n', /^line 1: malformed JSON at column 2/],
  [
    'two objects on a line',
    '{"command":"a"}{"command":"b"}',
    /^line 1: malformed JSON at column 16/,
  ],
  ['an unknown field', '{"command":"a"}\n{"comand":"b"}', /^line 2: unknown field "comand"/],
  ['an empty command', '\r\n{"command":""}\r\n', /^line 2: command must be/],
  ['a number that changes', '{"command":"a","priority":1e400}', /^line 1: "priority": 1e400/],
  [
    'bytes that are not UTF-8',
    Buffer.from('{"command":"a"}\n{"command":"\xff"}\n{}', 'latin1'),
    /^line 2: not valid UTF-8/,
  ],
  ['an overlong encoding', Buffer.from('\n\n"\xc0\xaf"', 'latin1'), /^line 3: not valid UTF-8/],
  ['half a character at the end', Buffer.from('\n"\xf0\x9f', 'latin1'), /^line 2: not valid UTF-8/],
  ['UTF-16', Buffer.from('\uFEFF{"command":"a"}\n', 'utf16le'), /^line 1: the input is UTF-16/],
  ['a control character', '{"command":"a\u0001"}', /^line 1: malformed JSON at column 14/],
];

for (const [name, input, message] of REFUSED) {
  test(`refused: ${name}`, async () => {
    for (const size of SIZES) assert.match(await refusal(input, size), message);
  });
}

test('a command of 10 MB is refused by its size', async () => {
  const line = `{"id":"a","command":"${'x'.repeat(10_000_000)}"}\n`;
  assert.equal(
    await refusal(`\n${line}`),
    'line 2: command must be at most 128,000 bytes long, not 10,000,000',
  );
});

test('a line without an end is refused and not kept', async () => {
  const part = new Uint8Array(MAX_LINE_BYTES / 8).fill(0x20);
  const parts = [...Array<Uint8Array>(9).fill(part), encoder.encode('\n{"command":"b"}\n')];
  await assert.rejects(
    readJobs(parts, context),
    /^QueuectlError: line 1: longer than 16,777,216 bytes/,
  );
  const skipped: number[] = [];
  const jobs = await readJobs(parts, context, { onInvalid: (_, line) => skipped.push(line) });
  assert.deepEqual(skipped, [1]);
  assert.deepEqual(
    jobs.map((job) => job.command),
    ['b'],
  );
  await assert.rejects(readJobs(Array(9).fill(part), context), /line 1: longer than/);
});

test('the same id twice is refused with both lines, unless the store decides', async () => {
  const input = '{"id":"a","command":"1"}\n\n{"command":"2"}\n{"id":"a","command":"3"}';
  assert.equal(await refusal(input), 'line 4: the id "a" is taken by line 1');
  const jobs = await read(input, { sameIds: true });
  assert.deepEqual(
    jobs.map((job) => job.id),
    ['a', `new-${newest}`, 'a'],
  );
});

test('ids that objects already have are ids', async () => {
  const ids = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
  const jobs = await read(ids.map((id) => JSON.stringify({ id, command: 'true' })).join('\n'));
  assert.deepEqual(
    jobs.map((job) => job.id),
    ids,
  );
});

test('skipping bad lines keeps the good ones and tells the others', async () => {
  const input = Buffer.concat([
    Buffer.from('{"id":"a","command":"1"}\nnonsense\n{"id":"b","command":"2"}\n"'),
    Buffer.from([0xff]),
    Buffer.from('"\n{"id":"a","command":"3"}\n{"id":"c","command":"4"}'),
  ]);
  for (const size of SIZES) {
    const told: string[] = [];
    const onInvalid = (error: QueuectlError, line: number): void => {
      told.push(`${line}|${error.message.slice(0, 28)}`);
    };
    const jobs = await read(input, { onInvalid }, size);
    assert.deepEqual(
      jobs.map((job) => job.id),
      ['a', 'b', 'c'],
    );
    assert.deepEqual(told, [
      '2|line 2: malformed JSON at co',
      '4|line 4: not valid UTF-8',
      '5|line 5: the id "a" is taken ',
    ]);
  }
});

test('jobs come with the chunk that ends their line', () => {
  const reader = new JobReader(context);
  const push = (text: string): string[] =>
    reader.push(encoder.encode(text)).map((job) => job.command);
  assert.deepEqual(push('{"command":"a"}'), []);
  assert.deepEqual(push('\n{"command":"b"}\n{"comm'), ['a', 'b']);
  assert.deepEqual(push('and":"c"}\n'), ['c']);
  assert.deepEqual(push('{"command":"d"}'), []);
  assert.deepEqual(
    reader.end().map((job) => job.command),
    ['d'],
  );
  assert.deepEqual(reader.end(), []);
});

test('lines are the same however the bytes are cut', () => {
  const text = fc
    .array(fc.constantFrom('a', 'é', '😀', '\n', '\r\n', '\uFEFF', ''))
    .map((p) => p.join(''));
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 9 }), (input, size) => {
      const splitter = new LineSplitter();
      const lines: Line[] = [];
      for (const chunk of chunksOf(input, size)) lines.push(...splitter.push(chunk));
      lines.push(...splitter.end());
      const expected = input.split('\n');
      if (expected.at(-1) === '') expected.pop();
      assert.deepEqual(
        lines.map((line) => line.text),
        expected.map((line) => line.replace(/^\uFEFF/, '').replace(/\r$/, '')),
      );
      assert.deepEqual(
        lines.map((line) => line.number),
        expected.map((_, i) => i + 1),
      );
    }),
  );
});

test('many bad lines in one chunk take no quadratic time', async () => {
  const input = Buffer.from('"\xff"\n'.repeat(20_000), 'latin1');
  let bad = 0;
  const started = process.hrtime.bigint();
  await readJobs([input], context, { onInvalid: () => bad++ });
  assert.equal(bad, 20_000);
  assert.ok(process.hrtime.bigint() - started < 5_000_000_000n);
});
