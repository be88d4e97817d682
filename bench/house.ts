// What keeping house costs the work beside it: how soon an idle worker starts a job, and how
// fast a queue is drained, while 100,000 old jobs with logs are deleted, and while none are.
// In turn, with one worker: without, with, without, with.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, ms, quantile, times } from './lib/figures.ts';
import { compiledC } from './lib/floor.ts';
import { environment, Home, newPath, outputOf, QUEUECTL } from './lib/place.ts';
import { printTable, type Row } from './lib/table.ts';

const OLD = 100_000;
const LOG = 'a line or two of output, as most jobs have\n';
const ROUNDS = 2;
/** 20 a second for 20 s. */
const TRICKLE = 400;
const PACE_MS = 50;
const DRAIN = 1000;
const DAY = 86_400_000;

/** What p99 may be of p99 without, or by how much more. */
const RATIO = 1.5;
const MORE_MS = 10;
/** What is left of the rate of a drain. */
const RATE = 0.8;

/** Enqueues one job after the other and prints when each call began. */
const SCRIPT = `
LC_ALL=C
queuectl=$1 stamps=$2 name=$3 n=$4 pace=$5; shift 5
mkfifo "$stamps/.$name"
exec 9<>"$stamps/.$name"
for ((i = 0; i < n; i++)); do
  read -rt "$pace" -u 9
  echo "$EPOCHREALTIME"
  "$queuectl" enqueue --quiet --queue trickle --id "$name-$i" -- "$@" "$stamps/$name-$i" >/dev/null || exit 1
done
"$queuectl" wait --timeout 10 "$name-$((i - 1))"
`;

interface Measured {
  readonly pickup: number[];
  readonly rate: number[];
}

export async function house(): Promise<boolean> {
  const home = new Home('house');
  const stamps = newPath('house-stamps');
  mkdirSync(stamps);
  const now = compiledC('now');
  const job = now === null ? ['sh', '-c', 'date +%s%N >"$0"'] : [now];
  const trickle = async (name: string): Promise<number[]> => {
    const args = ['-c', SCRIPT, 'bash', QUEUECTL, stamps, name, String(TRICKLE)];
    const typed = await printed(home, [...args, String(PACE_MS / 1000), ...job]);
    return typed.map((line, index) => {
      const ran = Number(readFileSync(`${stamps}/${name}-${index}`, 'latin1')) / 1e6;
      return ran - Number(line) * 1000;
    });
  };
  const without: Measured = { pickup: [], rate: [] };
  const with_: Measured = { pickup: [], rate: [] };
  const deleted: number[] = [];
  home.queuectl('config', 'set', 'retention', 'none');
  home.queuectl('worker', 'start', '--concurrency', '8');
  await trickle('warm-up');
  for (let round = 0; round < ROUNDS; round += 1) {
    addOld(home);
    without.pickup.push(...(await trickle(`a${round}`)));
    without.rate.push(drain(home));
    home.queuectl('config', 'unset', 'retention');
    while (leftOf(home) === OLD) await sleep(100);
    const begun = [performance.now(), leftOf(home)] as const;
    with_.pickup.push(...(await trickle(`b${round}`)));
    const at = leftOf(home);
    const seconds = (performance.now() - begun[0]) / 1000;
    with_.rate.push(drain(home));
    deleted.push((begun[1] - at) / seconds);
    if (leftOf(home) === 0) throw new Error('all were deleted before the measurement ended');
    home.queuectl('config', 'set', 'retention', 'none');
    while (leftOf(home) > 0) await sleep(100);
  }
  home.queuectl('worker', 'stop');
  const p99 = (samples: readonly number[]): number => quantile(samples, 0.99);
  const more = p99(with_.pickup) - p99(without.pickup);
  const ratio = p99(with_.pickup) / p99(without.pickup);
  const rate = median(with_.rate.map((one, index) => one / (without.rate[index] ?? Number.NaN)));
  return printTable(`While ${OLD.toLocaleString('en')} jobs with logs are deleted by the worker`, [
    row('enqueue typed → its command runs, nothing to delete', without.pickup),
    {
      ...row('the same, deleting', with_.pickup),
      ratio: `p99 +${ms(more)}, ${times(ratio)}`,
      target: `p99 ≤ ${times(RATIO)} or +${MORE_MS} ms`,
      met: ratio <= RATIO || more <= MORE_MS,
    },
    {
      what: `${DRAIN.toLocaleString('en')} jobs drained, deleting`,
      median: `${Math.round(median(with_.rate))} jobs/s`,
      ratio: `× ${rate.toFixed(2)} of the rate`,
      target: `≥ × ${RATE.toFixed(2)}`,
      met: rate >= RATE,
    },
    { what: 'deleted meanwhile', median: `${Math.round(median(deleted))} jobs/s` },
  ]);
}

