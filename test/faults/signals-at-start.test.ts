// Fault 49: TERM, INT or KILL at a random moment of a start, where there is nothing yet: of
// the command itself, or of the supervisor and the workers on their way. Afterwards the
// database opens, nothing half-made lies about, a later start works and nobody is left.
// SIGNALS_SEED repeats the draws.

import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitCode } from '../cli/box.ts';
import { type Crew, crew, outcomes, signal, until } from '../fixtures/crew.ts';
import { Chance, seeded } from '../fixtures/random.ts';
import { inspect } from './kit/inspect.ts';

const TRIES = 32;

type Start = readonly [args: readonly string[], within: number];

/** What is started, and within how many ms that is over on a quiet machine. */
const STARTS: readonly [Start, ...Start[]] = [
  [['worker', 'start', '--count', '2'], 250],
  [['worker', 'start', '--foreground'], 250],
  [['worker', 'start', '--foreground', '--drain'], 150],
  [['enqueue', '--quiet', '--id', 'first', '--', 'true'], 40],
  [['list'], 40],
];

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGKILL'] as const;

interface Try {
  readonly args: readonly string[];
  readonly name: (typeof SIGNALS)[number];
  readonly ms: number;
  /** Whom it meets: the command, or any process of the queue. */
  readonly anybody: number | null;
}

function draw(chance: Chance): Try {
  const [args, within] = chance.one(STARTS);
  // Some come later than the whole start, up to half a second.
  const ms = chance.happens(0.8) ? chance.between(0, within) : chance.between(0, 500);
  const anybody = chance.happens(0.5) ? chance.between(0, 9) : null;
  return { args, name: chance.one(SIGNALS), ms, anybody };
}

async function strike(queue: Crew, child: ChildProcess, { anybody, name }: Try): Promise<void> {
  const all = queue.processes();
  const pid = anybody === null ? child.pid : all[anybody % all.length]?.pid;
  if (pid !== undefined) signal(pid, name);
  // A foreground one that was not hit itself goes on as if nothing had been.
  if (child.spawnargs.includes('--foreground')) child.kill('SIGTERM');
  await exitCode(child);
}

/** No supervisor is still on its way: a stop would not find it, and it would stay. */
async function allRegistered(queue: Crew): Promise<void> {
  await until('all have registered', async () => {
    const known = (await queue.workers()).map(({ pid }) => pid);
    const running = queue.processes();
    const workers = running.filter(({ args }) => args.includes('__worker'));
    return (
      workers.every(({ pid }) => known.includes(pid)) &&
      queue.supervisors().every((pid) => workers.some(({ parent }) => parent === pid))
    );
  });
}

async function isClean(queue: Crew, acknowledged: boolean): Promise<void> {
  // Opens it, or makes it, after whatever has happened.
  const jobs = await queue.json<{ id: string }[]>(['list']);
  if (acknowledged)
    assert.deepEqual(
      jobs.map(({ id }) => id),
      ['first'],
      'acknowledged and lost',
    );
  const { integrity } = inspect(join(queue.home, 'queue.db'));
  assert.equal(integrity, 'ok');

  await queue.enqueue('later', 'true');
  await queue.begin();
  const job = await queue.finished('later');
  assert.deepEqual([job.state, outcomes(job)], ['completed', 'exited 0']);
  await allRegistered(queue);
  await queue.ok(['worker', 'stop']);
  await until('nobody is left', () => queue.processes().length === 0);
  assert.deepEqual(await queue.workers(), []);

  const files = readdirSync(queue.home);
  assert.deepEqual(
    files.filter((name) => name.includes('.new')),
    [],
    'drafts',
  );
  assert.deepEqual(readdirSync(join(queue.home, 'run')), [], 'rosters');
}

async function attempt(t: TestContext, one: Try): Promise<void> {
  const queue = crew(t);
  const child = queue.start(one.args);
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  // The fault is the moment.
  await sleep(one.ms);
  await strike(queue, child, one);
  const began = existsSync(join(queue.home, 'queue.db'));
  if (said !== '' && !began) assert.fail(`it answered without a database: ${said}`);
  await isClean(queue, said.startsWith('first'));
}

const seed = Number(process.env['SIGNALS_SEED'] ?? Date.now() % 1_000_000);
const chance = new Chance(seeded(seed));

suite(`signals at start, SIGNALS_SEED=${seed}`, { concurrency: 3 }, () => {
  for (let n = 1; n <= TRIES; n += 1) {
    const one = draw(chance);
    const whom = one.anybody === null ? 'it' : 'anybody';
    const what = `${one.name} to ${whom} ${one.ms} ms after: ${one.args.join(' ')}`;
    test(`${n}. ${what}`, (t) => attempt(t, one));
  }
});
