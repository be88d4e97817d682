// Logs on their way to the reader: bytes unchanged or escaped, the last lines, prefixes.
// SH-06, SH-12, SH-13.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Io } from '../../src/cli/io.ts';
import { createSink, JsonLog, type LogSink, Several } from '../../src/cli/log-sink.ts';
import { lastLines } from '../../src/cli/log-tail.ts';
import type { LogChunk } from '../../src/worker/log-reader.ts';
import { type FakeContext, fakeContext } from './cli-context.ts';

const GLOBALS = {
  db: undefined,
  json: false,
  quiet: false,
  'no-color': false,
  debug: false,
  help: false,
  version: false,
  'allow-network-fs': false,
};

interface SinkChange {
  readonly terminal?: number;
  readonly raw?: boolean;
  readonly prefix?: number;
  readonly json?: 'array' | 'lines';
}

function sinkOf(change: SinkChange = {}): {
  sink: LogSink;
  context: FakeContext;
  json: JsonLog | null;
} {
  const context = fakeContext(change.terminal === undefined ? {} : { terminal: change.terminal });
  const io = new Io(context, GLOBALS);
  const json = change.json === undefined ? null : new JsonLog(io, change.json === 'lines');
  const sink = createSink({
    id: 'a',
    io,
    raw: change.raw ?? false,
    several: change.prefix === undefined ? null : new Several(['a', 'b'.repeat(change.prefix)], io),
    json,
  });
  return { sink, context, json };
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

test('without a terminal bytes are passed on as they are', () => {
  const { sink, context } = sinkOf();
  sink.output('stdout', utf8('10%\r\u001b[31mred\u0000'), 1);
  sink.end();
  assert.equal(context.said.out, '10%\r\u001b[31mred\u0000');
  assert.equal(context.said.err, '');
});

test('on a terminal they are escaped, a character may come in pieces, the prompt is safe', () => {
  const { sink, context } = sinkOf({ terminal: 80 });
  const emoji = utf8('😀');
  sink.output('stdout', emoji.subarray(0, 2), 1);
  sink.output('stderr', utf8('\u001b]0;title\u0007'), 1);
  sink.output('stdout', emoji.subarray(2), 1);
  sink.end();
  assert.equal(context.said.out, '\\e]0;title\\x07😀\n');
});

test('--raw opts out', () => {
  const { sink, context } = sinkOf({ terminal: 80, raw: true });
  sink.output('stdout', utf8('\u001b[31mred\n'), 1);
  sink.end();
  assert.equal(context.said.out, '\u001b[31mred\n');
});

test('what is missing is told on stderr only', () => {
  const { sink, context } = sinkOf();
  sink.output('stdout', utf8('head'), 1);
  sink.gap(1_000_000, 1);
  sink.gap(null, 1);
  sink.output('stdout', utf8('tail'), 1);
  sink.end();
  assert.equal(context.said.out, 'headtail');
  assert.match(context.said.err, /1,000,000 bytes of a were not kept/);
  assert.match(context.said.err, /disk refused/);
});

test('several jobs: every line begins with its id, unfinished ones at the end', () => {
  const { sink, context } = sinkOf({ prefix: 3 });
  sink.output('stdout', utf8('one\ntw'), 1);
  sink.output('stderr', utf8('err\n'), 1);
  sink.output('stdout', utf8('o\n\nlast'), 1);
  sink.end();
  assert.equal(context.said.out, 'a   | one\na   | err\na   | two\na   | \na   | last\n');
});

test('--json: an array, or a document a line where it follows', () => {
  const array = sinkOf({ json: 'array' });
  array.sink.output('stdout', utf8('x\n'), 2);
  array.sink.gap(5, 2);
  array.sink.gap(6, 2, true);
  array.sink.gap(null, 2);
  array.sink.end();
  array.json?.end();
  assert.deepEqual(JSON.parse(array.context.said.out), [
    { id: 'a', attempt: 2, stream: 'stdout', text: 'x\n' },
    { id: 'a', attempt: 2, missing_bytes: 5, reason: 'log_max_bytes' },
    { id: 'a', attempt: 2, missing_bytes: 6, reason: 'refused_or_removed' },
    { id: 'a', attempt: 2, missing_bytes: null, reason: 'refused_or_removed' },
  ]);
  const lines = sinkOf({ json: 'lines' });
  lines.sink.output('stderr', utf8('y'), 1);
  assert.equal(lines.context.said.out, '{"id":"a","attempt":1,"stream":"stderr","text":"y"}\n');
});

const NEXT = {
  segment: 0,
  at: 0,
  offset: 0,
  stream: 'stdout',
  left: 0,
  time: 0,
  refused: false,
} as const;

/** `null` is a cut. */
function tail(parts: readonly (string | null)[], lines: number): string {
  const chunks = parts.map((part): LogChunk =>
    part === null
      ? { kind: 'cut', bytes: 1, next: NEXT }
      : { kind: 'output', stream: 'stdout', time: 0, bytes: utf8(part), next: NEXT },
  );
  return lastLines(chunks, lines)
    .map((chunk) => (chunk.kind === 'output' ? new TextDecoder().decode(chunk.bytes) : '<cut>'))
    .join('');
}

test('the last lines, wherever chunks end', () => {
  assert.equal(tail(['a\nb\nc\n'], 2), 'b\nc\n');
  assert.equal(tail(['a\nb\nc'], 2), 'b\nc');
  assert.equal(tail(['a\n', 'b', '\n', 'c'], 1), 'c');
  assert.equal(tail(['a\n', 'b', '\nc', '\n'], 2), 'b\nc\n');
  assert.equal(tail(['a\nb'], 5), 'a\nb');
  assert.equal(tail(['a\nb\n'], 0), '');
  assert.equal(tail([], 3), '');
  assert.equal(tail(['\n\n\n'], 2), '\n\n');
});

test('the last lines of every text in every partition', () => {
  const text = 'a\nbb\n\nccc\nd';
  const expected = (n: number): string => text.split('\n').slice(-n).join('\n');
  for (let i = 0; i <= text.length; i++) {
    for (let j = i; j <= text.length; j++) {
      const parts = [text.slice(0, i), text.slice(i, j), text.slice(j)].filter(
        (part) => part !== '',
      );
      for (let n = 1; n <= 6; n++) assert.equal(tail(parts, n), expected(n), JSON.stringify(parts));
    }
  }
});

test('a cut among the last lines is kept, one before them is not', () => {
  assert.equal(tail(['a\n', null, 'b\nc\n'], 3), 'a\n<cut>b\nc\n');
  assert.equal(tail(['a\n', null, 'b\nc\n'], 1), 'c\n');
});

test('a long log takes no more memory than its last lines', () => {
  let made = 0;
  function* chunks(): Generator<LogChunk> {
    for (; made < 100_000; made++) {
      yield {
        kind: 'output',
        stream: 'stdout',
        time: 0,
        bytes: utf8(`line ${made}\n`),
        next: NEXT,
      };
    }
  }
  const kept = lastLines(chunks(), 3);
  assert.equal(kept.length, 3);
  assert.equal(made, 100_000);
});

for (const terminal of [80, null]) {
  const where = terminal === null ? 'in a pipe' : 'on a terminal';
  test(`several jobs ${where}: a long line is cut by others only, a character never`, () => {
    const context = fakeContext(terminal === null ? {} : { terminal });
    const io = new Io(context, { ...GLOBALS, 'no-color': true });
    const several = new Several(['a', 'bb'], io);
    const [a, b] = ['a', 'bb'].map((id) => createSink({ id, io, raw: false, several, json: null }));
    assert.ok(a !== undefined && b !== undefined);
    const long = 'x'.repeat(100_000);
    const emoji = utf8('😀');
    // Nobody writes in between: one line, although it is shown in pieces.
    a.output('stdout', utf8(long), 1);
    a.output('stdout', utf8(`${long}\n`), 1);
    assert.equal(context.said.out, `a  | ${long}${long}\n`);
    context.said.out = '';
    for (let cut = 1; cut < 4; cut++) {
      a.output('stdout', Buffer.concat([utf8(long), emoji.subarray(0, cut)]), 1);
      b.output('stdout', utf8('other\n'), 1);
      a.output('stderr', utf8('own\n'), 1);
      a.output('stdout', Buffer.concat([emoji.subarray(cut), utf8('\n')]), 1);
      assert.equal(context.said.out, `a  | ${long}\nbb | other\na  | own\na  | 😀\n`);
      context.said.out = '';
    }
    // One that never ends is over with its line.
    a.output('stdout', Buffer.concat([emoji.subarray(0, 3), utf8('\nnext')]), 1);
    a.end();
    assert.equal(context.said.out, 'a  | \ufffd\na  | next\n');
  });
}
