// Two connections to one database in one process, as a program with the library may have.
// POSIX drops all locks that a process has on a file as soon as it closes any descriptor of
// it, as each opening does that looks at the file's beginning. SQLite bears that since
// 3.51: before it deletes a WAL it also looks for those who lost their lock so.

import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { placeTest, plainJob } from './sqlite-place.ts';

placeTest('a second connection costs the first one no write', async (place) => {
  const first = await place.open();
  await first.enqueue([plainJob({ id: 'a' })]);
  await place.open();
  const wal = await stat(`${place.database}-wal`);

  // Who believes to be the last to close it deletes the WAL.
  const peer = await place.peer();
  await peer.open();
  await peer.end();
  assert.equal((await stat(`${place.database}-wal`)).ino, wal.ino);

  await first.enqueue([plainJob({ id: 'b' })]);
  const later = await place.peer();
  await later.open();
  assert.notEqual(await later.call('find', 'b'), null);
});
