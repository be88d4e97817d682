// Fault 42, the long form: a line of 1 GB.

import { test } from 'node:test';
import { crew } from '../../fixtures/crew.ts';
import { assertLineKept } from '../kit/long-line.ts';

const MINUTES = 60_000;
const skip = process.platform === 'linux' ? false : 'needs /proc';

test('a line of 1 GB is kept whole', { timeout: 6 * MINUTES, skip }, async (t) => {
  await assertLineKept(t, crew(t), 1_000_000_000, 5 * MINUTES);
});
