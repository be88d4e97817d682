// Guarantee 11: output is kept byte for byte up to the cap, then head and tail with a
// mark; reading works at any moment and after a crash at any byte; no disk fails a job.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StreamName } from '../../src/platform/starter.ts';
import type { LogChunk, LogPosition } from '../../src/worker/log-reader.ts';
import { createLogStore, type LogStore } from '../../src/worker/output.ts';
import { harness, linuxOnly, tempDirectory, textOf } from './command-support.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

interface Read {
  readonly all: Buffer;
  readonly stdout: Buffer;
  /** Sizes and marks in order: `o5`, `e3`, `cut 100`, `broken 7`, `broken ?`. */
  readonly shape: string[];
  readonly last: LogPosition | undefined;
}

function readAll(logs: LogStore, key: number, from?: LogPosition): Read {
  const chunks: LogChunk[] = [...logs.read(key, 1, from)];
  const bytes = (stream?: StreamName): Buffer =>
    Buffer.concat(
      chunks.flatMap((chunk) =>
        chunk.kind === 'output' && (stream ?? chunk.stream) === chunk.stream ? [chunk.bytes] : [],
      ),
    );
  const shape = chunks.map((chunk) => {
    if (chunk.kind === 'output')
      return `${chunk.stream === 'stderr' ? 'e' : 'o'}${chunk.bytes.length}`;
    return `${chunk.kind} ${chunk.bytes ?? '?'}`;
  });
  return { all: bytes(), stdout: bytes('stdout'), shape, last: chunks.at(-1)?.next };
}

/** Bytes whose value tells their place. */
function pattern(length: number, start = 0): Buffer {
  const bytes = Buffer.alloc(length);
  for (let index = 0; index < length; index += 1)
    bytes[index] = ((start + index) * 7 + ((start + index) >> 8)) & 0xff;
  return bytes;
}

test('streams stay apart and in order, any byte survives', (t) => {
  const logs = createLogStore(tempDirectory(t));
  const writer = logs.writer(1, 1, MIB);
  const noise = randomBytes(100_000);
  writer.write('stdout', Buffer.from('a\nb'));
  writer.write('stderr', Buffer.from([0, 0xff, 0xfe, 0x1b]));
  writer.write('stdout', Buffer.alloc(0));
  writer.write('stdout', noise);
  assert.equal(writer.end(), 7 + noise.length);
  assert.equal(writer.end(), 7 + noise.length);
  const { all, stdout, shape } = readAll(logs, 1);
  assert.deepEqual(shape.slice(0, 3), ['o3', 'e4', `o${64 * KIB - 19}`]);
  assert.deepEqual(
    all,
    Buffer.concat([Buffer.from('a\nb'), Buffer.from([0, 0xff, 0xfe, 0x1b]), noise]),
  );
  assert.deepEqual(stdout, Buffer.concat([Buffer.from('a\nb'), noise]));
});

test('many small pieces read as they were written', (t) => {
  const logs = createLogStore(tempDirectory(t));
  const writer = logs.writer(1, 1, MIB);
  // With its header one of 9 takes 13, and 64 KiB end in the middle of a header.
  for (let at = 0; at < 90_000; at += 9) {
    writer.write(at % 2 === 0 ? 'stdout' : 'stderr', pattern(9, at));
  }
  writer.end();
  assert.deepEqual(readAll(logs, 1).all, pattern(90_000));
});

test('no output, no file', async (t) => {
  const directory = tempDirectory(t);
  const logs = createLogStore(join(directory, 'logs'));
  assert.equal(logs.writer(1, 1, MIB).end(), 0);
  assert.deepEqual(readAll(logs, 1).shape, []);
  assert.equal(logs.size(1, 1), 0);
  await logs.remove([1]);
  assert.ok(!existsSync(join(directory, 'logs')));
});

