// Fault 38, for hundreds of attempts that end at the same moment: cancelled, by themselves
// with something left behind, or lost with their worker (guarantees 6 and 10). A pass over
// /proc for each of them would take longer than they may, so the work must not grow with the
// square of their number. It is counted, not timed: a pass reads two files for each process
// there is.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { type Crew, crew, ms, signal, until } from '../fixtures/crew.ts';

const MANY = 150;
/** Promised is a second; a machine with a lot else to do may take so much more. */
const BUSY_MS = 4000;

const IDLE = 'sleep 60';
const IDS = Array.from({ length: MANY }, (_, i) => `job${i}`);

/** As many commands that run, in one worker; answers its pid. */
async function runMany(queue: Crew, command: string): Promise<number> {
  const [worker] = await queue.begin('--concurrency', String(MANY));
  const input = IDS.map((id) => JSON.stringify({ id, command, max_retries: 0 }));
  await queue.ok(['enqueue', '-'], { input: input.join('\n') });
  const last = command.split('; ').at(-1) ?? '';
  await until('all run', () => sleeping(queue, last) === MANY);
  return worker?.pid ?? assert.fail();
}

function sleeping(queue: Crew, args: string): number {
  return queue.processes().filter((running) => running.args === args).length;
}

/** How many files of /proc it has read by now, more or less: two calls for each. */
function filesRead(pid: number): number {
  const calls = /^syscr: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))?.[1];
  return Number(calls ?? assert.fail()) / 2;
}

/** What so many files are, in passes over /proc. */
function passes(files: number): number {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).length;
  return Math.round(files / (2 * Math.max(processes, MANY)));
}

interface Ended {
  readonly outcome: string;
  /** Ms since 1970. */
  readonly at: number;
}

/** How all ended, in one call: `show` for each would take longer than all else here. */
async function ends(queue: Crew): Promise<Ended[]> {
  await queue.q(['wait', ...IDS, '--timeout', '60'], { timeout: 65_000 });
  const jobs = await queue.json<{ outcome: string | null; finished_at: string | null }[]>([
    'list',
    '--limit',
    String(MANY + 1),
  ]);
  assert.equal(jobs.length, MANY);
  return jobs.map(({ outcome, finished_at }) => ({
    outcome: outcome ?? 'none',
    at: ms(finished_at),
  }));
}

const skip = process.platform === 'linux' ? false : 'needs /proc';

suite('hundreds of attempts', { concurrency: 1, skip }, () => {
  for (const [what, command, killAfter] of [
    ['end in a second', IDLE, 0],
    [
      'that ignore TERM, and have left their group, by kill_after + 1 s',
      `trap '' TERM; setsid -f sleep 61; ${IDLE}`,
      1000,
    ],
  ] as const) {
    test(`cancelled at once ${what}`, async (t) => {
      const queue = crew(t);
      await queue.ok(['config', 'set', 'kill_after', '1s']);
      const worker = await runMany(queue, command);
      const before = filesRead(worker);
      const asked = Date.now();
      await queue.ok(['cancel', ...IDS]);
      const jobs = await ends(queue);
      const count = passes(filesRead(worker) - before);
      const took = Math.max(...jobs.map(({ at }) => at)) - asked;
      t.diagnostic(`${took} ms, ${count} passes over /proc`);
      assert.ok(jobs.every(({ outcome }) => outcome === 'cancelled'));
      assert.ok(took < killAfter + 1000 + BUSY_MS, `${took} ms`);
      // It was three for each at least. Now it is what fits in half of the time it takes.
      assert.ok(count < MANY, `${count} passes`);
      assert.ok(!queue.processes().some(({ args }) => args.includes('sleep')));
    });
  }

  test('that end by themselves, each with something left, do so in a second', async (t) => {
    const queue = crew(t);
    const worker = await runMany(queue, `sleep 61 & :; ${IDLE}`);
    const before = filesRead(worker);
    const asked = Date.now();
    for (const { pid, args } of queue.processes()) if (args === IDLE) signal(pid, 'SIGTERM');
    const jobs = await ends(queue);
    const count = passes(filesRead(worker) - before);
    const took = Math.max(...jobs.map(({ at }) => at)) - asked;
    t.diagnostic(`${took} ms, ${count} passes over /proc`);
    assert.ok(jobs.every(({ outcome }) => outcome === 'exited'));
    assert.ok(took < 1000 + BUSY_MS, `${took} ms`);
    assert.ok(count < MANY, `${count} passes`);
    assert.ok(!queue.processes().some(({ args }) => args.includes('sleep')));
  });

  for (const [what, how, bound] of [
    ['killed', 'SIGKILL', 1000],
    // Lease, a renew interval, and two looks at it.
    ['frozen', 'SIGSTOP', 1000 + 334 + 1000],
  ] as const) {
    test(`are soon lost when their worker is ${what}`, async (t) => {
      const queue = crew(t);
      await queue.ok(['config', 'set', 'lease', '1s']);
      const worker = await runMany(queue, IDLE);
      // The one that finds them.
      await queue.begin();
      const asked = Date.now();
      signal(worker, how);
      const jobs = await ends(queue);
      const took = Math.max(...jobs.map(({ at }) => at)) - asked;
      t.diagnostic(`${took} ms`);
      assert.ok(jobs.every(({ outcome }) => outcome === 'lost'));
      assert.ok(took < bound + BUSY_MS, `${took} ms`);
      assert.ok(!queue.processes().some(({ args }) => args.includes('sleep')));
    });
  }
});
