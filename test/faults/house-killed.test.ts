// Whoever deletes finished jobs is killed in the middle: a worker that keeps house, and
// `prune`. Jobs are there whole or not at all, counts agree with the rows, nothing that was to
// stay has lost a line of its log, and the next one goes on, orphaned logs included
// (guarantees 3 and 11).

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { suite, test } from 'node:test';
import type { Step } from '../../src/failpoint.ts';
import { type Crew, crew } from '../fixtures/crew.ts';
import { arm } from './kit/failpoint.ts';

const KEEP_HOUSE = resolve(import.meta.dirname, 'kit/keep-house.ts');

/** More than one step of retention, and more than a directory of logs would show at once. */
const OLD = 70;
const EIGHT_DAYS_MS = 8 * 86_400_000;

interface Row {
  readonly key: number;
  readonly id: string;
}

/** What the database says, from outside. */
function rows(queue: Crew, sql: string): Row[] {
  const db = new DatabaseSync(join(queue.home, 'queue.db'), { timeout: 5000 });
  try {
    return db.prepare(sql).all() as unknown as Row[];
  } finally {
    db.close();
  }
}

const JOBS = 'SELECT key, id FROM job ORDER BY key';
const WITH_OUTPUT = 'SELECT key, id FROM job WHERE last_attempt > 0 ORDER BY key';

/** Keys of the jobs that logs are of. */
function logged(queue: Crew): number[] {
  const root = join(queue.home, 'logs/jobs');
  const names = readdirSync(root).flatMap((name) => readdirSync(join(root, name)));
  return [...new Set(names.map((name) => Number(name.split('.')[0])))].toSorted((a, b) => a - b);
}

/** Jobs that ended eight days ago, one that has just ended, one that is dead, one that waits. */
async function history(queue: Crew): Promise<void> {
  await queue.begin('--concurrency', '8');
  const old = Array.from({ length: OLD }, (_, i) => `old${i}`);
  const input = old.map((id) => JSON.stringify({ id, command: `echo out of ${id}` })).join('\n');
  await queue.ok(['enqueue', '--quiet', '-'], { input });
  await queue.enqueue('young', 'echo young');
  await queue.enqueue('dead', 'echo dead; exit 1', { max_retries: 0 });
  await queue.ok(['wait', '--quiet', ...old, 'young']);
  await queue.finished('dead');
  await queue.ok(['worker', 'stop']);
  await queue.enqueue('waits', 'true');
  rows(queue, `UPDATE job SET updated_at = updated_at - ${EIGHT_DAYS_MS} WHERE id LIKE 'old%'`);
}

const KEPT = 'young dead waits';

/** Nothing is half: neither a job, nor a count, nor the log of a job that is there. */
async function assertWhole(queue: Crew): Promise<void> {
  const findings = await queue.json<{ check: string; level: string; text: string }[]>(['doctor']);
  const told = findings.filter(({ check }) => check === 'consistency' || check === 'integrity');
  assert.deepEqual(
    told.map(({ level }) => level),
    ['ok', 'ok'],
    JSON.stringify(told),
  );
  const ids = rows(queue, JOBS).map(({ id }) => id);
  assert.deepEqual(ids.slice(-3).join(' '), KEPT);
  const logs = new Set(logged(queue));
  const without = rows(queue, WITH_OUTPUT).filter(({ key }) => !logs.has(key));
  assert.deepEqual(without, [], 'a log went before its job');
}

type Env = Readonly<Record<string, string>>;

/** Who deletes; each resolves with the exit code, null where it was killed. */
const ACTORS: Readonly<Record<string, (queue: Crew, env: Env) => Promise<number | null>>> = {
  'a worker that keeps house': async (queue, env) => {
    const all = { ...queue.env, ...env };
    const child = spawn(process.execPath, [KEEP_HOUSE], { env: all, stdio: 'ignore' });
    const [code] = (await once(child, 'exit')) as [number | null];
    return code;
  },
  prune: async (queue, env) => (await queue.q(['prune'], { env })).code,
  'prune --older-than': async (queue, env) =>
    (await queue.q(['prune', '--older-than', '7d', '--yes'], { env })).code,
};

const STEPS: readonly (readonly [Step, number])[] = [
  ['delete-before-commit', 1],
  ['delete-after-commit', 1],
  ['log-removed', 1],
  ['log-removed', 33],
];
/** In the second step; `prune --older-than` has only one here. */
const LATER: readonly (readonly [Step, number])[] = [
  ['delete-before-commit', 2],
  ['delete-after-commit', 2],
];

suite('whoever deletes finished jobs is killed', { concurrency: 2 }, () => {
  for (const [who, act] of Object.entries(ACTORS)) {
    const steps = who.includes('older') ? STEPS : [...STEPS, ...LATER];
    for (const [step, nth] of steps) {
      test(`${who}, ${step} ${nth}: nothing is half, and the next one goes on`, async (t) => {
        const queue = crew(t);
        await history(queue);
        const point = arm(queue, step, 'kill', nth);
        assert.equal(await act(queue, point.env), null);
        assert.ok(point.hasFired());
        await assertWhole(queue);

        assert.equal(await act(queue, {}), 0);
        await assertWhole(queue);
        assert.equal(rows(queue, JOBS).length, 3, 'all that is over has gone');

        await ACTORS['a worker that keeps house']?.(queue, {});
        await assertWhole(queue);
        const kept = rows(queue, WITH_OUTPUT).map(({ key }) => key);
        assert.deepEqual(logged(queue), kept, 'no log without its job is left');
      });
    }
  }
});

test('prune interrupted by Ctrl-C: says how many, with their logs, and leaves the rest', async (t) => {
  const queue = crew(t);
  await history(queue);
  const before = rows(queue, JOBS).length;
  const point = arm(queue, 'delete-after-commit', 'stop');
  const pruning = queue.q(['prune'], { env: point.env });
  const pid = await point.stopped();
  process.kill(pid, 'SIGINT');
  point.proceed();
  const { code, stdout, stderr } = await pruning;
  assert.equal(code, 130);
  const deleted = Number(/^Deleted (\d+) jobs\n$/.exec(stdout)?.[1]);
  assert.ok(deleted > 0 && deleted < OLD, stdout);
  assert.match(stderr, /interrupted: the other jobs are as they were/);
  await assertWhole(queue);
  assert.equal(rows(queue, JOBS).length, before - deleted);
  const kept = rows(queue, WITH_OUTPUT).map(({ key }) => key);
  assert.deepEqual(logged(queue), kept, 'what it says is gone is gone whole');
});
