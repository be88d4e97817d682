// What stands in the database's place and is not ours, or is ours no more (guarantee 12):
// refused by name, and left exactly as it is.

import assert from 'node:assert/strict';
import {
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { systemEnv } from '../../src/env.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { openIn } from './sqlite.ts';
import { isRoot, type Place, placeTest, plainJob, STRANGER } from './sqlite-place.ts';
import { names, refusal } from './values.ts';

const PAGE = 4096;
const JOBS = names('j', 200).map((id) => ({ id }));

/** Opening, or the first use of everything, is refused, and the file is not changed. */
async function assertRefused(place: Place, code: ErrorCode, before?: Buffer): Promise<void> {
  const bytes = before ?? (await readFile(place.database));
  await assert.rejects(useAll(place), refusal(code, place.database));
  assert.ok(bytes.equals(await readFile(place.database)), 'the file is as it was');
  const files = (await readdir(place.directory)).filter((name) => name.endsWith('.new'));
  assert.deepEqual(files, []);
}

async function useAll(place: Place): Promise<void> {
  const store = await place.open();
  try {
    for (const { id } of JOBS) await store.find(id);
    await store.enqueue([plainJob()]);
  } finally {
    await store.close();
  }
}

placeTest('an empty file: damaged', async (place) => {
  await writeFile(place.database, '');
  await assertRefused(place, 'damaged');
});

const FOREIGN: [string, string | Buffer][] = [
  ['a text', 'id,name\n1,queuectl\n'.repeat(1000)],
  ['a file of one byte', 'S'],
  ['a file of zeros', Buffer.alloc(5 * PAGE)],
];
for (const [what, content] of FOREIGN) {
  placeTest(`${what}: foreign`, async (place) => {
    await writeFile(place.database, content);
    await assertRefused(place, 'foreign');
  });
}

for (const mode of ['DELETE', 'WAL']) {
  placeTest(`a SQLite database of somebody else, in ${mode} mode: foreign`, async (place) => {
    const handle = place.handle();
    handle.exec(`PRAGMA journal_mode = ${mode}; CREATE TABLE job (x); INSERT INTO job VALUES (1)`);
    handle.close();
    await assertRefused(place, 'foreign');
    assert.deepEqual(place.rows('PRAGMA journal_mode').map(Object.values), [[mode.toLowerCase()]]);
  });
}

placeTest('a directory: foreign', async (place) => {
  await mkdir(place.database);
  await assert.rejects(place.open(), refusal('foreign', place.database));
  assert.deepEqual(await readdir(place.database), []);
});

placeTest('a link to a database: foreign', async (place) => {
  await place.make();
  const link = join(place.directory, 'link.db');
  await symlink(place.database, link);
  const options = { env: systemEnv, patience: 0, database: link, wakeFile: place.wakeFile };
  await assert.rejects(openSqliteStore(options), refusal('foreign', link));
});

placeTest('a link to nowhere: foreign, and nothing is made there', async (place) => {
  const target = join(place.directory, 'target.db');
  await symlink(target, place.database);
  await assert.rejects(place.open(), refusal('foreign', place.database));
  await assert.rejects(stat(target), { code: 'ENOENT' });
});

placeTest('a newer schema: refused as such', async (place) => {
  await place.make();
  const handle = place.handle();
  handle.exec('PRAGMA user_version = 99');
  handle.close();
  await assertRefused(place, 'newer_schema');
});

placeTest('a directory that is not there: unavailable', async (place) => {
  const options = { env: systemEnv, patience: 0 };
  const nowhere = openIn(join(place.directory, 'nowhere'), options);
  await assert.rejects(nowhere, refusal('unavailable', 'nowhere'));
});

placeTest('a wake file that cannot be made: unavailable', async (place) => {
  const wakeFile = join(place.directory, 'nowhere', 'wake');
  const options = { env: systemEnv, patience: 0, database: place.database, wakeFile };
  await assert.rejects(openSqliteStore(options), refusal('unavailable', wakeFile));
});

/** Writes over part of the file. */
async function overwrite(path: string, at: number, bytes: Buffer): Promise<void> {
  const content = await readFile(path);
  bytes.copy(content, at);
  await writeFile(path, content);
}

const DAMAGE: [string, ErrorCode, (path: string, pages: number) => Promise<void>][] = [
  ['cut in half', 'damaged', (path, pages) => truncate(path, Math.floor(pages / 2) * PAGE)],
  ['cut in the middle of a page', 'damaged', (path, pages) => truncate(path, pages * PAGE - 1000)],
  ['cut to its first page', 'damaged', (path) => truncate(path, PAGE)],
  ['cut to 100 bytes', 'damaged', (path) => truncate(path, 100)],
  ['without its header', 'foreign', (path) => overwrite(path, 0, Buffer.alloc(100))],
  ['with a page size of nonsense', 'damaged', (path) => overwrite(path, 16, Buffer.from([1, 1]))],
  [
    'with every page but the first zeroed',
    'damaged',
    (path, pages) => overwrite(path, PAGE, Buffer.alloc((pages - 1) * PAGE)),
  ],
  [
    'with noise in every page but the first',
    'damaged',
    (path, pages) => overwrite(path, PAGE, Buffer.alloc((pages - 1) * PAGE, 0xa5)),
  ],
];
for (const [what, code, harm] of DAMAGE) {
  placeTest(`a database ${what}: ${code}, and left as it is`, async (place) => {
    await place.make(JOBS);
    const { size } = await stat(place.database);
    await harm(place.database, size / PAGE);
    await assertRefused(place, code);
  });
}

placeTest('noise in place of the WAL: what is in the file itself is served', async (place) => {
  await place.make(JOBS);
  await writeFile(`${place.database}-wal`, Buffer.alloc(100_000, 0x5a));
  await useAll(place);
});

placeTest(
  'a database of somebody else: foreign_owner',
  async (place) => {
    await place.make();
    await chown(place.database, STRANGER, STRANGER);
    await assertRefused(place, 'foreign_owner');
  },
  { skip: isRoot ? false : 'needs root, to give a file away' },
);

/** Opens as a user to whom modes matter: root passes them all. */
async function refusedPeer(place: Place): Promise<void> {
  const peer = await place.peer();
  const use = async (): Promise<void> => {
    await peer.open(isRoot ? { uid: STRANGER } : {});
    await peer.call('enqueue', [plainJob()]);
  };
  await assert.rejects(use(), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'read_only', error.message);
    assert.ok(error.message.includes(place.directory), error.message);
    return true;
  });
  await peer.end();
}

