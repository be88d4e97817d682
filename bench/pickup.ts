// How soon an idle worker starts what somebody enqueues. Each job writes down when it ran,
// one at a time, from another process.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { median, ms, quantile } from './lib/figures.ts';
import { compiledC } from './lib/floor.ts';
import { environment, Home, newPath, outputOf, QUEUECTL } from './lib/place.ts';
import { printTable, type Row } from './lib/table.ts';

const JOBS = 200;

/** Enqueues jobs and prints when each call began and ended; in between the worker sleeps. */
const SCRIPT = `
LC_ALL=C
queuectl=$1 stamps=$2; shift 2
mkfifo "$stamps/.never"
exec 9<>"$stamps/.never"
for ((i = 0; i < ${JOBS}; i++)); do
  read -rt 0.0$((RANDOM % 50 + 30)) -u 9
  begun=$EPOCHREALTIME
  "$queuectl" enqueue --quiet --id "$i" -- "$@" "$stamps/$i" >/dev/null || exit 1
  echo "$begun $EPOCHREALTIME"
done
"$queuectl" wait --timeout 10 "$((i - 1))"
`;

export function pickup(): boolean {
  const home = new Home('pickup');
  const stamps = newPath('stamps');
  mkdirSync(stamps);
  home.queuectl('worker', 'start');
  const now = compiledC('now');
  const job = now === null ? ['sh', '-c', 'date +%s%N >"$0"'] : [now];
  const calls = outputOf(
    spawnSync('bash', ['-c', SCRIPT, 'bash', QUEUECTL, stamps, ...job], {
      encoding: 'utf8',
      env: environment(home.path),
    }),
  );
  home.queuectl('worker', 'stop');

  const typed = calls
    .trimEnd()
    .split('\n')
    .map((line) => Number(line.split(' ')[0]) * 1000);
  const rows = home.query<{ id: string; created: number; started: number }>(
    `SELECT id, created_at AS created, attempt.started_at AS started
     FROM job JOIN attempt ON attempt.job = job.key ORDER BY job.key`,
  );
  if (rows.length !== JOBS) throw new Error(`${rows.length} of ${JOBS} jobs have run`);
  const ran = rows.map(({ id }) => Number(readFileSync(`${stamps}/${id}`, 'latin1')) / 1e6);
  const since = (times: readonly number[]): number[] =>
    ran.map((time, index) => time - (times[index] ?? Number.NaN));

  const what = now === null ? 'its command, which is `date`,' : 'its command';
  return printTable(`Idle pickup: ${JOBS} jobs, one at a time, from another process`, [
    row(
      `enqueued → claimed`,
      rows.map(({ created, started }) => started - created),
    ),
    row(`enqueued → ${what} runs`, since(rows.map(({ created }) => created)), 5),
    row(`enqueue typed → ${what} runs`, since(typed)),
  ]);
}

function row(what: string, samples: readonly number[], target?: number): Row {
  const p50 = median(samples);
  return {
    what,
    median: `${ms(p50)}, p99 ${ms(quantile(samples, 0.99))}`,
    ...(target !== undefined && { target: `p50 ≤ ${target} ms`, met: p50 <= target }),
  };
}
