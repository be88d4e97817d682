// Fault 14: a row out of a damaged database counts only if it could have been written.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BareRow, isSound } from '../../src/store/sqlite/salvage-row.ts';

const ROW: BareRow = {
  key: 7,
  id: 'a',
  kind: 0,
  spec_version: 1,
  command: 'echo \ufffd é',
  spec: '{"env":{"A":"1"}}',
  place: 1,
  queue: 1,
  priority: -5,
  state: 'failed',
  attempts: 1,
  last_attempt: 3,
  max_retries: 3,
  timeout: null,
  tags: '{"a":"b"}',
  created_at: 1_795_000_000_000,
  updated_at: 1_795_000_000_001,
  run_at: 0,
  bytes: Buffer.byteLength('echo \ufffd é{"env":{"A":"1"}}{"a":"b"}'),
};

test('a row as it was written is sound, a replacement character in it, too', () => {
  assert.ok(isSound(ROW));
  assert.ok(isSound({ ...ROW, spec: null, tags: null, bytes: 11, run_at: null, timeout: 1 }));
});

/** What is read from some bytes further on, or with a bit of the lengths before it changed. */
const WRONG: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ['the id takes the state along', { id: 'apending', state: '' }],
  ['an id that nobody can give', { id: 'a\u0000' }],
  ['text where a number stood', { priority: 'echo' }],
  ['a priority out of range', { priority: 4711 }],
  ['a command of another kind', { kind: 3 }],
  ['a number for a command', { command: 12 }],
  ['a command with a NUL', { command: 'ec\0o' }],
  ['text that was no UTF-8', { bytes: ROW.bytes - 2 }],
  ['half of the spec', { spec: '{"env":{"A"', bytes: ROW.bytes - 6 }],
  ['a spec that is a list', { spec: '[]', bytes: ROW.bytes - 15 }],
  ['no queue', { queue: 0 }],
  ['a time before there were any', { created_at: 1 }],
  ['more attempts than there have been', { attempts: 4 }],
  ['a fraction', { max_retries: 0.5 }],
];

for (const [what, fields] of WRONG) {
  test(`not sound: ${what}`, () => {
    assert.ok(!isSound(Object.assign({ ...ROW }, fields)));
  });
}
