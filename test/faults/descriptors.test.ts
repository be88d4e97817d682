// Fault 44: a worker that runs out of file descriptors. What cannot be started is given
// back without using a retry; what runs goes on, is ended in time where it has to be, and
// so does everybody else. Out of processes: out-of-processes.test.ts.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import {
  crew,
  isAlive,
  type JobShown,
  ms,
  outcomes,
  spanned,
  spans,
  story,
  until,
} from '../fixtures/crew.ts';

const skip =
  spawnSync('prlimit', ['--version']).status === 0 && process.getuid?.() === 0
    ? false
    : 'needs prlimit and root, to raise a limit again';

const limit = (pid: number, descriptors: number): unknown =>
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${descriptors}:20000`]);

const open = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** What a machine with a lot else to do may take on top of what is promised. */
const BUSY_MS = 4000;

/**
 * Ms from its last attempt until it may run again. `show` reads the job first and then its
 * attempts: where another one has ended in between, they do not fit together.
 */
function waits({ run_at, history }: JobShown): number | null {
  const end = history.at(-1)?.finished_at ?? null;
  return end === null ? null : ms(run_at) - ms(end);
}

/** Jobs that run until the file `go` is there, one more than fit. */
const UNTIL_GO = 'echo out; until [ -e go ]; do sleep 0.05; done; echo end';

suite('a worker without file descriptors', { concurrency: 2, skip }, () => {
  test('gives back what it cannot start, without using a retry', async (t) => {
    const queue = crew(t);
    const [worker] = await queue.begin('--concurrency', '30');
    const pid = worker?.pid ?? 0;
    limit(pid, 40);
    const ids = Array.from({ length: 30 }, (_, i) => `job${i}`);
    const input = ids
      .map((id) => JSON.stringify({ id, command: spanned(UNTIL_GO), max_retries: 0 }))
      .join('\n');
    await queue.ok(['enqueue', '-'], { input });
    const given = await until('one is given back, due a second later', async () => {
      const jobs = await Promise.all(ids.map(async (id) => await queue.show(id)));
      return jobs.find((job) => job.state === 'pending' && waits(job) === 1000);
    });
    assert.equal(given.attempts, 0);
    assert.match(outcomes(given), /^spawn_failed 126/);
    assert.match(given.error ?? '', /file descriptors/);
    const running = new Set(spans(queue).map(({ id }) => id));
    assert.ok(running.size > 2 && running.size < 30, `${running.size} run`);
    // As long as it takes, what runs goes on.
    await until('it was tried again', async () => (await queue.show(given.id)).history.length > 2);

    limit(pid, 20_000);
    writeFileSync(join(queue.directory, 'go'), '');
    for (const job of await queue.allFinished(ids)) {
      assert.deepEqual([job.state, job.attempts], ['completed', 1], job.id);
      assert.match(outcomes(job), /^(spawn_failed 126, )*exited 0$/, job.id);
      // The log is a file too, and may have been the one too many: then it says so.
      const { stdout, stderr } = await queue.q(['logs', job.id]);
      assert.ok(['out\nend\n', 'end\n'].includes(stdout), stdout);
      if (stdout === 'end\n')
        assert.match(stderr, /the log of job\d+ is incomplete: its disk refused 4 bytes here/);
    }
    for (const id of ids) assert.match(story(queue, id), /^S\d+ E\d+$/);
    assert.deepEqual(await queue.workers().then((all) => all.map((each) => each.pid)), [pid]);
  });

  test('and without a single one neither dies nor takes others for dead', async (t) => {
    const queue = crew(t);
    const [starved, other] = await queue.begin('--count', '2');
    assert.ok(starved !== undefined && other !== undefined);
    await queue.enqueue('a', spanned(UNTIL_GO));
    await queue.enqueue('b', spanned(UNTIL_GO));
    await until('both run', () => spans(queue).length === 2);
    limit(starved.pid, 1);
    assert.ok(open(starved.pid) > 1);
    // It looks for dead workers twice a second, and renews its lease: both need to see more
    // than it can open now.
    await queue.ok(['config', 'set', 'lease', '3s']);
    const before = await queue.workers();
    await until('its heart has beaten three times', async () => {
      const workers = await queue.workers();
      assert.deepEqual(
        workers.map(({ pid }) => pid),
        [starved.pid, other.pid],
      );
      const beats = (all: typeof workers): number =>
        ms(all.find(({ pid }) => pid === starved.pid)?.heartbeat_at ?? null);
      return beats(workers) - beats(before) > 3000;
    });
    limit(starved.pid, 20_000);
    writeFileSync(join(queue.directory, 'go'), '');
    for (const job of await queue.allFinished(['a', 'b'])) {
      assert.equal(outcomes(job), 'exited 0', job.id);
    }
    assert.doesNotMatch(queue.log(), /died|lost/);
  });

  // It cannot look into /proc then, to see whom it ends.
  test('ends what it runs in time all the same', async (t) => {
    const queue = crew(t);
    await queue.ok(['config', 'set', 'kill_after', '500ms']);
    const [worker] = await queue.begin('--concurrency', '2');
    const pid = worker?.pid ?? 0;
    const deaf = `trap '' TERM; echo up; sleep 60 & sleep 61; sleep 62`;
    const timeout = 4;
    await queue.enqueue('late', deaf, { timeout, max_retries: 0 });
    await queue.enqueue('unwanted', deaf, { max_retries: 0 });
    await until('both run', async () => {
      const logs = await Promise.all(['late', 'unwanted'].map((id) => queue.ok(['logs', id])));
      return logs.every((log) => log === 'up\n');
    });
    const started = ms((await queue.show('late')).history[0]?.started_at ?? null);
    limit(pid, 1);
    await queue.ok(['cancel', 'unwanted']);
    const asleep = (): number[] =>
      queue.processes().flatMap((one) => (one.args.startsWith('sleep 6') ? one.pid : []));
    await until('nobody is left', () => asleep().length === 0, 20_000);
    const took = Date.now() - started;
    t.diagnostic(`the last was gone after ${took} ms`);
    assert.ok(took >= timeout * 1000 && took < timeout * 1000 + 500 + 1000 + BUSY_MS, `${took} ms`);
    // Whether somebody had left the group it could not see, so it has not told any end yet.
    assert.deepEqual([(await queue.show('late')).state, isAlive(pid)], ['processing', true]);

    limit(pid, 20_000);
    assert.equal(outcomes(await queue.finished('late')), 'timed_out');
    assert.equal((await queue.finished('unwanted')).state, 'cancelled');
    await queue.enqueue('next', 'true');
    assert.equal((await queue.finished('next')).state, 'completed');
  });
});
