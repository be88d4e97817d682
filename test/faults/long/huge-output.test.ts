// Fault 41, the long form: 10 GiB of output.

import { test } from 'node:test';
import { crew } from '../../fixtures/crew.ts';
import { assertCapped } from '../kit/huge-output.ts';

const MIB = 1024 * 1024;
const BYTES = 10 * 1024 * MIB;
const MINUTES = 60_000;

const skip = process.platform === 'linux' ? false : 'needs /proc';

test('10 GiB of output are capped and marked', { timeout: 11 * MINUTES, skip }, async (t) => {
  await assertCapped(t, crew(t), {
    bytes: BYTES,
    cap: 10 * MIB,
    command: `echo first; head -c ${BYTES - 'first\nlast\n'.length} /dev/zero; echo last`,
    patience: 10 * MINUTES,
  });
});
