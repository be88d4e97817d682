// Guarantee 5: what a worker ran is found after its death, whatever moment it died at.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openRoster, readRoster, removeRoster } from '../../src/worker/roster.ts';
import { tempDirectory } from './command-support.ts';

const entry = (runToken: number) => ({
  runToken,
  leader: { pid: 4_194_304 - runToken, startTime: String(10 ** 12 + runToken) },
});

test('a roster holds what was added and not taken off again', (t) => {
  const directory = join(tempDirectory(t), 'run');
  const roster = openRoster(directory, 'w1');
  assert.deepEqual(readRoster(directory, 'w1'), []);
  const first = roster.add(entry(1));
  const second = roster.add(entry(2));
  roster.add(entry(3));
  assert.deepEqual(readRoster(directory, 'w1'), [entry(1), entry(2), entry(3)]);
  second();
  assert.deepEqual(readRoster(directory, 'w1'), [entry(1), entry(3)]);
  roster.add(entry(40));
  first();
  assert.deepEqual(readRoster(directory, 'w1'), [entry(40), entry(3)]);
  // Nobody has closed it: this is what a killed worker leaves.
  removeRoster(directory, 'w1');
  removeRoster(directory, 'w1');
  assert.deepEqual(readRoster(directory, 'w1'), []);
  roster.close();
  roster.close();
});

test('it does not grow with the number of attempts', (t) => {
  const directory = tempDirectory(t);
  const roster = openRoster(directory, 'w2');
  for (let token = 1; token <= 1000; token += 1) {
    const [one, two] = [roster.add(entry(token)), roster.add(entry(token + 5000))];
    one();
    two();
  }
  assert.equal(statSync(join(directory, 'w2')).size, 2 * 64);
  assert.deepEqual(readRoster(directory, 'w2'), []);
  roster.close();
  assert.ok(!existsSync(join(directory, 'w2')));
  // Late, from an attempt that outlived the worker's end.
  roster.add(entry(1))();
  assert.ok(!existsSync(join(directory, 'w2')));
});

test('a torn line is skipped', (t) => {
  const directory = tempDirectory(t);
  const roster = openRoster(directory, 'w3');
  roster.add(entry(1));
  roster.add(entry(2));
  const file = join(directory, 'w3');
  assert.equal(readFileSync(file, 'latin1').length, 128);
  truncateSync(file, 64 + 20);
  assert.deepEqual(readRoster(directory, 'w3'), [entry(1)]);
  truncateSync(file, 10);
  assert.deepEqual(readRoster(directory, 'w3'), []);
  roster.close();
});
