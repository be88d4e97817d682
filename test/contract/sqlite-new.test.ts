// How a database comes into being (guarantees 1 and 12).

import assert from 'node:assert/strict';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { systemEnv } from '../../src/env.ts';
import { Connection, isSafeVersion } from '../../src/store/sqlite/connection.ts';
import { migrate } from '../../src/store/sqlite/migrate.ts';
import { APPLICATION_ID, SCHEMA_VERSION } from '../../src/store/sqlite/schema.ts';
import { intercepting, placeTest, plainJob, type Place } from './sqlite-place.ts';
import { names, one, refusal } from './values.ts';

placeTest('20 first opens at once in 20 processes: all work, on one database', async (place) => {
  const peers = await Promise.all(Array.from({ length: 20 }, () => place.peer()));
  const opened = await Promise.all(peers.map((peer) => peer.open()));
  assert.equal(new Set(opened).size, 1);
  const jobs = peers.map((peer, index) => peer.call('enqueue', [plainJob({ id: `j${index}` })]));
  await Promise.all(jobs);
  const ids = place.rows('SELECT id FROM job').map(({ id }) => String(id));
  assert.deepEqual(ids.toSorted(), names('j', 20).toSorted());
  const drafts = (await place.files()).filter((name) => name.endsWith('.new'));
  assert.deepEqual(drafts, []);
});

placeTest('a new database is WAL with synchronous=FULL, read back', async (place) => {
  const connection = await Connection.open(place.database, { env: systemEnv, patience: 0 });
  assert.deepEqual({ ...connection.get('PRAGMA journal_mode') }, { journal_mode: 'wal' });
  assert.deepEqual({ ...connection.get('PRAGMA synchronous') }, { synchronous: 2 });
  // On macOS an fsync alone does not reach the disk.
  assert.deepEqual({ ...connection.get('PRAGMA fullfsync') }, { fullfsync: 1 });
  connection.close();
  assert.deepEqual(place.rows('PRAGMA application_id').map(Object.values), [[APPLICATION_ID]]);
  assert.deepEqual(place.rows('PRAGMA user_version').map(Object.values), [[SCHEMA_VERSION]]);
});

placeTest('a database that somebody took out of WAL is put back into it', async (place) => {
  await place.make();
  const handle = place.handle();
  handle.exec('PRAGMA journal_mode = DELETE');
  handle.close();
  await place.open();
  assert.deepEqual(place.rows('PRAGMA journal_mode').map(Object.values), [['wal']]);
});

const LIES: [string, string, unknown, 'unavailable' | 'unsafe_sqlite'][] = [
  ['cannot do WAL', 'PRAGMA journal_mode', 'delete', 'unavailable'],
  ['does not sync', 'PRAGMA synchronous', 1, 'unavailable'],
  ['is of a version that corrupts', 'SELECT sqlite_version()', '3.51.2', 'unsafe_sqlite'],
];
for (const [what, sql, value, code] of LIES) {
  placeTest(`a SQLite that ${what} is refused`, async (place) => {
    await place.make();
    const lie = (statement: StatementSync, asked: string): void => {
      if (asked === sql) statement.get = () => ({ value }) as never;
    };
    await intercepting(lie, () => assert.rejects(place.open(), refusal(code)));
    await place.open();
  });
}

placeTest('the oldest safe SQLite is 3.51.3', async () => {
  const versions = ['3.51.3', '3.51.10', '3.52.0', '4.0.0', '3.51.2', '3.9.9', '3.50.9', '2.99.99'];
  const safe = await Promise.resolve(versions.filter(isSafeVersion));
  assert.deepEqual(safe, ['3.51.3', '3.51.10', '3.52.0', '4.0.0']);
});

placeTest('all its files are 0600, whatever the umask', async (place) => {
  const umask = process.umask(0);
  try {
    const store = await place.open();
    await store.enqueue([plainJob()]);
  } finally {
    process.umask(umask);
  }
  for (const name of ['queue.db', 'queue.db-wal', 'queue.db-shm', 'wake']) {
    const { mode } = await stat(join(place.directory, name));
    assert.equal((mode & 0o777).toString(8), '600', name);
  }
});

/** A database that is ours and has no schema yet, as an older version would have left it. */
function makeOlder(place: Place): DatabaseSync {
  const handle = place.handle();
  handle.exec(`PRAGMA journal_mode = WAL; PRAGMA application_id = ${APPLICATION_ID}`);
  return handle;
}

placeTest('an older schema is brought up to date, and what is in it stays', async (place) => {
  const handle = makeOlder(place);
  handle.exec('CREATE TABLE mine (x); INSERT INTO mine VALUES (42)');
  handle.close();
  const store = await place.open();
  await store.enqueue([plainJob()]);
  assert.deepEqual(place.rows('PRAGMA user_version').map(Object.values), [[SCHEMA_VERSION]]);
  assert.equal(one(place.rows('SELECT x FROM mine'))['x'], 42);
});

placeTest('a migration that fails half way leaves nothing of itself', async (place) => {
  const handle = makeOlder(place);
  // In the way of a table that the migration makes late.
  handle.exec('CREATE TABLE throughput (x)');
  handle.close();
  const before = place.rows('SELECT * FROM sqlite_schema').map((row) => ({ ...row }));
  await assert.rejects(place.open());
  const after = place.rows('SELECT * FROM sqlite_schema').map((row) => ({ ...row }));
  assert.deepEqual(after, before);
  assert.deepEqual(place.rows('PRAGMA user_version').map(Object.values), [[0]]);

  const repaired = place.handle();
  repaired.exec('DROP TABLE throughput');
  repaired.close();
  await (await place.open()).enqueue([plainJob()]);
});

placeTest('20 processes migrate an older schema once', async (place) => {
  makeOlder(place).close();
  const peers = await Promise.all(Array.from({ length: 20 }, () => place.peer()));
  const opened = await Promise.all(peers.map((peer) => peer.open()));
  assert.equal(new Set(opened).size, 1);
});

placeTest('a schema that was migrated further meanwhile is not put back', async (place) => {
  await place.make();
  const handle = place.handle();
  handle.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
  // As if another process had done it between our look and our lock.
  assert.throws(() => migrate(handle, place.database), refusal('newer_schema'));
  handle.close();
  assert.deepEqual(place.rows('PRAGMA user_version').map(Object.values), [[SCHEMA_VERSION + 1]]);
});

placeTest('a database that is gone but for its WAL is not made anew over it', async (place) => {
  const peer = await place.peer();
  await peer.open();
  await peer.call('enqueue', [plainJob({ id: 'acknowledged' })]);
  await peer.kill();
  await rm(place.database);
  const wal = await readFile(`${place.database}-wal`);
  assert.ok(wal.length > 0);
  await assert.rejects(place.open(), refusal('damaged', 'queue.db'));
  assert.deepEqual(await readFile(`${place.database}-wal`), wal, 'it is as it was');
  await assert.rejects(stat(place.database), { code: 'ENOENT' });
});

placeTest('a draft that a killed process left is in nobody’s way', async (place) => {
  await writeFile(`${place.database}.0011223344556677.new`, 'half a database');
  await (await place.open()).enqueue([plainJob()]);
});
