// Fault 23: old and new version side by side. A newer queuectl migrates the database under
// workers of this one. They finish what they have, record it, take nothing more and end with
// a message; new workers go on.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Crew, crew, type JobShown, outcomes, until } from '../fixtures/crew.ts';
import { nextRelease } from './kit/next-release.ts';

const NEWER = /queue\.db was written by a newer queuectl \(schema \d+, this one knows \d+\)/;

interface Sides {
  readonly old: Crew;
  /** The same queue, by the newer executable. */
  readonly newer: {
    ok(...args: readonly string[]): Promise<string>;
    json<T>(...args: readonly string[]): Promise<T>;
  };
}

async function bothVersions(t: TestContext, migrations?: readonly string[]): Promise<Sides> {
  const old = crew(t);
  const executable = await nextRelease(t, migrations);
  const newer: Sides['newer'] = {
    ok: async (...args) => await old.ok(args, { executable }),
    json: async (...args) => await old.json(args, { executable }),
  };
  old.cleanup(async () => {
    await old.q(['worker', 'stop', '--now'], { executable });
  });
  return { old, newer };
}

/** A job that ends when the file `go` is there. */
async function holdingJob({ old }: Sides, id: string): Promise<void> {
  const command = 'until [ -e go ]; do sleep 0.05; done';
  await old.enqueue(id, command);
  await until('it runs', async () => (await old.show(id)).state === 'processing');
}

test('old workers finish and record what they have and stop; new ones go on', async (t) => {
  const sides = await bothVersions(t);
  const { old, newer } = sides;
  await old.begin('--count', '2');
  await holdingJob(sides, 'before');
  const idle = (await old.workers()).find(({ jobs }) => jobs.length === 0);
  assert.ok(idle !== undefined);

  await newer.ok('enqueue', '--id', 'after', '--', 'true');
  await until('the idle one ends', () => !old.processes().some(({ pid }) => pid === idle.pid));
  const left = await newer.json<unknown[]>('worker', 'list');
  assert.equal(left.length, 1, 'the other one has a job to finish, and nobody was started');
  for (const args of [['enqueue', '--', 'true'], ['status'], ['worker', 'start'], ['list']]) {
    const message = await old.refused(args, 6);
    assert.match(message, NEWER);
    assert.match(message, /\nhint: use the newer queuectl\n$/);
  }

  writeFileSync(join(old.directory, 'go'), '');
  await until('all of the old version have ended', () => old.processes().length === 0);
  const before = await newer.json<JobShown>('show', 'before');
  assert.equal(before.state, 'completed');
  assert.equal(outcomes(before), 'exited 0');
  assert.equal((await newer.json<JobShown>('show', 'after')).state, 'pending');
  assert.equal(old.log().match(new RegExp(NEWER, 'g'))?.length, 4, 'seen and told, twice each');
  assert.deepEqual(await newer.json('worker', 'list'), []);

  await newer.ok('worker', 'start');
  await newer.ok('wait', 'after');
  assert.equal(outcomes(await newer.json<JobShown>('show', 'after')), 'exited 0');
});

test('old workers whose statements do not work any more give up what they run', async (t) => {
  const sides = await bothVersions(t, ['ALTER TABLE attempt RENAME COLUMN lease_until TO lease']);
  const { old } = sides;
  // Renewed soon, and so soon refused.
  await old.ok(['config', 'set', 'lease', '1s']);
  await old.begin();
  await holdingJob(sides, 'before');
  await sides.newer.ok('config', 'list');
  await until('it has ended, with its job', () => old.processes().length === 0);
  assert.match(old.log(), NEWER);
  assert.doesNotMatch(old.log(), /starting another/);
});

test('a foreground supervisor of the old version ends with exit code 6', async (t) => {
  const { old, newer } = await bothVersions(t);
  const supervisor = old.start(['worker', 'start', '--foreground']);
  await until('its worker is ready', async () => (await old.workers()).length === 1);
  await newer.ok('status');
  await until('it ends', () => supervisor.exitCode !== null);
  assert.equal(supervisor.exitCode, 6);
});
