// Guarantee 11 while house is kept: logs of ended attempts are compressed and read the same,
// at every position; those of jobs that are gone go; what is being written is left alone.

import assert from 'node:assert/strict';
import { readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { LogChunk } from '../../src/worker/log-reader.ts';
import { createLogStore, type LogOwners, type LogStore } from '../../src/worker/output.ts';
import { tempDirectory } from './command-support.ts';

const NOW = Date.UTC(2026, 10, 25);

function owners(parts: { existing?: number[]; running?: string[] } = {}): LogOwners {
  return {
    existing: () => Promise.resolve(new Set(parts.existing ?? [1, 2, 3])),
    running: () => Promise.resolve(new Set(parts.running ?? [])),
    now: () => NOW,
    pause: () => Promise.resolve(true),
  };
}

function write(logs: LogStore, key: number, attempt: number, bytes: number, cap = 1_000_000): void {
  const log = logs.writer(key, attempt, cap);
  for (let at = 0; at < bytes; at += 1000) {
    const stream = (at / 1000) % 3 === 0 ? 'stderr' : 'stdout';
    log.write(stream, Buffer.from(`${at} `.padEnd(Math.min(1000, bytes - at), '.')));
  }
  log.end();
}

/** What was read, whatever the pieces it came in. */
function plain(chunks: Iterable<LogChunk>): string {
  let text = '';
  let stream = '';
  for (const chunk of chunks) {
    const kind = chunk.kind === 'output' ? chunk.stream : chunk.kind;
    if (kind !== stream) text += `\n${kind}:`;
    stream = kind;
    if (chunk.kind === 'output') text += Buffer.from(chunk.bytes).toString();
    if (chunk.kind === 'cut') text += String(chunk.bytes);
  }
  return text;
}

for (const cap of [1_000_000, 200_000]) {
  test(`a compressed log reads as before, from every position, cap ${cap}`, async (t) => {
    const root = tempDirectory(t);
    const logs = createLogStore(root);
    write(logs, 1, 1, 300_000, cap);
    const before = [...logs.read(1, 1)];
    const size = logs.size(1, 1);
    await logs.tidy(owners(), true);
    const names = readdirSync(join(root, '0'));
    // All but a last piece of less than two blocks.
    const left = names.filter((name) => !name.endsWith('.zst'));
    assert.ok(left.length <= 1 && names.length > left.length, names.join());
    assert.ok(logs.size(1, 1) < size / 5, `${logs.size(1, 1)} of ${size} bytes`);
    assert.ok(plain(logs.read(1, 1)) === plain(before));
    // Who follows it has read half of it when it is compressed.
    for (const [index, { next }] of before.entries()) {
      const rest = plain(logs.read(1, 1, next));
      assert.ok(rest === plain(before.slice(index + 1)), `after chunk ${index}`);
    }
    for (const name of names) assert.equal(statSync(join(root, '0', name)).mode & 0o777, 0o600);
  });
}

test('small ones, running ones and strangers are left alone; orphans go', async (t) => {
  const root = tempDirectory(t);
  const logs = createLogStore(root);
  write(logs, 1, 1, 100);
  write(logs, 2, 1, 50_000);
  write(logs, 2, 2, 50_000);
  write(logs, 9, 1, 50_000);
  writeFileSync(join(root, '0', 'notes.txt'), 'mine'.repeat(5000));
  await logs.tidy(owners({ existing: [1, 2], running: ['2.2'] }), true);
  assert.deepEqual(readdirSync(join(root, '0')).toSorted(), [
    '1.1.log',
    '2.1.log.zst',
    '2.2.log',
    'notes.txt',
  ]);
  await logs.remove([1, 2]);
  assert.deepEqual(readdirSync(join(root, '0')), ['notes.txt']);
});

test('only what has changed is looked at again', async (t) => {
  const root = tempDirectory(t);
  const logs = createLogStore(root);
  write(logs, 1, 1, 50_000);
  write(logs, 1001, 1, 50_000);
  let asked = 0;
  const counting: LogOwners = {
    ...owners({ existing: [1, 1001] }),
    existing: () => {
      asked += 1;
      return Promise.resolve(new Set([1, 1001]));
    },
  };
  await logs.tidy(counting, false);
  assert.equal(asked, 2);
  const old = new Date(NOW - 1e9);
  utimesSync(join(root, '0'), old, old);
  await logs.tidy(counting, false);
  assert.equal(asked, 3, 'the newest may have changed in the same millisecond');
  await logs.tidy(counting, true);
  assert.equal(asked, 5);
});

test('a draft that somebody left when it died keeps nobody from it for ever', async (t) => {
  const root = tempDirectory(t);
  const logs = createLogStore(root);
  write(logs, 1, 1, 50_000);
  const draft = join(root, '0', '1.1.log.zst.new');
  writeFileSync(draft, '');
  utimesSync(draft, new Date(NOW - 1000), new Date(NOW - 1000));
  await logs.tidy(owners(), true);
  assert.deepEqual(readdirSync(join(root, '0')).toSorted(), ['1.1.log', '1.1.log.zst.new']);
  utimesSync(draft, new Date(NOW - 1e6), new Date(NOW - 1e6));
  await logs.tidy(owners(), true);
  await logs.tidy(owners(), true);
  assert.deepEqual(readdirSync(join(root, '0')), ['1.1.log.zst']);
});

test('one that both forms are there of, after a crash, reads once', async (t) => {
  const root = tempDirectory(t);
  const logs = createLogStore(root);
  write(logs, 1, 1, 50_000);
  const before = plain(logs.read(1, 1));
  const file = join(root, '0', '1.1.log');
  writeFileSync(`${file}.zst`, 'spoilt');
  assert.equal(plain(logs.read(1, 1)), before);
  await logs.tidy(owners(), true);
  assert.deepEqual(readdirSync(join(root, '0')), ['1.1.log.zst']);
  assert.equal(plain(logs.read(1, 1)), before);
});
