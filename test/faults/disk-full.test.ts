// Fault 11: the disk under the database is full. Commands say so with exit code 5 and store
// nothing, what runs goes on, and everything goes on when there is room.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Crew,
  crew,
  isAlive,
  outcomes,
  signal,
  spanned,
  spans,
  story,
  until,
} from '../fixtures/crew.ts';
import { mountTinyDisk, type TinyDisk, unmountable } from './kit/tiny-disk.ts';

/** A queue whose home is a disk of 2 MB; null where even root may not mount. */
function crewOnTinyDisk(t: TestContext): { queue: Crew; disk: TinyDisk } | null {
  const queue = crew(t);
  const disk = mountTinyDisk(queue, queue.home, 2048);
  return disk === null ? null : { queue, disk };
}

/** Takes all that is left, then uses up what the database has of its own. */
async function fill(queue: Crew, disk: TinyDisk): Promise<{ stored: string[]; message: string }> {
  disk.fill();
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

test('a full disk under the database', { skip: unmountable }, async (t) => {
  const tiny = crewOnTinyDisk(t);
  if (tiny === null) return t.skip('may not mount here');
  const { queue, disk } = tiny;
  await queue.ok(['config', 'set', 'lease', '1s']);
  await queue.begin('--count', '2');
  await queue.enqueue('ends', spanned('until [ -e end ]; do sleep 0.05; done'), { max_retries: 0 });
  await queue.enqueue('stays', spanned('until [ -e go ]; do sleep 0.05; done'), { max_retries: 0 });
  await until('both run', () => spans(queue).length === 2);

  const { stored, message } = await fill(queue, disk);
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

  disk.makeRoom();
  writeFileSync(join(queue.directory, 'go'), '');
  await queue.enqueue('after', spanned('true'));
  for (const job of await queue.allFinished(['ends', 'stays', 'after'])) {
    assert.equal(outcomes(job), 'exited 0', job.id);
    assert.equal(story(queue, job.id), 'S1 E1', job.id);
  }
});

test(
  'a full disk when workers are to be stopped: a signal still does it',
  { skip: unmountable },
  async (t) => {
    const tiny = crewOnTinyDisk(t);
    if (tiny === null) return t.skip('may not mount here');
    const { queue, disk } = tiny;
    await queue.begin('--count', '2');
    await queue.enqueue('runs', spanned('until [ -e end ]; do sleep 0.05; done'), {
      max_retries: 0,
    });
    await until('it runs', () => spans(queue).length === 1);
    await fill(queue, disk);

    const [supervisor = assert.fail()] = queue.supervisors();
    const message = await queue.refused(['worker', 'stop'], 5);
    assert.match(message, /could not be asked to stop: no space left/);
    assert.match(message, new RegExp(`hint: .*kill -TERM ${supervisor} `));
    signal(supervisor, 'SIGTERM');
    await until('the idle one has ended', () => workersOf(supervisor).length === 1);
    writeFileSync(join(queue.directory, 'end'), '');
    await until('the job has ended', () => spans(queue).length === 2);
    // How it ended cannot be written down: its worker keeps it until it can.
    const [keeper = assert.fail()] = workersOf(supervisor);
    assert.equal((await queue.show('runs')).state, 'processing');

    disk.makeRoom();
    await until('all have ended', () => !isAlive(keeper) && !isAlive(supervisor));
    assert.equal(outcomes(await queue.show('runs')), 'exited 0');
    assert.equal(story(queue, 'runs'), 'S1 E1');
  },
);

/** Its children that live. */
function workersOf(supervisor: number): number[] {
  const children = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, 'utf8');
  return children
    .split(' ')
    .filter((pid) => pid !== '')
    .map(Number)
    .filter(isAlive);
}