for (const piece of [1, 100, 1000, 50_000]) {
  test(`over the cap, head and tail are kept and the cut is told: pieces of ${piece}`, (t) => {
    const directory = tempDirectory(t);
    const logs = createLogStore(directory);
    const cap = 4 * KIB;
    const total = 50_000;
    const writer = logs.writer(1, 1, cap);
    for (let at = 0; at < total; at += piece) {
      writer.write(at % 3 === 0 ? 'stdout' : 'stderr', pattern(Math.min(piece, total - at), at));
      assert.ok(logs.size(1, 1) <= cap);
    }
    assert.equal(writer.end(), total);
    const { all, shape } = readAll(logs, 1);
    const cut = Number(shape.find((mark) => mark.startsWith('cut'))?.slice(4));
    assert.equal(all.length + cut, total);
    assert.equal(shape.filter((mark) => mark.startsWith('cut')).length, 1);
    const head = all.findIndex((_, index) => all[index] !== pattern(1, index)[0]);
    assert.deepEqual(all.subarray(0, head), pattern(head));
    assert.deepEqual(all.subarray(head), pattern(all.length - head, head + cut));
    // Frames of one byte are four fifths header.
    const most = piece === 1 ? cap / 5 : cap;
    assert.ok(head > most * 0.4, `head ${head}`);
    assert.ok(all.length - head > most * 0.2, `tail ${all.length - head}`);
    assert.deepEqual(readdirSync(join(directory, '0')).length, 3);
  });
}

test('up to the cap nothing is cut', (t) => {
  const logs = createLogStore(tempDirectory(t));
  const writer = logs.writer(1, 1, 4 * KIB);
  // Head, one tail file and a half of the second, less headers.
  for (let at = 0; at < 3500; at += 500) writer.write('stdout', pattern(500, at));
  writer.end();
  const { all, shape } = readAll(logs, 1);
  assert.deepEqual(all, pattern(3500));
  assert.ok(!shape.some((mark) => mark.startsWith('cut')));
});

test('following sees everything once, and says what it missed', (t) => {
  const logs = createLogStore(tempDirectory(t));
  const writer = logs.writer(1, 1, 4 * KIB);
  let position: LogPosition | undefined;
  const seen: Buffer[] = [];
  for (let at = 0; at < 20_000; at += 250) {
    writer.write('stdout', pattern(250, at));
    const { all, last, shape } = readAll(logs, 1, position);
    assert.ok(!shape.some((mark) => mark.startsWith('cut')), shape.join());
    seen.push(all);
    position = last ?? position;
  }
  assert.deepEqual(Buffer.concat(seen), pattern(20_000));
  assert.deepEqual(readAll(logs, 1, position).shape, []);
  // One that sleeps while the output goes on.
  for (let at = 20_000; at < 40_000; at += 250) writer.write('stdout', pattern(250, at));
  const { all, shape } = readAll(logs, 1, position);
  const cut = Number(shape[0]?.slice(4));
  assert.deepEqual(all, pattern(20_000 - cut, 20_000 + cut));
  writer.end();
});

test('a log that ends anywhere reads up to there', (t) => {
  const directory = tempDirectory(t);
  const logs = createLogStore(directory);
  const writer = logs.writer(1, 1, MIB);
  writer.write('stdout', pattern(20));
  writer.write('stderr', pattern(20, 20));
  writer.end();
  const file = join(directory, '0', '1.1.log');
  const whole = readFileSync(file);
  for (let length = whole.length; length >= 0; length -= 1) {
    truncateSync(file, length);
    const { all, last } = readAll(logs, 1);
    const kept = Math.min(Math.max(length - 4, 0), 20) + Math.max(length - 28, 0);
    assert.deepEqual(all, pattern(kept));
    // And goes on from there, when it was merely being written.
    writeFileSync(file, whole);
    assert.deepEqual(Buffer.concat([all, readAll(logs, 1, last).all]), pattern(40));
  }
});

