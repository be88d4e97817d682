// What a seed decides about a storm: the same seed must decide the same, or no storm could be
// repeated.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adversary, type Decision, tell } from '../faults/kit/adversary.ts';
import { jobOf } from '../faults/kit/jobs.ts';

const TEMPO = { least: 200, most: 500, lease: 2000 };
const MANY = 4000;

function decisions(seed: number): Decision[] {
  return adversary(seed, TEMPO).take(MANY).toArray();
}

test('the same seed decides the same, another one something else', () => {
  assert.deepEqual(decisions(7), decisions(7));
  assert.notDeepEqual(decisions(7), decisions(8));
  assert.deepEqual(jobOf(12, 7), jobOf(12, 7));
});

test('deeds come in their shares, at their tempo', () => {
  const all = decisions(1);
  const share = (what: string): number =>
    Math.round((100 * all.filter(({ deed }) => deed.what === what).length) / MANY);
  for (const [what, percent] of [
    ['kill', 60],
    ['freeze', 20],
    ['terminate', 10],
    ['kill enqueuer', 10],
  ] as const) {
    assert.ok(Math.abs(share(what) - percent) <= 3, `${what}: ${share(what)} %`);
  }
  assert.ok(all.every(({ after }) => after >= TEMPO.least && after <= TEMPO.most));
  // Some leases must run out, and some must not.
  const freezes = all.flatMap(({ deed }) => (deed.what === 'freeze' ? [deed.ms] : []));
  assert.ok(freezes.some((ms) => ms < TEMPO.lease));
  assert.ok(freezes.some((ms) => ms > (4 / 3) * TEMPO.lease));
});

test('every deed can be told on a line', () => {
  for (const { deed } of decisions(2)) assert.match(tell(deed), /^(kill|freeze|terminate) [^\n]+$/);
});

test('every kind of job comes', () => {
  const kinds = new Set(Array.from({ length: 500 }, (_, n) => jobOf(n, 3).id.replace(/-\d+$/, '')));
  assert.equal(kinds.size, 10);
});
