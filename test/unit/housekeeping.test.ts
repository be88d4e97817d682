// Keeping house by the clock: what is over goes in small steps, once a minute, whatever
// refuses meanwhile; what waits, runs or has just ended stays (guarantee 3).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createWorld, enqueue, full, ObservedStore, type World } from '../fixtures/engine.ts';
import { keepHouse } from '../../src/worker/housekeeping.ts';
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
