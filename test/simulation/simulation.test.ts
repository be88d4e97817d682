// Workers, reapers and clients over the real SQLite store, on one simulated machine where
// clocks are virtual and every fault, every delay and the order of everything is drawn from
// a seed. The same checker judges the history as after the kill storm on the executable.
//
// SIM_SEED=7 runs that seed alone and prints all that happened; SIM_SEEDS=100000 runs more,
// SIM_FROM=3001 others than every time.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createWorlds, type Report, type Worlds } from './simulate.ts';

const { SIM_SEED, SIM_SEEDS, SIM_FROM } = process.env;
const SEEDS = Number(SIM_SEEDS ?? 3000);
const FROM = Number(SIM_FROM ?? 1);
/** A test each: some two seconds, and bounded where a lot else runs. */
const BATCH = 100;

/**
 * Seeds beyond the usual ones that once found something, and what; none so far. They stay
 * for as long as a seed draws what it drew then.
 */
const KEPT: readonly (readonly [seed: number, found: string])[] = [];

const TAIL = 80;
/** What everybody does all the time; only the whole trace has it. */
const ROUTINE =
  / (slept \S+|workers|supervisors|running|version|attend|settings|renew|probe|is woken)$/;

let worlds: Worlds;
let simulated = 0;
const total: Record<string, number> = {};

before(async () => {
  worlds = await createWorlds();
});

after(() => worlds.remove());

async function run(seed: number): Promise<Report> {
  const report = await worlds.simulate(seed);
  simulated += 1;
  for (const [name, n] of Object.entries(report.figures)) total[name] = (total[name] ?? 0) + n;
  return report;
}

async function expectSound(seed: number): Promise<void> {
  const { findings, trace, profile } = await run(seed);
  if (findings.length === 0) return;
  assert.fail(
    [
      `seed ${seed}: ${findings.map(({ invariant, told }) => `${invariant}: ${told}`).join('\n')}`,
      JSON.stringify(profile),
      '…',
      ...trace.filter((line) => !ROUTINE.test(line)).slice(-TAIL),
      `again, and all that happened: SIM_SEED=${seed} node --test test/simulation/simulation.test.ts`,
    ].join('\n'),
  );
}

if (SIM_SEED === undefined) {
  test('the same seed gives the same trace', async () => {
    for (let seed = FROM; seed < FROM + 20; seed += 1) {
      const [one, two] = [await run(seed), await run(seed)];
      assert.deepEqual(one.trace, two.trace, `seed ${seed}`);
      assert.deepEqual(one, two);
    }
    const [one, other] = [await run(FROM), await run(FROM + 1)];
    assert.notDeepEqual(one.trace, other.trace);
  });

  test('seeds that once found something', async () => {
    for (const [seed] of KEPT) await expectSound(seed);
  });

  for (let from = FROM; from < FROM + SEEDS; from += BATCH) {
    const to = Math.min(from + BATCH, FROM + SEEDS);
    test(`seeds ${from} to ${to - 1}: nothing lost, nothing twice, all nine invariants`, async () => {
      for (let seed = from; seed < to; seed += 1) await expectSound(seed);
    });
  }

  test('every kind of fault has happened', (t) => {
    t.diagnostic(`${simulated} worlds: ${JSON.stringify(total)}`);
    for (const [name, n] of Object.entries(total)) assert.ok(n > 0, name);
  });
} else {
  test(`seed ${SIM_SEED}`, async () => {
    const { trace, profile, findings, figures } = await run(Number(SIM_SEED));
    console.log([JSON.stringify(profile), ...trace, JSON.stringify(figures)].join('\n'));
    assert.deepEqual(findings, []);
  });
}