test('private files, whatever the umask', linuxOnly, (t) => {
  const directory = tempDirectory(t);
  const logs = createLogStore(join(directory, 'a', 'b'));
  const before = process.umask(0);
  try {
    const writer = logs.writer(1234, 1, 4 * KIB);
    writer.write('stdout', pattern(9000));
    writer.end();
  } finally {
    process.umask(before);
  }
  const mode = (path: string): number => statSync(join(directory, path)).mode & 0o777;
  for (const path of ['a', 'a/b', 'a/b/1']) assert.equal(mode(path), 0o700);
  for (const name of readdirSync(join(directory, 'a/b/1')))
    assert.equal(mode(`a/b/1/${name}`), 0o600);
});

test('a planted link is not followed, a leftover not continued', linuxOnly, (t) => {
  const directory = tempDirectory(t);
  const target = join(directory, 'target');
  writeFileSync(target, 'precious');
  mkdirSync(join(directory, '0'));
  symlinkSync(target, join(directory, '0', '1.1.log'));
  for (const name of ['2.1.log', '2.1.log.1', '2.1.log.7'])
    writeFileSync(join(directory, '0', name), 'old');
  const logs = createLogStore(directory);
  assert.deepEqual(readAll(logs, 1).shape, []);
  for (const key of [1, 2]) {
    const writer = logs.writer(key, 1, MIB);
    writer.write('stdout', Buffer.from('new'));
    writer.end();
    assert.equal(textOf(logs, key).output, 'new');
  }
  assert.equal(readFileSync(target, 'utf8'), 'precious');
});

test('logs of a job are removed, and of no other', async (t) => {
  const directory = tempDirectory(t);
  const logs = createLogStore(directory);
  const keys = [1, 11, 999, 1000, 1001];
  for (const key of keys) {
    for (const attempt of [1, 2]) {
      const writer = logs.writer(key, attempt, 4 * KIB);
      writer.write('stdout', pattern(5000));
      writer.end();
    }
  }
  await logs.remove([1, 999, 1000, 1001, 5000]);
  assert.deepEqual(
    keys.map((key) => logs.size(key, 2) > 0),
    [false, true, false, false, false],
  );
  assert.deepEqual(readdirSync(directory), ['0']);
  const writer = logs.writer(1002, 1, MIB);
  writer.write('stdout', pattern(5));
  assert.equal(writer.end(), 5);
  assert.equal(logs.size(1002, 1), 9);
});

test('a log disk that refuses everything fails nothing', linuxOnly, async (t) => {
  const directory = tempDirectory(t);
  const file = join(directory, 'file');
  writeFileSync(file, '');
  // Not a directory, whoever asks; and one that cannot be written, unless by root.
  const locked = join(directory, 'locked');
  mkdirSync(locked);
  chmodSync(locked, 0o500);
  for (const root of process.getuid?.() === 0 ? [file] : [file, locked]) {
    const { run } = harness(t, { logs: createLogStore(root) });
    const { outcome, logBytes, output } = await run('echo out; echo err >&2; exit 3');
    assert.deepEqual(outcome, { kind: 'exited', code: 3 });
    assert.equal(logBytes, 8);
    assert.equal(output, '');
  }
});

