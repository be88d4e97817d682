// Fault 14: the database is emptied, truncated, zeroed, or bits are flipped in pages that
// SQLite checks. Exit code 6 for every command and for running workers, and not one byte
// of what is left is changed: neither of the file nor of its WAL.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Crew, crew, killHard, until } from '../fixtures/crew.ts';

const PAGE = 4096;

/** Rewritten in place, as a disk would have done it: it stays the same file. */
function rewrite(file: string, harm: (content: Buffer) => void): void {
  const content = readFileSync(file);
  harm(content);
  writeFileSync(file, content, { flag: 'r+' });
}

const HARMS: [string, (file: string) => void][] = [
  ['emptied', (file) => truncateSync(file, 0)],
  ['cut in half', (file) => truncateSync(file, (readFileSync(file).length / PAGE / 2) * PAGE)],
  ['zeroed', (file) => rewrite(file, (content) => content.fill(0))],
  ['zeroed but for its first page', (file) => rewrite(file, (content) => content.fill(0, PAGE))],
  [
    'hit by a flipped bit in the head of each page',
    (file) =>
      rewrite(file, (content) => {
        for (let at = PAGE; at < content.length; at += PAGE)
          content[at] = (content[at] ?? 0) ^ 0x40;
      }),
  ],
];

const DAMAGED = /queue\.db (is empty|is damaged|is not a SQLite database)/;

async function filled(queue: Crew): Promise<string> {
  const jobs = Array.from({ length: 300 }, () => '{"command":"true","delay":"1h"}');
  await queue.ok(['enqueue', '-'], { input: jobs.join('\n') });
  return join(queue.home, 'queue.db');
}

/** The database and its WAL, as they are now. */
function bytes(file: string): Buffer[] {
  return [file, `${file}-wal`].map((path) =>
    existsSync(path) ? readFileSync(path) : Buffer.from('none'),
  );
}

for (const [what, harm] of HARMS) {
  test(`a database that was ${what}: 6 and as it was, whatever is called`, async (t) => {
    const queue = crew(t);
    const file = await filled(queue);
    // Killed, so that a WAL is left: whoever closes the database would play it in.
    await queue.begin();
    await killHard(...queue.processes().map(({ pid }) => pid));
    harm(file);
    const before = bytes(file);
    assert.ok((before[1]?.length ?? 0) > PAGE, 'there is a WAL');
    const calls = [
      ['enqueue', '--', 'true'],
      ['list', '--limit', '1000'],
      ['worker', 'start'],
    ];
    for (const args of [...calls, ['worker', 'start', '--foreground']]) {
      assert.match(await queue.refused(args, 6), DAMAGED);
      for (const [i, now] of bytes(file).entries()) {
        assert.ok(
          before[i]?.equals(now),
          `${args.join(' ')} changed ${i === 0 ? file : 'its WAL'}`,
        );
      }
    }
    assert.deepEqual(queue.processes(), []);
  });

  test(`a database that is ${what} under its workers: all end, and say why`, async (t) => {
    const queue = crew(t);
    const file = await filled(queue);
    const supervisor = queue.start(['worker', 'start', '--foreground', '--count', '2']);
    let log = '';
    supervisor.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
    await until('both are ready', async () => (await queue.workers()).length === 2);
    await queue.enqueue('a', 'until [ -e go ]; do sleep 0.05; done');
    await until('it runs', async () => (await queue.show('a')).state === 'processing');
    harm(file);
    const before = readFileSync(file);
    // What it ends with cannot be recorded; before that nobody may have to read the file.
    writeFileSync(join(queue.directory, 'go'), '');
    if (supervisor.exitCode === null) await once(supervisor, 'exit');
    assert.equal(supervisor.exitCode, 6);
    assert.match(log, new RegExp(`ended: .*${DAMAGED.source}`));
    await until('nothing is left', () => queue.processes().length === 0);
    assert.ok(readFileSync(file).equals(before), 'the file is as it was');
  });
}

test('noise in place of the WAL: what is in the file itself is served', async (t) => {
  const queue = crew(t);
  const file = await filled(queue);
  writeFileSync(`${file}-wal`, Buffer.alloc(20 * PAGE, 0x5a));
  assert.equal((await queue.json<unknown[]>(['list', '--limit', '1000'])).length, 300);
});

test('a database that is emptied under an idle worker: it ends, too', async (t) => {
  const queue = crew(t);
  const file = await filled(queue);
  await queue.begin();
  truncateSync(file, 0);
  await until('nothing is left', () => queue.processes().length === 0);
  assert.match(queue.log(), /ended: .*queue\.db is empty: its content was lost/);
});

for (const [what, content] of [
  ['an empty file', ''],
  ["somebody else's file", 'id,name\n1,a\n'.repeat(500)],
] as const) {
  test(`${what} in the database's place: 6, and nothing is made beside it`, async (t) => {
    const queue = crew(t);
    mkdirSync(queue.home, { mode: 0o700 });
    const file = join(queue.home, 'queue.db');
    writeFileSync(file, content);
    for (const args of [['enqueue', '--', 'true'], ['status'], ['worker', 'start']]) {
      await queue.refused(args, 6);
      assert.deepEqual(readdirSync(queue.home), ['queue.db']);
    }
    assert.equal(readFileSync(file, 'utf8'), content);
  });
}