/** A database that belongs to who will open it. */
async function giveAway(place: Place): Promise<void> {
  if (!isRoot) return;
  await chown(place.directory, STRANGER, STRANGER);
  for (const name of await readdir(place.directory)) {
    await chown(join(place.directory, name), STRANGER, STRANGER);
  }
}

placeTest(
  'a directory that cannot be written, with no database in it: read_only',
  async (place) => {
    await giveAway(place);
    await chmod(place.directory, 0o500);
    await refusedPeer(place);
    await chmod(place.directory, 0o700);
    assert.deepEqual(await readdir(place.directory), []);
  },
);

for (const wake of ['with', 'without']) {
  placeTest(`a database in such a directory, ${wake} its wake file: read_only`, async (place) => {
    await place.make(JOBS);
    if (wake === 'without') await rm(place.wakeFile);
    await giveAway(place);
    const before = await readFile(place.database);
    await chmod(place.directory, 0o500);
    await refusedPeer(place);
    await chmod(place.directory, 0o700);
    assert.ok(before.equals(await readFile(place.database)));
  });
}

for (const mode of [0o400, 0o000]) {
  placeTest(`a database of mode ${mode.toString(8)}: read_only`, async (place) => {
    await place.make(JOBS);
    await giveAway(place);
    const before = await readFile(place.database);
    await chmod(place.database, mode);
    await refusedPeer(place);
    await chmod(place.database, 0o600);
    assert.ok(before.equals(await readFile(place.database)));
  });
}
