// Keeping house by the clock: what is over goes in small steps, once a minute, whatever
// refuses meanwhile; what waits, runs or has just ended stays (guarantee 3).

import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import {
  createWorld,
  deadProcess,
  enqueue,
  full,
  historyOf,
  ObservedStore,
  type World,
} from '../fixtures/engine.ts';
import { forgetWorkers, keepHouse } from '../../src/worker/housekeeping.ts';
import type { LogOwners, LogStore } from '../../src/worker/output.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;

interface House {
  readonly observed: ObservedStore;
  readonly removed: number[];
  readonly tidied: boolean[];
  readonly said: string[];
}

/** Somebody who keeps house until the test is over. */
function keeper(world: World): House {
  const { client, env } = world;
  const observed = new ObservedStore(client);
  const house: House = { observed, removed: [], tidied: [], said: [] };
  const logs = {
    remove: (keys: readonly number[]) => {
      house.removed.push(...keys);
      return Promise.resolve();
    },
    tidy: (_owners: LogOwners, all: boolean) => {
      house.tidied.push(all);
      return Promise.resolve();
    },
  } as Partial<LogStore> as LogStore;
  const closing = new AbortController();
  const log = (line: string): void => void house.said.push(line);
  const kept = keepHouse({ store: observed.store, env, logs, log }, closing.signal);
  world.atEnd(async () => {
    closing.abort();
    await kept;
  });
  return house;
}

/** Steps the clock until so many rounds are over. */
async function untilTidied(world: World, { tidied }: House, rounds: number): Promise<void> {
  for (let step = 0; tidied.length < rounds; step += 1) {
    assert.ok(step < 1000, `${tidied.length} rounds`);
    await world.env.advance(1000);
  }
}

/** What the first column says. */
function query({ database }: World, sql: string): unknown[] {
  const db = new DatabaseSync(database, { readOnly: true });
  try {
    return db
      .prepare(sql)
      .all()
      .map((row) => Object.values(row)[0]);
  } finally {
    db.close();
  }
}

async function ids({ client }: World): Promise<number> {
  const { counts } = await client.stats();
  return counts.reduce((sum, { n }) => sum + n, 0);
}

test('what the retention is over for goes in steps, with its logs; the rest stays', async (t) => {
  const world = await createWorld(t);
  const old = await enqueue(
    world,
    Array.from({ length: 250 }, () => ({})),
  );
  await world.client.cancel(old);
  world.env.freeze(7 * DAY);
  const [young = ''] = await enqueue(world, [{}]);
  await world.client.cancel([young]);
  await enqueue(world, [{}]);
  const house = keeper(world);
  await world.env.advance(2 * MINUTE);
  assert.equal(await ids(world), 2);
  assert.equal(house.removed.length, 250);
  assert.deepEqual(house.said, ['deleted 250 jobs whose retention is over']);
  assert.equal(house.observed.count('deleteFound'), 5, 'fifty at a time');
});

test('who finds somebody else at it leaves the rest to them, until the next round', async (t) => {
  const world = await createWorld(t);
  const old = await enqueue(
    world,
    Array.from({ length: 120 }, () => ({})),
  );
  await world.client.cancel(old);
  world.env.freeze(8 * DAY);
  const house = keeper(world);
  // The other one deletes a job that has been found already.
  house.observed.before.set('deleteFound', async () => {
    house.observed.before.delete('deleteFound');
    await world.client.delete(old.slice(0, 1));
  });
  await untilTidied(world, house, 1);
  assert.equal(house.removed.length, 49, 'the step that met the other one');
  await untilTidied(world, house, 2);
  assert.equal(await ids(world), 0);
});

test('workers that no attempt names are forgotten a day after their end', async (t) => {
  const world = await createWorld(t);
  const { client } = world;
  const register = { identity: deadProcess(), queues: null, concurrency: 1 };
  const supervisor = await client.registerSupervisor({ identity: deadProcess(), count: 2 });
  const { key: ran } = await client.registerWorker({ ...register, supervisor });
  const { key: idle } = await client.registerWorker({ ...register, supervisor });
  const { key: lives } = await client.registerWorker({ ...register, supervisor: null });
  const [kept = ''] = await enqueue(world, [{ maxRetries: 0 }]);
  const turn = { worker: ran, backoff: { base: 2, max: 1000 }, lease: 1000 };
  const { claimed } = await client.turn({ ...turn, ended: [], slots: 1 });
  const outcome = { kind: 'exited', code: 1 } as const;
  const ended = claimed.map((attempt) => ({ attempt, outcome, logBytes: 0, random: 0 }));
  await client.turn({ ...turn, ended, slots: 0 });
  for (const key of [ran, idle]) await client.endWorker(key, 'stopped');
  await client.endSupervisor(supervisor, 'stopped');

  world.env.freeze(DAY - MINUTE);
  const { signal } = new AbortController();
  assert.equal(await forgetWorkers({ store: client, env: world.env }, signal), 0);
  world.env.freeze(2 * MINUTE);
  keeper(world);
  await world.env.advance(2 * MINUTE);
  const left = query(world, 'SELECT key FROM worker ORDER BY key');
  assert.deepEqual(left, [ran, lives], 'dead jobs are kept, and who ran them');
  assert.equal((await historyOf(world, kept)).length, 1);
  assert.deepEqual(query(world, 'SELECT key FROM supervisor'), [supervisor]);

  await client.delete([kept]);
  const forgetting = forgetWorkers({ store: client, env: world.env }, signal);
  await world.env.advance(MINUTE);
  assert.equal(await forgetting, 1);
  assert.deepEqual(query(world, 'SELECT key FROM worker'), [lives]);
  assert.deepEqual(query(world, 'SELECT key FROM supervisor'), []);
});

test('it looks about once a minute, at everything in the first round and once an hour', async (t) => {
  const world = await createWorld(t);
  const house = keeper(world);
  await world.env.advance(100 * MINUTE);
  const rounds = house.tidied.length;
  assert.ok(rounds >= 75 && rounds <= 135, `${rounds} rounds in 100 minutes`);
  assert.deepEqual(
    house.tidied.flatMap((all, round) => (all ? [round] : [])),
    Array.from({ length: Math.ceil(rounds / 60) }, (_, hour) => hour * 60),
  );
});

test('what refuses is tried again in the next round', async (t) => {
  const world = await createWorld(t);
  await world.client.cancel(await enqueue(world, [{}]));
  world.env.freeze(8 * DAY);
  const house = keeper(world);
  house.observed.failOnce('settings', full());
  await world.env.advance(5 * MINUTE);
  assert.match(house.said[0] ?? '', /^could not keep house: /);
  assert.equal(await ids(world), 0);
});
