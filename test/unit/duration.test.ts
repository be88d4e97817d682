import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  durationExamples,
  exactDuration,
  formatDuration,
  MAX_DURATION_MS,
  parseDuration,
} from '../../src/duration.ts';

const READ: readonly (readonly [string | number, number])[] = [
  ['500ms', 500],
  ['30s', 30_000],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['2d', 172_800_000],
  ['1d2h3m4s5ms', 93_784_005],
  ['1.5h', 5_400_000],
  ['0.5s', 500],
  ['30', 30_000],
  ['0.25', 250],
  ['0', 0],
  ['007', 7000],
  [30, 30_000],
  [0.1, 100],
  [1.1, 1100],
  [0, 0],
  [-0, 0],
  ['36525d', MAX_DURATION_MS],
  // Never down to 0, which means none or at once.
  ['0.1ms', 1],
  [0.000_01, 1],
];

for (const [given, ms] of READ) {
  test(`${JSON.stringify(given)} is ${ms} ms`, () => {
    assert.ok(Object.is(parseDuration(given), ms));
  });
}

const REFUSED: readonly (string | number)[] = [
  '',
  ' ',
  '-5m',
  '+5m',
  '-1',
  'NaN',
  'Infinity',
  '1e400',
  '1e3',
  '99999999999d',
  '36526d',
  '9'.repeat(400),
  '5 m',
  ' 5m',
  '5M',
  '5min',
  '1w',
  '30m1h',
  '1h1h',
  '1h30',
  'h',
  '.5s',
  '5.s',
  '1_000',
  '0x10',
  '٣s',
  '5m\n',
  '5m\0',
  -1,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  1e300,
];

for (const given of REFUSED) {
  test(`${JSON.stringify(given).slice(0, 40)} is refused, by name`, () => {
    assert.throws(() => parseDuration(given, '--delay'), {
      name: 'QueuectlError',
      code: 'invalid',
      message: /^--delay must be a duration/,
    });
  });
}

test('examples are ones that are in range', () => {
  assert.equal(durationExamples(), '500ms, 30s, 5m, 1h30m or 2d');
  assert.equal(durationExamples(1000, 86_400_000), '30s, 5m or 1h30m');
});

test('exactDuration is read back as the same number', () => {
  assert.equal(exactDuration(5_400_000), '1h30m');
  assert.equal(exactDuration(12_345), '12s345ms');
  assert.equal(exactDuration(0), '0s');
  fc.assert(fc.property(fc.nat(MAX_DURATION_MS), (ms) => parseDuration(exactDuration(ms)) === ms));
});

const SHORT: readonly (readonly [number, string])[] = [
  [0, '0ms'],
  [350, '350ms'],
  [350.4, '350ms'],
  [999.7, '1s'],
  [12_000, '12s'],
  [12_345, '12.3s'],
  [59_940, '59.9s'],
  [59_960, '1m'],
  [60_000, '1m'],
  [330_000, '5m30s'],
  [3_599_999, '59m59s'],
  [5_400_000, '1h30m'],
  [5_459_999, '1h30m'],
  [86_399_999, '23h59m'],
  [187_200_000, '2d4h'],
  [-350, '-350ms'],
];

for (const [ms, text] of SHORT) {
  test(`${ms} ms is shown as ${text}`, () => {
    assert.equal(formatDuration(ms), text);
  });
}
