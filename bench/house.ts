// What deleting costs the work beside it: how soon an idle worker starts a job, and how fast a
// queue is drained, while 100,000 old jobs with logs are deleted, by that worker itself as it
// keeps house or by `prune`, and while none are. In turn: without, house, prune, without …

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  median,
  medianDifference,
  medianRatio,
  ms,
  perSecond,
  quantile,
  times,
} from './lib/figures.ts';
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

/** Run by run. */
interface Measured {
  readonly pickup: number[][];
  readonly rate: number[];
}

interface Start {
  /** When `enqueue` was typed, ms since 1970, and how long after it its command ran. */
  readonly at: number;
  readonly took: number;
}

export async function house(): Promise<boolean> {
  const home = new Home('house');
  const stamps = newPath('house-stamps');
  mkdirSync(stamps);
  const now = compiledC('now');
  const job = now === null ? ['sh', '-c', 'date +%s%N >"$0"'] : [now];
  const trickle = async (name: string): Promise<Start[]> => {
    const args = ['-c', SCRIPT, 'bash', QUEUECTL, stamps, name, String(TRICKLE)];
    const typed = await printed(home, 'bash', [...args, String(PACE_MS / 1000), ...job]);
    return typed.map((line, index) => {
      const at = Number(line) * 1000;
      const ran = Number(readFileSync(`${stamps}/${name}-${index}`, 'latin1')) / 1e6;
      return { at, took: ran - at };
    });
  };
  const restart = (): void => {
    home.queuectl('worker', 'stop');
    home.queuectl('worker', 'start', '--concurrency', '8');
  };
  const without: Measured = { pickup: [], rate: [] };
  const kept: Measured = { pickup: [], rate: [] };
  const pruned: Measured = { pickup: [], rate: [] };
  const speed = { kept: [] as number[], pruned: [] as number[] };
  home.queuectl('config', 'set', 'retention', 'none');
  home.queuectl('worker', 'start', '--concurrency', '8');
  await trickle('warm-up');
  for (let round = 0; round < ROUNDS; round += 1) {
    addOld(home);
    without.pickup.push(tooks(await trickle(`a${round}`)));
    without.rate.push(drain(home));

    home.queuectl('config', 'unset', 'retention');
    while (leftOf(home) === OLD) await sleep(100);
    const [begun, first] = [performance.now(), leftOf(home)];
    kept.pickup.push(tooks(await trickle(`b${round}`)));
    kept.rate.push(drain(home));
    const left = leftOf(home);
    if (left === 0) throw new Error('all were deleted before the measurement ended');
    speed.kept.push((first - left) / ((performance.now() - begun) / 1000));

    // A round goes by the settings that it began with.
    home.queuectl('config', 'set', 'retention', 'none');
    restart();
    addOld(home);
    const all = leftOf(home);
    const prune = { ended: Number.POSITIVE_INFINITY, begun: Date.now() };
    const pruning = printed(home, QUEUECTL, [
      'prune',
      '--older-than',
      '1d',
      '--queue',
      'old',
      '--yes',
    ]);
    const done = pruning.then(() => (prune.ended = Date.now()));
    const rate = drain(home);
    if (Date.now() < prune.ended) pruned.rate.push(rate);
    const starts = await trickle(`c${round}`);
    await done;
    pruned.pickup.push(tooks(starts.filter(({ at }) => at < prune.ended)));
    speed.pruned.push(all / ((prune.ended - prune.begun) / 1000));
  }
  home.queuectl('worker', 'stop');
  return printTable(`While ${OLD.toLocaleString('en')} jobs with logs are deleted`, [
    row('enqueue typed → its command runs, nothing to delete', without.pickup),
    beside('the same beside a worker that keeps house', kept, without),
    beside('the same beside `prune --older-than`', pruned, without),
    drained('drained by a worker that keeps house', kept, without),
    drained('drained beside `prune --older-than`', pruned, without),
    { what: 'deleted by the worker', median: perSecond(median(speed.kept), 'jobs') },
    { what: 'deleted by `prune`', median: perSecond(median(speed.pruned), 'jobs') },
  ]);
}

function tooks(starts: readonly Start[]): number[] {
  return starts.map(({ took }) => took);
}

const p99 = (samples: readonly number[]): number => quantile(samples, 0.99);

/** Run by run: a machine that does a lot else in one of them does not decide. */
function beside(what: string, one: Measured, other: Measured): Row {
  const slow = [one.pickup.map(p99), other.pickup.map(p99)] as const;
  const [ratio, more] = [medianRatio(...slow), medianDifference(...slow)];
  return {
    ...row(what, one.pickup),
    ratio: `p99 ${more < 0 ? '' : '+'}${ms(more)}, ${times(ratio)}`,
    target: `p99 ≤ ${times(RATIO)} or +${MORE_MS} ms`,
    met: ratio <= RATIO || more <= MORE_MS,
  };
}

function drained(what: string, one: Measured, other: Measured): Row {
  const ratio = medianRatio(one.rate, other.rate);
  return {
    what: `${DRAIN.toLocaleString('en')} × \`true\` ${what}`,
    median: perSecond(median(one.rate), 'jobs'),
    ratio: `${times(ratio)} of the rate`,
    target: `≥ ${times(RATE)}`,
    met: ratio >= RATE,
  };
}

function row(what: string, runs: readonly (readonly number[])[]): Row {
  const [p50, slow] = [median(runs.map(median)), median(runs.map(p99))];
  const max = Math.max(...runs.flat());
  return { what, median: `${ms(p50)}, p99 ${ms(slow)}, max ${ms(max)}` };
}

async function printed(home: Home, file: string, args: readonly string[]): Promise<string[]> {
  const child = spawn(file, args, {
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
  // Or whoever is measured first pays for what was written here.
  outputOf(spawnSync('sync', { encoding: 'utf8' }));
}
