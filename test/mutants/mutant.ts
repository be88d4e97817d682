// What a mutant is: a guard of the code taken out, and the check that must notice.

import type { Invariant } from '../faults/kit/checker.ts';
import type { WORLDS } from './worlds.ts';

/** `text` stands in the file exactly once. */
export interface Edit {
  readonly file: string;
  readonly text: string;
  readonly replacement: string;
}

export interface Check {
  readonly file: string;
  /** Title of the test that must fail. */
  readonly test: string;
  /** What its failure must name: an invariant of the history checker, or of the simulation. */
  readonly invariant?: string;
}

export interface Mutant {
  /** The guard that is taken out. */
  readonly name: string;
  /** Several where a second guard stands behind the first: then both are taken out. */
  readonly edits: readonly Edit[];
  readonly caughtBy: Check;
}

type OfSimulation =
  | 'no lease is cut short'
  | 'no result lost'
  | 'who stops claims nothing'
  | 'nothing early'
  | 'consistent'
  | 'everything ends';

export function edit(file: string, text: string, replacement: string): Edit {
  return { file, text, replacement };
}

/** A directed storm on the executable, judged by the checker. */
export function scene(test: string, invariant: Invariant): Check {
  return { file: 'test/mutants/scenes.test.ts', test, invariant };
}

/** Worlds of the simulation, judged by the checker and by what only a simulation can tell. */
export function simulated(
  invariant: Invariant | OfSimulation,
  worlds: keyof typeof WORLDS = 'of all kinds',
): Check {
  return { file: 'test/mutants/simulated.test.ts', test: `simulated worlds ${worlds}`, invariant };
}

/** For guards that no history can show. */
export function named(file: string, test: string): Check {
  return { file, test };
}

export function contract(test: string): Check {
  return named('test/contract/sqlite.test.ts', test);
}
