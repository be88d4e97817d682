// Seeds of the simulation for one mutant: goes on after the first finding, because a missing
// guard may show in several invariants and the list of mutants names one of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createWorlds } from '../simulation/simulate.ts';
import { WORLDS } from './worlds.ts';

const SEEDS = 200;
/** Seeds with findings; by then all that a mutant breaks has been seen. */
const ENOUGH = 12;

for (const [kind, as] of Object.entries(WORLDS)) {
  test(`simulated worlds ${kind}`, async (t) => {
    const worlds = await createWorlds();
    /** By invariant what the first seed tells that breaks it. */
    const found = new Map<string, string>();
    try {
      let broken = 0;
      for (let seed = 1; seed <= SEEDS && broken < ENOUGH && !t.signal.aborted; seed += 1) {
        const { findings } = await worlds.simulate(seed, as);
        if (findings.length > 0) broken += 1;
        for (const { invariant, told } of findings) {
          if (!found.has(invariant)) found.set(invariant, `seed ${seed}: ${told}`);
        }
      }
    } finally {
      worlds.remove();
    }
    const told = [...found].map(([invariant, first]) => `${invariant}: ${first}`);
    assert.equal(told.length, 0, told.join('\n'));
  });
}
