// LQ-10: the delay is finite and in range for every attempt number there can be.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffDelay } from '../../src/backoff.ts';
import { MAX_DURATION_MS } from '../../src/duration.ts';

const HOUR = 3_600_000;
/** The largest that Math.random gives. */
const ALMOST_ONE = 1 - Number.EPSILON / 2;

for (const max of [HOUR, MAX_DURATION_MS]) {
  for (const base of [1, 1.5, 2, 10, 1000]) {
    test(`base ${base}, at most ${max} ms: never early, never over 110 %`, () => {
      for (const attempts of [1, 2, 31, 62, 64, 310, 1023, 1024, 5000, 1_000_000]) {
        const formula = Math.min(base ** attempts * 1000, max);
        for (const random of [0, 0.5, ALMOST_ONE]) {
          const delay = backoffDelay(attempts, { base, max }, random);
          const seen = `attempt ${attempts}, random ${random}: ${delay}`;
          assert.ok(Number.isSafeInteger(delay), seen);
          assert.ok(delay >= formula && delay <= Math.ceil(formula * 1.1), seen);
          assert.match(new Date(Date.UTC(2030, 0) + delay).toISOString(), /^2\d{3}-/, seen);
        }
      }
    });
  }
}

test('the numbers of the seed: base 2 waits 2, 4, 8, 16 seconds', () => {
  const delays = [1, 2, 3, 4].map((n) => backoffDelay(n, { base: 2, max: HOUR }, 0));
  assert.deepEqual(delays, [2000, 4000, 8000, 16_000]);
});

test('jitter spreads jobs that failed together', () => {
  assert.equal(backoffDelay(3, { base: 2, max: HOUR }, 0.5), 8400);
});
