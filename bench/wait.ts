// How soon `queuectl wait` returns after the job it waits for has ended.

import { spawnSync } from 'node:child_process';
import { median, ms, quantile } from './lib/figures.ts';
import { environment, Home, outputOf, QUEUECTL } from './lib/place.ts';
import { printTable } from './lib/table.ts';

const JOBS = 50;
const TARGET = 10;

/** Each job ends long after `wait` has begun to wait. Prints when each call returned. */
const SCRIPT = `
LC_ALL=C
for ((i = 0; i < ${JOBS}; i++)); do
  "$1" enqueue --quiet --id "$i" -- sleep 0.15 >/dev/null && "$1" wait "$i" || exit 1
  echo "$EPOCHREALTIME"
done
`;

export function wait(): boolean {
  const home = new Home('wait');
  home.queuectl('worker', 'start');
  const returned = outputOf(
    spawnSync('bash', ['-c', SCRIPT, 'bash', QUEUECTL], {
      encoding: 'utf8',
      env: environment(home.path),
    }),
  )
    .trimEnd()
    .split('\n')
    .map((line) => Number(line) * 1000);
  home.queuectl('worker', 'stop');
  const ended = home.query<{ at: number }>('SELECT finished_at AS at FROM attempt ORDER BY job');
  const samples = ended.map(({ at }, index) => (returned[index] ?? Number.NaN) - at);
  const p50 = median(samples);
  return printTable(`wait: ${JOBS} jobs, one at a time`, [
    {
      what: 'job ended (recorded) → wait has returned',
      median: `${ms(p50)}, p99 ${ms(quantile(samples, 0.99))}`,
      target: `p50 ≤ ${TARGET} ms`,
      met: p50 <= TARGET,
    },
  ]);
}
