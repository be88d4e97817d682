// LQ-11: a time that does not exist, or that may be meant in two ways, is refused.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { formatInstant, formatLocal, parseInstant } from '../../src/instant.ts';

const NOW = Date.UTC(2026, 10, 25, 12);
const json = { now: NOW, local: false };
const typed = { now: NOW, local: true };

// Clocks there go from 02:00 to 03:00 on 28 March 2027 and back on 31 October.
const zone = process.env['TZ'];
before(() => {
  process.env['TZ'] = 'Europe/Berlin';
});
after(() => {
  if (zone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = zone;
});

const READ: readonly (readonly [string, string])[] = [
  ['2026-12-01T09:00Z', '2026-12-01T09:00:00.000Z'],
  ['2026-12-01T09:00:30Z', '2026-12-01T09:00:30.000Z'],
  ['2026-12-01t09:00z', '2026-12-01T09:00:00.000Z'],
  ['2026-12-01 09:00Z', '2026-12-01T09:00:00.000Z'],
  ['2026-12-01T09:00:30.5Z', '2026-12-01T09:00:30.500Z'],
  ['2026-12-01T09:00:30,069Z', '2026-12-01T09:00:30.069Z'],
  // Up, so that nothing is early.
  ['2026-12-01T09:00:30.0691Z', '2026-12-01T09:00:30.070Z'],
  ['2026-12-01T09:00:59.999999999Z', '2026-12-01T09:01:00.000Z'],
  ['2026-12-01T09:00+01:00', '2026-12-01T08:00:00.000Z'],
  ['2026-12-01T09:00+0530', '2026-12-01T03:30:00.000Z'],
  ['2026-12-01T23:00-03', '2026-12-02T02:00:00.000Z'],
  ['2028-02-29T00:00Z', '2028-02-29T00:00:00.000Z'],
  ['9999-12-31T23:59:59Z', '9999-12-31T23:59:59.000Z'],
  ['10m', '2026-11-25T12:10:00.000Z'],
  ['1h30m', '2026-11-25T13:30:00.000Z'],
  ['0s', '2026-11-25T12:00:00.000Z'],
];

for (const [text, iso] of READ) {
  test(`${text} is ${iso}`, () => {
    assert.equal(formatInstant(parseInstant(text, json)), iso);
    assert.equal(formatInstant(parseInstant(text, typed)), iso);
  });
}

test('where the past is meant 10m is ten minutes ago, and what is refused says so', () => {
  const past = { ...typed, durations: 'ago' } as const;
  assert.equal(formatInstant(parseInstant('10m', past)), '2026-11-25T11:50:00.000Z');
  assert.throws(() => parseInstant('yesterday', past), /ten minutes ago/);
  assert.throws(() => parseInstant('yesterday', typed), /from now/);
});

const LOCAL: readonly (readonly [string, string])[] = [
  ['2027-12-01T09:00', '2027-12-01T08:00:00.000Z'],
  ['2027-07-01T09:00', '2027-07-01T07:00:00.000Z'],
  ['2027-12-01', '2027-11-30T23:00:00.000Z'],
  ['2027-03-28T01:59:59', '2027-03-28T00:59:59.000Z'],
  ['2027-03-28T03:00', '2027-03-28T01:00:00.000Z'],
  // Twice that night: the first.
  ['2027-10-31T02:30', '2027-10-31T00:30:00.000Z'],
];

for (const [text, iso] of LOCAL) {
  test(`${text} is ${iso} in Berlin and refused in JSON`, () => {
    assert.equal(formatInstant(parseInstant(text, typed)), iso);
    assert.throws(() => parseInstant(text, json, 'run_at'), {
      code: 'invalid',
      message: /^run_at must be an instant with a time zone/,
    });
  });
}

const REFUSED = [
  '2027-02-30T00:00Z',
  '2027-02-29T09:00Z',
  '2027-04-31T09:00Z',
  '2027-13-01T00:00Z',
  '2027-00-01T00:00Z',
  '2027-01-00T00:00Z',
  '2027-01-01T24:00Z',
  '2027-01-01T25:00Z',
  '2027-01-01T09:60Z',
  '2016-12-31T23:59:60Z',
  '2027-01-01T09:00+24:00',
  '2027-01-01T09:00+01:60',
  '2027-02-30',
  '1969-12-31T23:59Z',
  // In the hour that is not there.
  '2027-03-28T02:00',
  '2027-03-28T02:30',
  '2027-03-28T02:59:59.999',
  '',
  'tomorrow',
  'now',
  '2027',
  '1900000000',
  '0',
  '-5m',
  '1e400',
  '2027-1-1T09:00Z',
  '27-01-01T09:00Z',
  '+002027-01-01T09:00Z',
  '20270101T090000Z',
  '2027-W01-1',
  '2027-01-01T9:00Z',
  '2027-01-01T09Z',
  '2027-01-01T09:00 Z',
  '2027-01-01T09:00 Europe/Berlin',
  '2027-01-01Z',
  '2027-01-01T09:00:00.Z',
  'Wed, 01 Dec 2027 09:00:00 GMT',
  `2027-01-01T09:00Z${' '.repeat(100)}`,
];

for (const text of REFUSED) {
  test(`${JSON.stringify(text).slice(0, 40)} is refused, by name`, () => {
    const expected = { name: 'QueuectlError', code: 'invalid', message: /^--run-at must be/ };
    assert.throws(() => parseInstant(text, json, '--run-at'), expected);
    assert.throws(() => parseInstant(text, typed, '--run-at'), expected);
  });
}

test('the reason says why a date does not exist', () => {
  assert.throws(() => parseInstant('2027-02-30T00:00Z', json), /that month has 28 days/);
  assert.throws(() => parseInstant('2027-03-28T02:30', typed), /clocks go forward/);
});

test('local time is echoed with its offset and read back as the same instant', () => {
  assert.equal(formatLocal(Date.UTC(2027, 11, 1, 8)), '2027-12-01T09:00:00+01:00');
  assert.equal(formatLocal(Date.UTC(2027, 6, 1, 7, 0, 0, 5)), '2027-07-01T09:00:00.005+02:00');
  process.env['TZ'] = 'America/St_Johns';
  assert.equal(formatLocal(Date.UTC(2027, 11, 1, 8)), '2027-12-01T04:30:00-03:30');
  process.env['TZ'] = 'Europe/Berlin';
  const instants = fc.integer({ min: 0, max: Date.UTC(9999, 0) });
  fc.assert(fc.property(instants, (ms) => parseInstant(formatLocal(ms), json) === ms));
  fc.assert(fc.property(instants, (ms) => parseInstant(formatInstant(ms), json) === ms));
});
