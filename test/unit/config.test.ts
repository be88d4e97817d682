import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  normalizeSetting,
  resolveSettings,
  SETTING_NAMES,
  settingName,
  SETTINGS,
} from '../../src/config.ts';
import { QueuectlError } from '../../src/errors.ts';

test('what holds when nothing is set', () => {
  assert.deepEqual(resolveSettings(new Map()), {
    maxRetries: 3,
    backoff: { base: 2, max: 3_600_000 },
    timeout: null,
    lease: 30_000,
    grace: 30_000,
    killAfter: 5000,
    logMaxBytes: 10_485_760,
  });
});

/** Key, what is typed, what `config get` prints, what programs read. */
const ACCEPTED: readonly (readonly [string, string, string, number | null])[] = [
  ['max_retries', '3', '3', 3],
  ['max_retries', '0', '0', 0],
  ['max_retries', ' 1000000 ', '1000000', 1_000_000],
  ['backoff_base', '2', '2', 2],
  ['backoff_base', '1', '1', 1],
  ['backoff_base', '1.5', '1.5', 1.5],
  ['backoff_base', '1000', '1000', 1000],
  ['backoff_max', '3600', '1h', 3600],
  ['backoff_max', '0', '0s', 0],
  ['timeout', 'none', 'none', null],
  ['timeout', '0', 'none', null],
  ['timeout', '90s', '1m30s', 90],
  ['timeout', '0.5', '500ms', 0.5],
  ['lease', '1', '1s', 1],
  ['lease', '24h', '1d', 86_400],
  ['grace', '0s', '0s', 0],
  ['kill_after', '12s345ms', '12s345ms', 12.345],
  ['log_max_bytes', '10485760', '10M', 10_485_760],
  ['log_max_bytes', '4096', '4K', 4096],
  ['log_max_bytes', '5000', '5000', 5000],
  ['log_max_bytes', '64k', '64K', 65_536],
  ['log_max_bytes', '64KiB', '64K', 65_536],
  ['log_max_bytes', '64KB', '64K', 65_536],
  ['log_max_bytes', '1G', '1G', 1_073_741_824],
  ['log_max_bytes', '1024G', '1T', 1_099_511_627_776],
];

for (const [key, text, normal, json] of ACCEPTED) {
  test(`${key} ${text} is kept as ${normal}`, () => {
    const name = settingName(key);
    assert.equal(normalizeSetting(name, text), normal);
    assert.equal(normalizeSetting(name, normal), normal);
    assert.equal(SETTINGS[name].toJson(normal), json);
  });
}

const REFUSED: readonly (readonly [string, string])[] = [
  ...['-1', '1.5', '1000001', '', 'x', '1e3', '0x10', '９'].map(
    (text) => ['max_retries', text] as const,
  ),
  ...['0', '0.99', '1001', '-2', '', 'NaN', 'Infinity', '2,5'].map(
    (text) => ['backoff_base', text] as const,
  ),
  ...['-1', '', '1e400', '99999999999d'].map((text) => ['backoff_max', text] as const),
  ...['-1', '', 'None', 'never'].map((text) => ['timeout', text] as const),
  ...['999ms', '0', '25h'].map((text) => ['lease', text] as const),
  ...['8d', 'none'].map((text) => ['grace', text] as const),
  ...['25h', '5 s'].map((text) => ['kill_after', text] as const),
  ...['4095', '3K', '1025G', '2T', '10 M', '10X', '1.5M', '-10M', ''].map(
    (text) => ['log_max_bytes', text] as const,
  ),
];

for (const [key, text] of REFUSED) {
  test(`${key} ${JSON.stringify(text)} is refused`, () => {
    assert.throws(() => normalizeSetting(settingName(key), text), {
      name: 'QueuectlError',
      code: 'invalid',
      message: new RegExp(`^${key} must be (a|none).*, not `),
    });
  });
}

test('stored settings replace what is built in', () => {
  const stored = new Map([
    ['max_retries', '7'],
    ['backoff_base', '1.5'],
    ['backoff_max', '10m'],
    ['timeout', '1h'],
    ['lease', '2s'],
    ['grace', '0s'],
    ['kill_after', '100ms'],
    ['log_max_bytes', '64K'],
    ['of_a_later_version', 'x'],
  ]);
  const seen: string[] = [];
  assert.deepEqual(
    resolveSettings(stored, (name) => seen.push(name)),
    {
      maxRetries: 7,
      backoff: { base: 1.5, max: 600_000 },
      timeout: 3_600_000,
      lease: 2000,
      grace: 0,
      killAfter: 100,
      logMaxBytes: 65_536,
    },
  );
  assert.deepEqual(seen, []);
  assert.equal(resolveSettings(new Map([['timeout', 'none']])).timeout, null);
});

test('a stored value that cannot be read counts as not set, and is told', () => {
  const seen: string[] = [];
  const stored = new Map([
    ['lease', 'soon'],
    ['max_retries', '5'],
  ]);
  const settings = resolveSettings(stored, (name, text) => seen.push(`${name}=${text}`));
  assert.equal(settings.lease, 30_000);
  assert.equal(settings.maxRetries, 5);
  assert.deepEqual(seen, ['lease=soon']);
});

test('names accept - and _, and slips are answered', () => {
  assert.equal(settingName('backoff-base'), 'backoff_base');
  assert.equal(settingName('log-max_bytes'), 'log_max_bytes');
  const hints: readonly (readonly [string, RegExp])[] = [
    ['max_retry', /did you mean max_retries\? queuectl config list/],
    ['Lease', /did you mean lease\?/],
    ['xyzzy', /^queuectl config list shows every setting$/],
    ['__proto__', /^queuectl config list/],
    ['constructor', /^queuectl config list/],
    ['toString', /^queuectl config list/],
    ['', /^queuectl config list/],
  ];
  for (const [name, hint] of hints) {
    assert.throws(
      () => settingName(name),
      (error) => {
        assert.ok(error instanceof QueuectlError);
        assert.equal(error.code, 'invalid');
        assert.match(error.hint ?? '', hint);
        return true;
      },
    );
  }
});

test('every setting has one line of help, and a default it accepts itself', () => {
  for (const name of SETTING_NAMES) {
    const { help, fallbackText, normalize } = SETTINGS[name];
    assert.match(help, /^[^\n]{10,100}[^.\n]$/);
    assert.equal(normalize(fallbackText), fallbackText);
  }
});
