// Keeping house: prune, retention of all queues and of one, compressed logs.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { type Crew, crew } from '../fixtures/crew.ts';
import { box } from './box.ts';

/** As if these jobs had ended so long ago. */
function age(queue: Crew, minutes: number, where = '1'): void {
  const db = new DatabaseSync(join(queue.home, 'queue.db'), { timeout: 5000 });
  db.exec(`UPDATE job SET updated_at = updated_at - ${minutes * 60_000} WHERE ${where}`);
  db.close();
}

const ids = async (queue: Crew): Promise<string> =>
  (await queue.json<{ id: string }[]>(['list', '--sort', 'oldest'])).map(({ id }) => id).join(' ');

async function finishedJobs(t: Parameters<typeof crew>[0]): Promise<Crew> {
  const queue = crew(t);
  await queue.begin();
  await queue.enqueue('a', 'echo out');
  await queue.enqueue('b', 'echo out', { queue: 'video' });
  await queue.enqueue('dead', 'echo out; exit 1', { max_retries: 0 });
  await queue.allFinished(['a', 'b', 'dead']);
  await queue.ok(['worker', 'stop']);
  await queue.enqueue('waits', 'true');
  return queue;
}

test('prune: by the retention that is set, of all queues and of one', async (t) => {
  const queue = await finishedJobs(t);
  assert.equal(await queue.ok(['prune']), 'Deleted 0 jobs\n');
  age(queue, 60 * 24 * 6);
  await queue.ok(['config', 'set', 'retention', '5d', '--queue', 'video']);
  assert.equal(await queue.ok(['prune', '--dry-run']), 'Would delete 1 job\n');
  assert.deepEqual(await queue.json(['prune']), { deleted: 1 });
  assert.equal(await ids(queue), 'a dead waits');
  await queue.ok(['config', 'unset', 'retention', '--queue', 'video']);
  age(queue, 60 * 24 * 2);
  assert.deepEqual(await queue.json(['prune']), { deleted: 1 });
  assert.equal(await ids(queue), 'dead waits', 'dead jobs are kept by default');
  await queue.ok(['config', 'set', 'retention_dead', '1d']);
  assert.deepEqual(await queue.json(['prune']), { deleted: 1 });
  assert.deepEqual(readdirSync(join(queue.home, 'logs/jobs')), [], 'their logs went with them');
});

test('prune: by count, sparing what somebody may still wait for', async (t) => {
  const queue = await finishedJobs(t);
  await queue.ok(['config', 'set', 'retention_jobs', '0']);
  assert.deepEqual(await queue.json(['prune']), { deleted: 0 }, 'they ended seconds ago');
  age(queue, 2);
  assert.deepEqual(await queue.json(['prune']), { deleted: 2 });
  assert.equal(await ids(queue), 'dead waits');
});

test('prune: by an age given, after a question', async (t) => {
  const queue = await finishedJobs(t);
  assert.match(await queue.refused(['prune', '--older-than', '0s'], 2), /--yes/);
  assert.match(await queue.refused(['prune', '--queue', 'video'], 2), /need --older-than/);
  assert.deepEqual(await queue.json(['prune', '--older-than', '0s', '--queue', 'video', '--yes']), {
    deleted: 1,
  });
  assert.deepEqual(await queue.json(['prune', '--older-than', '1h', '--yes']), { deleted: 0 });
  assert.equal(await ids(queue), 'a dead waits');
});

test('settings of one queue: listed, got, refused where they make no sense', async (t) => {
  const cli = box(t);
  await cli.ok(['config', 'set', 'retention', '2d', '--queue', 'q@x']);
  await cli.ok(['config', 'set', 'retention', '30d']);
  assert.equal(await cli.ok(['config', 'get', 'retention', '--queue', 'q@x']), '2d\n');
  assert.equal(await cli.ok(['config', 'get', 'retention', '--queue', 'other']), '30d\n');
  assert.match(await cli.ok(['config', 'list']), /^retention of q@x +2d +7d/m);
  assert.equal(
    await cli.ok(['config', 'unset', 'retention', '--queue', 'q@x']),
    'retention of q@x = 30d (as for all queues)\n',
  );
  assert.match(
    await cli.refused(['config', 'set', 'lease', '5s', '--queue', 'q'], 2),
    /all queues/,
  );
  assert.match(await cli.refused(['config', 'set', 'retention', '5s'], 2), /from 1m/);
  assert.match(
    await cli.refused(['config', 'set', 'retention', '5d', '--queue', '-x'], 2),
    /name|--queue/,
  );
});
