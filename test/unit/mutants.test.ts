// The list of mutants may not rot: what each of them takes out is in the code, once. Whether
// the checks notice is `npm run test:mutants`.

import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { INVARIANTS } from '../faults/kit/checker.ts';
import { problemsOf } from '../mutants/edit.ts';
import { MUTANTS } from '../mutants/mutants.ts';

const ROOT = resolve(import.meta.dirname, '../..');

test('every guard that a mutant takes out stands in the code once', () => {
  assert.deepEqual(
    MUTANTS.flatMap((mutant) => problemsOf(mutant, ROOT)),
    [],
  );
  const names = MUTANTS.map(({ name }) => name);
  assert.deepEqual([...new Set(names)], names);
});

test('every invariant of the checker catches a mutant', () => {
  const proven = new Set<string | undefined>(MUTANTS.map(({ caughtBy }) => caughtBy.invariant));
  assert.deepEqual(
    INVARIANTS.filter((invariant) => !proven.has(invariant)),
    [],
  );
});