test('what comes when the disk takes it again is kept, and how much is missing is known', (t) => {
  const root = join(tempDirectory(t), 'logs');
  const logs = createLogStore(root);
  writeFileSync(root, 'in the way');
  const troubles: unknown[] = [];
  const writer = logs.writer(1, 1, 4 * KIB, (error) => troubles.push(error));
  for (const length of [60, 40]) writer.write('stdout', pattern(length));
  assert.equal(troubles.length, 1);
  rmSync(root);
  writer.write('stdout', pattern(50, 100));
  writer.write('stderr', pattern(5, 150));
  assert.deepEqual(readAll(logs, 1).shape, ['broken 100', 'o50', 'e5']);
  // Again, where the next file would begin; then somebody reads along.
  const directory = join(root, '0');
  renameSync(directory, `${directory} elsewhere`);
  writeFileSync(directory, 'in the way');
  for (let at = 155; at < 1355; at += 100) writer.write('stdout', pattern(100, at));
  rmSync(directory);
  renameSync(`${directory} elsewhere`, directory);
  const along = readAll(logs, 1);
  assert.equal(along.shape.at(-1), 'broken ?');
  const there = along.last?.offset ?? assert.fail();
  writer.write('stdout', pattern(45, 1355));
  assert.equal(writer.end(), 1400);
  assert.deepEqual(readAll(logs, 1, along.last).shape, [`broken ${1355 - there}`, 'o45']);
  const { all, shape } = readAll(logs, 1);
  assert.ok(!shape.includes('broken ?'));
  assert.deepEqual(all, Buffer.concat([pattern(there - 100, 100), pattern(45, 1355)]));
});

test('a log that is taken away while it grows fails nothing', (t) => {
  const directory = tempDirectory(t);
  const logs = createLogStore(directory);
  const writer = logs.writer(1, 1, 4 * KIB);
  writer.write('stdout', pattern(100));
  rmSync(join(directory, '0'), { recursive: true });
  writeFileSync(join(directory, '0'), 'in the way');
  for (let at = 0; at < 10; at += 1) writer.write('stdout', pattern(1000));
  assert.equal(writer.end(), 10_100);
});

test(
  '1 GB of output: flat memory, capped file, marked',
  { ...linuxOnly, timeout: 30_000 },
  async (t) => {
    const { run, start, logs } = harness(t, { logMaxBytes: MIB });
    // What the runtime takes to read at all is not counted.
    await run('head -c 20000000 /dev/zero');
    const before = process.memoryUsage.rss();
    let most = before;
    const job = start('printf first; head -c 1000000000 /dev/zero; printf last');
    let over = false;
    const watching = job.ended.then(() => (over = true));
    while (!over) {
      most = Math.max(most, process.memoryUsage.rss());
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await watching;
    const { logBytes } = await job.ended;
    assert.equal(logBytes, 1_000_000_009);
    // A collector that is in no hurry took 132 MiB once; what is kept would be all of it.
    assert.ok(most - before < 300 * MIB, `grew by ${(most - before) / MIB} MiB`);
    assert.ok(logs.size(job.job.key, 1) <= MIB);
    const { all, shape } = readAll(logs, job.job.key);
    assert.equal(all.subarray(0, 6).toString('latin1'), 'first\0');
    assert.equal(all.subarray(-5).toString('latin1'), '\0last');
    const cut = Number(shape.find((mark) => mark.startsWith('cut'))?.slice(4));
    assert.equal(all.length + cut, 1_000_000_009);
  },
);

test('each piece knows when it came, to a tenth of a second, across files', (t) => {
  const logs = createLogStore(tempDirectory(t));
  const writer = logs.writer(1, 1, 4 * KIB);
  const begin = Date.UTC(2026, 10, 25);
  const times = [0, 50, 100, 130, 5000, 4000, 4050];
  for (const ms of times) writer.write('stdout', Buffer.from(`${ms}\n`.padEnd(40)), begin + ms);
  for (let i = 0; i < 200; i += 1) {
    writer.write('stderr', Buffer.from('x'.repeat(100)), begin + 10_000 + i * 60);
  }
  writer.end();
  const seen = [...logs.read(1, 1)].flatMap((chunk) =>
    chunk.kind === 'output' ? [chunk.time - begin] : [],
  );
  assert.deepEqual(seen.slice(0, times.length), [0, 0, 100, 100, 5000, 4000, 4000]);
  assert.ok(
    seen.every((ms) => ms >= 0),
    'also where a later file begins',
  );
  assert.ok((seen.at(-1) ?? 0) > 10_000 + 199 * 60 - 100);
});
