// Relative times: never early, never "60s".

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { age, relative } from '../../src/cli/time.ts';

const NOW = 1_000_000_000_000;

test('the past is rounded down', () => {
  const ago = (ms: number): string => relative(NOW - ms, NOW);
  assert.equal(ago(0), 'now');
  assert.equal(ago(999), 'now');
  assert.equal(ago(1000), '1s ago');
  assert.equal(ago(59_999), '59s ago');
  assert.equal(ago(60_000), '1m ago');
  assert.equal(ago(3_599_999), '59m ago');
  assert.equal(ago(86_399_999), '23h ago');
  assert.equal(ago(400 * 86_400_000), '400d ago');
});

test('the future is rounded up', () => {
  const ahead = (ms: number): string => relative(NOW + ms, NOW);
  assert.equal(ahead(1), 'in 1s');
  assert.equal(ahead(1001), 'in 2s');
  assert.equal(ahead(59_001), 'in 1m');
  assert.equal(ahead(60_001), 'in 2m');
  assert.equal(ahead(3_599_001), 'in 1h');
  assert.equal(ahead(86_399_500), 'in 1d');
});

test('an age is never negative, also when the clock was set back', () => {
  assert.equal(age(-5000), '0s');
  assert.equal(age(12_900), '12s');
  assert.equal(age(7_200_000), '2h');
});
