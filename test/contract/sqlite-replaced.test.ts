// Fault 16 in the store: the file that is open is not the one that stands there any more.
// Whoever polls the version is told, before it works on a queue that nobody can find.

import assert from 'node:assert/strict';
import { mkdir, rename, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { Place, placeTest } from './sqlite-place.ts';
import { refusal } from './values.ts';

placeTest('a database that is replaced by another one: replaced', async (place) => {
  const directory = join(place.directory, 'other');
  await mkdir(directory);
  const other = new Place(directory);
  await other.make([{ id: 'other' }]);
  const store = await place.open();
  assert.equal(typeof (await store.version()), 'number');
  await rename(other.database, place.database);
  await assert.rejects(store.version(), refusal('replaced', place.database));
});

placeTest('a database that is deleted: replaced', async (place) => {
  const store = await place.open();
  await rm(place.database);
  await assert.rejects(store.version(), refusal('replaced', place.database));
});

placeTest('a database that is emptied: damaged', async (place) => {
  const store = await place.open();
  await truncate(place.database, 0);
  await assert.rejects(store.version(), refusal('damaged', place.database));
});
