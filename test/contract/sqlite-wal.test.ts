// The WAL's disk space (src/store/sqlite/wal.ts): given back when nobody needs it, and who
// keeps it from that is told of.

import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { systemEnv } from '../../src/env.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import type { Store } from '../../src/store/store.ts';
import { type Place, placeTest, plainJob } from './sqlite-place.ts';

const LIMIT = 1024 * 1024;

async function tended(place: Place, body: (store: Store) => Promise<void>): Promise<void> {
  const { database, wakeFile } = place;
  const options = { env: systemEnv, patience: 0, database, wakeFile, walLimit: LIMIT };
  const store = await openSqliteStore(options);
  try {
    await body(store);
  } finally {
    await store.close();
  }
}

/** One transaction of some 2 MB. */
async function bulk(store: Store): Promise<void> {
  await store.enqueue(Array.from({ length: 10_000 }, () => plainJob()));
}

async function walSize(place: Place): Promise<number> {
  return (await stat(`${place.database}-wal`)).size;
}

placeTest('what a bulk insert has taken is given back', async (place) => {
  await tended(place, async (store) => {
    await store.enqueue([plainJob()]);
    const before = await walSize(place);
    assert.equal(await store.tend(), null);
    assert.equal(await walSize(place), before, 'a small one stays as it is');
    await bulk(store);
    assert.ok((await walSize(place)) > LIMIT);
    assert.equal(await store.tend(), null);
    assert.equal(await walSize(place), 0);
  });
});

placeTest('a reader that pins it is told of for as long as it does', async (place) => {
  await tended(place, async (store) => {
    const reader = place.handle();
    reader.exec('BEGIN; SELECT count(*) FROM job');
    await bulk(store);
    const pinned = /queue\.db-wal has grown to \d+ MiB and cannot shrink/;
    assert.match((await store.tend()) ?? '', pinned);
    await store.enqueue([plainJob()]);
    assert.match((await store.tend()) ?? '', pinned);
    reader.exec('COMMIT');
    assert.equal(await store.tend(), null);
    assert.equal(await walSize(place), 0);
  });
});

placeTest("one that reads what is newest is in nobody's way", async (place) => {
  await tended(place, async (store) => {
    await bulk(store);
    const reader = place.handle();
    reader.exec('BEGIN; SELECT count(*) FROM job');
    assert.equal(await store.tend(), null);
    await store.enqueue([plainJob()]);
    assert.equal(await store.tend(), null, 'little of it is needed');
    reader.exec('COMMIT');
    assert.equal(await store.tend(), null);
    assert.equal(await walSize(place), 0);
  });
});
