// Fault 44: a worker that runs out of file descriptors. What cannot be started is given
// back without using a retry; what runs goes on, and so does everybody else.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { crew, ms, outcomes, spanned, spans, story, until } from '../fixtures/crew.ts';

const skip =
  spawnSync('prlimit', ['--version']).status === 0 && process.getuid?.() === 0
    ? false
    : 'needs prlimit and root, to raise a limit again';

const limit = (pid: number, descriptors: number): unknown =>
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${descriptors}:20000`]);

const open = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

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
    const given = await until('one is given back', async () => {
      const jobs = await Promise.all(ids.map(async (id) => await queue.show(id)));
      return jobs.find(({ state, history }) => state === 'pending' && history.length > 0);
    });
    assert.equal(given.attempts, 0);
    assert.match(outcomes(given), /^spawn_failed 126/);
    assert.match(given.error ?? '', /file descriptors/);
    const wait = ms(given.run_at) - ms(given.history.at(-1)?.finished_at ?? null);
    assert.equal(wait, 1000);
    const running = new Set(spans(queue).map(({ id }) => id));
    assert.ok(running.size > 2 && running.size < 30, `${running.size} run`);
    // As long as it takes, what runs goes on.
    await until('it was tried again', async () => (await queue.show(given.id)).history.length > 2);

    limit(pid, 20_000);
    writeFileSync(join(queue.directory, 'go'), '');
    for (const job of await queue.allFinished(ids)) {
      assert.deepEqual([job.state, job.attempts], ['completed', 1], job.id);
      assert.match(outcomes(job), /^(spawn_failed 126, )*exited 0$/, job.id);
      // The log is a file too, and may have been the one too many; the job does not mind.
      assert.match(await queue.ok(['logs', job.id]), /^(out\nend\n)?$/);
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
});
