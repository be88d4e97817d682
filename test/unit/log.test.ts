// Lines of the log: for people and for programs, whatever an event quotes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemEnv } from '../../src/env.ts';
import {
  createLog,
  type LogFormat,
  messageIn,
  reasonIn,
  reasonLine,
} from '../../src/worker/log.ts';

function lineOf(format: LogFormat, message: string): string {
  let line = '';
  const env = { ...systemEnv, now: () => 0 };
  const log = createLog({ name: 'w1', env, format, write: (text) => (line += text) });
  log(message, { level: 'warn', job: 'a', attempt: 2, outcome: 'lost', state: 'failed' });
  return line;
}

/** Two lines, an escape, C1, half of a pair. */
const HOSTILE = 'a\r\nb \u001b[2J \u009b1m \ud800 ż';

test('an event is one line, and nothing in it acts on a terminal', () => {
  assert.equal(
    lineOf('text', HOSTILE),
    '1970-01-01T00:00:00.000Z w1 a b \\x1b[2J \\x9b1m \ufffd ż\n',
  );
  assert.deepEqual(JSON.parse(lineOf('json', HOSTILE)), {
    time: '1970-01-01T00:00:00.000Z',
    level: 'warn',
    process: 'w1',
    pid: process.pid,
    message: 'a b \\x1b[2J \\x9b1m \ufffd ż',
    job: 'a',
    attempt: 2,
    outcome: 'lost',
    state: 'failed',
  });
});

test('a line is understood again, in either format', () => {
  for (const format of ['text', 'json'] as const) {
    assert.equal(
      reasonIn(lineOf(format, reasonLine('no "space" left')).trimEnd()),
      'no "space" left',
    );
    assert.equal(reasonIn(lineOf(format, 'the job ended: no')), null);
    assert.equal(messageIn(lineOf(format, 'stopped').trimEnd()), 'stopped');
  }
  // What the runtime says, or what a full disk has cut.
  assert.equal(messageIn('{"time":"2026-'), '{"time":"2026-');
  assert.equal(messageIn('panic: out of memory'), 'panic: out of memory');
});