function row(what: string, samples: readonly number[]): Row {
  const [p50, p99, max] = [median(samples), quantile(samples, 0.99), Math.max(...samples)];
  return { what, median: `${ms(p50)}, p99 ${ms(p99)}, max ${ms(max)}` };
}

async function printed(home: Home, args: readonly string[]): Promise<string[]> {
  const child = spawn('bash', args, {
    env: environment(home.path),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => (chunks[name] += chunk));
  }
  const [status] = (await once(child, 'close')) as [number | null];
  const result = { ...chunks, status, pid: 0, output: [], signal: null };
  return outputOf(result).trimEnd().split('\n');
}

/** Jobs a second, from the first start to the last end. */
function drain(home: Home): number {
  const lines = Array.from({ length: DRAIN }, () => '{"command":"true","queue":"drained"}\n');
  const file = newPath('drain.ndjson');
  writeFileSync(file, lines.join(''));
  home.queuectl('enqueue', '--quiet', '--file', file);
  const from = home.query<{ key: number }>('SELECT max(key) - 999 AS key FROM job')[0]?.key ?? 0;
  const sql = `SELECT count(finished_at) AS n, max(finished_at) - min(started_at) AS span
    FROM attempt WHERE job >= ${from}`;
  for (;;) {
    const [seen] = home.query<{ n: number; span: number }>(sql);
    if (seen?.n === DRAIN) return DRAIN / (seen.span / 1000);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  }
}

/** Of the old ones, how many there still are. */
function leftOf(home: Home): number {
  const sql = `SELECT coalesce(sum(n), 0) AS n FROM tally
    WHERE queue = (SELECT key FROM queue WHERE name = 'old')`;
  return home.query<{ n: number }>(sql)[0]?.n ?? 0;
}

/** Jobs that have ended eight days ago, with a log each, as if a worker had run them. */
function addOld(home: Home): void {
  home.queuectl('enqueue', '--quiet', '--queue', 'old', '--id', 'model', '--', 'true');
  home.queuectl('wait', 'model');
  const db = new DatabaseSync(join(home.path, 'queue.db'), { timeout: 10_000 });
  db.exec('BEGIN IMMEDIATE');
  const [model] = db.prepare("SELECT key, queue FROM job WHERE id = 'model'").all() as [
    { key: number; queue: number },
  ];
  const ended = Date.now() - 8 * DAY;
  const first = model.key + 1;
  const numbers = `WITH RECURSIVE i(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM i WHERE i < ${OLD - 1})`;
  const columns = `state, queue, priority, kind, spec_version, command, spec, place, tags,
    attempts, last_attempt, max_retries, timeout`;
  db.exec(`${numbers}
    INSERT INTO job (key, id, ${columns}, created_at, updated_at, run_at)
    SELECT ${first} + i, 'old-' || (${first} + i), ${columns}, ${ended} + i, ${ended} + i, NULL
    FROM i, job WHERE job.key = ${model.key}`);
  db.exec(`${numbers}
    INSERT INTO attempt (job, number, run_token, worker, started_at, finished_at, outcome,
      exit_code, log_bytes)
    SELECT ${first} + i, 1, -i, worker, ${ended} + i, ${ended} + i, outcome, exit_code,
      ${LOG.length} FROM i, attempt WHERE attempt.job = ${model.key}`);
  db.exec(
    `UPDATE queue SET log_bytes = log_bytes + ${OLD * LOG.length} WHERE key = ${model.queue}`,
  );
  db.exec(`UPDATE tally SET n = n + ${OLD} WHERE queue = ${model.queue} AND state = 'completed'`);
  db.exec('COMMIT');
  db.close();
  home.queuectl('delete', 'model');
  const frame = new Uint8Array(4 + LOG.length);
  new DataView(frame.buffer).setUint32(0, LOG.length, true);
  frame.set(new TextEncoder().encode(LOG), 4);
  for (let key = first; key < first + OLD; key += 1) {
    const directory = join(home.path, 'logs/jobs', String(Math.floor(key / 1000)));
    if (key % 1000 === 0 || key === first) mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `${key}.1.log`), frame);
  }
}
