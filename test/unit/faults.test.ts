// The table of faults in docs/reliability.md names every test in test/faults, with the number
// that the test names itself by, and none that is not there.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const FAULTS = new URL('../faults/', import.meta.url);
const DOCUMENT = new URL('../../docs/reliability.md', import.meta.url);

/** `41 huge-output` for every number and test that a text puts together. */
function documented(): string[] {
  const rows = readFileSync(DOCUMENT, 'utf8').matchAll(/^\| (\d+|–) +\|.*$/gm);
  return [...rows].flatMap(([row, number]) =>
    [...row.matchAll(/faults\/([\w-]+)\.test\.ts\)/g)].map(([, name]) => `${number} ${name}`),
  );
}

function tested(): string[] {
  const files = readdirSync(FAULTS).filter((file) => file.endsWith('.test.ts'));
  return files.map((file) => {
    const text = readFileSync(new URL(file, FAULTS), 'utf8');
    // One that has no number is no fault of the plan.
    const number = /^\/\/ Faults? (\d+)/.exec(text)?.[1] ?? '–';
    return `${number} ${file.slice(0, -'.test.ts'.length)}`;
  });
}

test('the table of faults names every test, and only what there is', () => {
  assert.deepEqual(documented().toSorted(), tested().toSorted());
});
