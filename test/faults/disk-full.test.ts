// Fault 11: the disk under the database is full. Commands say so with exit code 5 and store
// nothing, what runs goes on, and everything goes on when there is room.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Crew, crew, outcomes, spanned, spans, story, until } from '../fixtures/crew.ts';

const skip =
  process.platform === 'linux' && process.getuid?.() === 0
    ? false
    : 'needs root, to mount a small tmpfs';

/** A queue whose home is a disk of 2 MB; null where even root may not mount. */
function crewOnSmallDisk(t: TestContext): Crew | null {
  const queue = crew(t);
  mkdirSync(queue.home, { mode: 0o700 });
  const options = ['-t', 'tmpfs', '-o', 'size=2m,mode=700', 'tmpfs', queue.home];
  if (spawnSync('mount', options).status !== 0) return null;
  queue.cleanup(async () => {
    rmSync(join(queue.home, 'fill'), { force: true });
    await queue.q(['worker', 'stop', '--now']);
    await until('it is unmounted', () => spawnSync('umount', [queue.home]).status === 0);
  });
  return queue;
}

/** Takes all that is left, then uses up what the database has of its own. */
async function fill(queue: Crew): Promise<{ stored: string[]; message: string }> {
  for (let size = 65_536; size >= 1; size /= 2) {
    try {
      for (;;) appendFileSync(join(queue.home, 'fill'), Buffer.alloc(size));
    } catch {
      // No more of this size.
    }
  }
  const stored: string[] = [];
  for (let i = 0; i < 500; i += 1) {
    const id = `fill${i}`;
    const args = ['enqueue', '--id', id, '--delay', '1h', '--', 'echo', 'x'.repeat(50_000)];
    const { code, stderr } = await queue.q(args);
    if (code !== 0) {
      assert.equal(code, 5, stderr);
      return { stored, message: stderr };
    }
    stored.push(id);
  }
  return assert.fail('it never got full');
}

test('a full disk under the database', { skip }, async (t) => {
  const queue = crewOnSmallDisk(t);
  if (queue === null) {
    t.skip('may not mount here');
    return;
  }
  await queue.ok(['config', 'set', 'lease', '1s']);
  await queue.begin('--count', '2');
  await queue.enqueue('ends', spanned('until [ -e end ]; do sleep 0.05; done'), { max_retries: 0 });
  await queue.enqueue('stays', spanned('until [ -e go ]; do sleep 0.05; done'), { max_retries: 0 });
  await until('both run', () => spans(queue).length === 2);

  const { stored, message } = await fill(queue);
  assert.match(message, /^queuectl: no space left for .*queue\.db\nhint: .*nothing was stored\n$/);
  const refused = await queue.q(['enqueue', '--file', '-'], {
    input: Array.from({ length: 1000 }, () => '{"command":"true"}').join('\n'),
  });
  assert.equal(refused.code, 5, refused.stderr);
  writeFileSync(join(queue.directory, 'end'), '');
  await until('one has ended', () => spans(queue).some(({ what }) => what === 'E'));
  // The fault itself: nobody can renew a lease for several leases.
  await sleep(4000);
  assert.equal((await queue.workers()).length, 2);
  assert.equal((await queue.show('ends')).state, 'processing');
  assert.equal((await queue.show('stays')).state, 'processing');
  const ids = (await queue.json<{ id: string }[]>(['list', '--limit', '1000'])).map(({ id }) => id);
  assert.deepEqual(ids.toReversed(), ['ends', 'stays', ...stored]);

  rmSync(join(queue.home, 'fill'));
  writeFileSync(join(queue.directory, 'go'), '');
  await queue.enqueue('after', spanned('true'));
  for (const job of await queue.allFinished(['ends', 'stays', 'after'])) {
    assert.equal(outcomes(job), 'exited 0', job.id);
    assert.equal(story(queue, job.id), 'S1 E1', job.id);
  }
});
