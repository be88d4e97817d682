// A newer queuectl migrates the database while this one has it open (guarantee 12): what is
// begun is refused, what was begun is finished.

import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import type { Store } from '../../src/store/store.ts';
import { SCHEMA_VERSION } from '../../src/store/sqlite/schema.ts';
import { type Place, placeTest, plainJob } from './sqlite-place.ts';
import { BACKOFF, identity, LEASE, one, query, refusal, SUCCESS } from './values.ts';

function migrateOn(place: Place, sql = ''): void {
  const handle = new DatabaseSync(place.database);
  handle.exec(`BEGIN IMMEDIATE; ${sql}; PRAGMA user_version = ${SCHEMA_VERSION + 1}; COMMIT`);
  handle.close();
}

async function worker(store: Store): Promise<number> {
  const asked = { identity: identity(), supervisor: null, queues: null, concurrency: 2 };
  return (await store.registerWorker(asked)).key;
}

const turn = { ended: [], backoff: BACKOFF, slots: 1, lease: LEASE };

placeTest('what was begun is finished, and nothing more is claimed', async (place) => {
  const store = await place.open();
  const [key, other] = [await worker(store), await worker(store)];
  await store.enqueue(['a', 'b', 'c'].map((id) => plainJob({ id })));
  const a = one((await store.turn({ ...turn, worker: key })).claimed);
  const b = one((await store.turn({ ...turn, worker: other })).claimed);
  assert.equal((await store.attend(key)).outdated, null);

  migrateOn(place);
  assert.ok(refusal('newer_schema', place.database)((await store.attend(key)).outdated));
  assert.deepEqual(await store.renew({ worker: key, attempts: [a], lease: LEASE }), { lost: [] });
  const ended = [{ attempt: a, outcome: SUCCESS, logBytes: 0, random: 0 }];
  const { recorded, claimed } = await store.turn({ ...turn, worker: key, ended });
  assert.deepEqual([one(recorded).stale, claimed], [false, []]);
  const { leaseUntil } = one(await store.running());
  const lost = { attempt: b, leaseUntil, reason: 'died', backoff: BACKOFF, random: 0 };
  assert.equal((await store.reap(lost)).stale, false);
  await store.endWorker(key, 'stopped');
  const states = (await store.list(query())).jobs.map(({ id, state }) => `${id} ${state}`);
  assert.deepEqual(states.toSorted(), ['a completed', 'b failed', 'c pending']);
});

placeTest('nothing is begun', async (place) => {
  const store = await place.open();
  await store.enqueue([plainJob({ id: 'a' })]);
  migrateOn(place);
  const stop = { workers: null, supervisors: null, mode: 'now', stopBy: null } as const;
  const begun: (() => Promise<unknown>)[] = [
    () => store.enqueue([plainJob()]),
    () => store.cancel(['a']),
    () => store.retry(['a']),
    () => worker(store),
    () => store.registerSupervisor({ identity: identity(), count: 1 }),
    () => store.requestStop(stop),
    () => store.setSetting('lease', '2s'),
  ];
  for (const call of begun) await assert.rejects(call(), refusal('newer_schema'), String(call));
  assert.equal(one((await store.list(query())).jobs).state, 'pending');
});

placeTest('a statement that does not fit any more says why', async (place) => {
  const store = await place.open();
  const key = await worker(store);
  migrateOn(place, 'ALTER TABLE job RENAME COLUMN command TO line');
  await assert.rejects(store.find('a'), refusal('newer_schema', 'newer queuectl'));
  await assert.rejects(store.enqueue([plainJob()]), refusal('newer_schema'));
  assert.notEqual((await store.attend(key)).outdated, null);
});
