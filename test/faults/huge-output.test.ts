// Fault 41: a job that prints far more than is kept of it, here 200 MiB; 10 GiB in long/.
// The worker's memory stays flat, the log stays below its cap and says what was cut, and all
// bytes are counted (guarantee 11).

import { suite, test } from 'node:test';
import { crew } from '../fixtures/crew.ts';
import { assertCapped } from './kit/huge-output.ts';

const MIB = 1024 * 1024;
const BYTES = 200 * MIB;
const CAP = 10 * MIB;
const AROUND = 'first\nlast\n'.length;

const skip = process.platform === 'linux' ? false : 'needs /proc';

suite('200 MiB of output', { concurrency: 2, skip }, () => {
  for (const [what, middle] of [
    ['on stdout', `head -c ${BYTES - AROUND} /dev/zero`],
    // As fast as two programs can, into both pipes.
    [
      'on both streams',
      `{ head -c ${BYTES / 2 - AROUND} /dev/zero & head -c ${BYTES / 2} /dev/zero >&2; wait; }`,
    ],
  ] as const) {
    test(`${what} is capped and marked, in flat memory`, async (t) => {
      const queue = crew(t);
      const command = `echo first; ${middle}; echo last`;
      await assertCapped(t, queue, { bytes: BYTES, cap: CAP, command, patience: 60_000 });
    });
  }
});
