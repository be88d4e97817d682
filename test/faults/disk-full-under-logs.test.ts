// Fault 12: the disk under the logs is full, the one under the database is not. A job's result
// stands, its log says what is missing, and what comes when there is room is kept (guarantee 11).

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { untilOutput } from '../cli/box.ts';
import { type Crew, crew, outcomes } from '../fixtures/crew.ts';
import { mountTinyDisk, unmountable } from './kit/tiny-disk.ts';

/** 400,000 lines, every one another. */
const MUCH = 'seq 400000';
const much = Array.from({ length: 400_000 }, (_, i) => `${i + 1}\n`).join('');

/** Bytes of `much` in this log: each in its place, each gap as long as it says. */
async function kept(queue: Crew, id: string): Promise<number> {
  let [at, bytes] = [0, 0];
  const entries = await queue.json<Entry[]>(['logs', id]);
  for (const [index, { text, missing_bytes: missing }] of entries.entries()) {
    if (text === undefined) {
      // Only at the very end nobody knows how much.
      assert.ok(typeof missing === 'number' || index === entries.length - 1);
      at = typeof missing === 'number' ? at + missing : much.length;
    } else {
      assert.ok(much.startsWith(text, at), `${id}: something else at ${at}`);
      at += text.length;
      bytes += text.length;
    }
  }
  assert.equal(at, much.length, id);
  return bytes;
}

interface Entry {
  readonly text?: string;
  readonly missing_bytes?: number | null;
}

test('a full disk under the logs', { skip: unmountable }, async (t) => {
  const queue = crew(t);
  await queue.ok(['config', 'set', 'log_max_bytes', '100MB']);
  const disk = mountTinyDisk(queue, join(queue.home, 'logs'), 1024);
  if (disk === null) return t.skip('may not mount here');
  // In the foreground: what it says about the full disk could not be written to it.
  const worker = queue.start(['worker', 'start', '--foreground']);
  await untilOutput(worker, /ready/, 'stderr');
  const [{ pid } = assert.fail()] = await queue.workers();

  // It gets full in the middle of an output; commands notice nothing.
  await queue.enqueue('fine', `${MUCH}; echo done >>ran`);
  await queue.enqueue('fails', `${MUCH}; exit 3`, { max_retries: 0 });
  const [fine, fails] = await queue.allFinished(['fine', 'fails']);
  assert.equal(fine?.state, 'completed');
  assert.equal(fails?.state, 'dead');
  assert.equal(outcomes(fails), 'exited 3');
  assert.deepEqual(queue.lines('ran'), ['done']);
  assert.equal(fine.history[0]?.log_bytes, much.length);
  for (const id of ['fine', 'fails']) {
    const bytes = await kept(queue, id);
    if (id === 'fine') assert.ok(bytes > 500_000, 'what fits is kept');
    assert.match(
      (await queue.q(['logs', id])).stderr,
      /log of \w+ is incomplete: its disk refused/,
    );
  }
  const missing = /Log +incomplete: .+ refused by its disk/;
  assert.match(await queue.ok(['show', 'fine']), missing);
  assert.match(await queue.ok(['show', 'fails']), missing);

  // Not a byte from the beginning on, then room while the job still runs.
  rmSync(join(queue.home, 'logs/jobs'), { recursive: true });
  disk.fill();
  await queue.enqueue('nothing', 'echo out; echo err >&2');
  const told = await queue.q(['logs', (await queue.finished('nothing')).id]);
  assert.equal(told.stdout, '');
  assert.match(told.stderr, /^queuectl: the log of nothing is incomplete: its disk refused/);
  const given = untilOutput(
    worker,
    /waits: the log of attempt 1 is incomplete: .*ENOSPC/,
    'stderr',
  );
  await queue.enqueue('waits', 'echo before; until [ -e go ]; do sleep 0.05; done; echo after');
  await given;
  disk.makeRoom();
  writeFileSync(join(queue.directory, 'go'), '');
  await queue.finished('waits');
  const resumed = await queue.q(['logs', 'waits']);
  assert.equal(resumed.stdout, 'after\n');
  assert.match(
    resumed.stderr,
    /^queuectl: the log of waits is incomplete: its disk refused 7 bytes here/,
  );

  // Later jobs have whole logs, from the same workers.
  await queue.enqueue('later', 'seq 50000');
  await queue.finished('later');
  const whole = await queue.q(['logs', 'later']);
  assert.equal(whole.stderr, '');
  assert.equal(whole.stdout, much.slice(0, whole.stdout.length));
  assert.equal(whole.stdout.split('\n').length - 1, 50_000);
  assert.doesNotMatch(await queue.ok(['show', 'later']), missing);
  assert.deepEqual(
    (await queue.workers()).map((each) => each.pid),
    [pid],
  );
});
