// The guards of the code, each taken out once, and the check that must notice. A check that
// never failed proves nothing: this list is the proof of the checks, above all of the
// invariants of test/faults/kit/checker.ts. What stands here is looked for in the code by
// test/unit/mutants.test.ts and taken out by run.ts.

import { COMMAND_MUTANTS } from './command-mutants.ts';
import { DATABASE_MUTANTS } from './database-mutants.ts';
import { JOB_MUTANTS } from './job-mutants.ts';
import type { Mutant } from './mutant.ts';
import { WORKER_MUTANTS } from './worker-mutants.ts';

export const MUTANTS: readonly Mutant[] = [
  ...JOB_MUTANTS,
  ...WORKER_MUTANTS,
  ...COMMAND_MUTANTS,
  ...DATABASE_MUTANTS,
];
