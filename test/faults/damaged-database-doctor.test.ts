// Fault 14, what an operator does about it: doctor on a database that was cut short or whose
// pages are hit. It always ends, says so with 6, changes nothing, and its export gives only
// jobs as they were enqueued: none that is mixed, none that was deleted.

import assert from 'node:assert/strict';
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
import { type Crew, crew, until } from '../fixtures/crew.ts';

const PAGE = 4096;
/** SQLite's marks of the pages of a b-tree: interior ones, then leaves, of indexes and tables. */
const [INTERIOR, TREE] = [
  [2, 5],
  [2, 5, 10, 13],
];

const TABLE_LEAF = 13;

type Shown = Readonly<Record<string, unknown>> & { readonly id: string };

/** What was asked for, in the order of the fields; not what has become of it. */
const ASKED =
  'id command args created_at priority max_retries timeout tags env env_from stdin stdin_text';

function asked(job: Shown): string {
  return JSON.stringify(ASKED.split(' ').map((field) => job[field]));
}

/** Jobs of all kinds, text of several pages among them, and traces of those that were deleted. */
async function filled(queue: Crew): Promise<string> {
  const text = (i: number): string => `${i}:${String(i * 7919).repeat(100)}`;
  const jobs = Array.from({ length: 300 }, (_, i) =>
    JSON.stringify({
      id: `job${i}`,
      ...(i % 11 === 0 ? { args: ['echo', text(i)] } : { command: `echo ${text(i % 5)} ${i}` }),
      ...(i % 7 === 0 && { env: { A: text(i) } }),
      ...(i % 13 === 0 && { stdin_text: text(i).repeat(15) }),
      queue: `q${i % 4}`,
      priority: i % 5,
      tags: { n: String(i), u: `é${i}` },
      cwd: queue.directory,
    }),
  );
  await queue.ok(['enqueue', '--quiet', '-'], { input: jobs.join('\n') });
  await queue.ok(['cancel', '--queue', 'q3', '--yes']);
  await queue.ok(['delete', '--state', 'cancelled', '--yes']);
  return join(queue.home, 'queue.db');
}

interface Harm {
  readonly what: string;
  readonly content: Buffer;
}

/** One bit in the head of a page, or in a pointer to a cell: what SQLite finds its way by. */
function* harms(sound: Buffer): Generator<Harm> {
  const pages = sound.length / PAGE;
  for (const part of [0.2, 0.5, 0.8, 0.99]) {
    const length = Math.round(sound.length * part);
    yield { what: `cut to ${length} bytes`, content: sound.subarray(0, length) };
  }
  const leaves = Array.from({ length: pages }, (_, page) => page * PAGE).filter(
    (at) => at > 0 && sound[at] === TABLE_LEAF && sound.readUInt16BE(at + 3) > 2,
  );
  for (const at of leaves.slice(0, 12)) {
    // What a deleted row has left behind the last one counts again.
    const more = Buffer.from(sound);
    more.writeUInt16BE(sound.readUInt16BE(at + 3) + 1, at + 3);
    yield { what: `page ${at / PAGE} with a cell more`, content: more };
    // A row is read from some bytes further on.
    const off = Buffer.from(sound);
    for (let cell = 0; cell < sound.readUInt16BE(at + 3); cell += 1) {
      const pointer = at + 8 + 2 * cell;
      off.writeUInt16BE(sound.readUInt16BE(pointer) + ((cell + at / PAGE) % 8), pointer);
    }
    yield { what: `page ${at / PAGE} with pointers that are off`, content: off };
  }
  for (let n = 0; n < 36; n += 1) {
    const page = 1 + ((n * 53) % (pages - 1));
    const at = page * PAGE;
    const content = Buffer.from(sound);
    if (n % 6 === 5) {
      content.fill(0, at, at + PAGE);
      yield { what: `page ${page} zeroed`, content };
      continue;
    }
    const mark = sound[at] ?? 0;
    const head = TREE.includes(mark) ? (INTERIOR.includes(mark) ? 12 : 8) : 4;
    const cells = TREE.includes(mark) ? sound.readUInt16BE(at + 3) : 0;
    const offset = n % 2 === 0 ? n % head : (n * 31) % (head + 2 * cells);
    content[at + offset] = (content[at + offset] ?? 0) ^ (1 << (n % 8));
    yield { what: `page ${page}, byte ${offset}, bit ${n % 8}`, content };
  }
}

test('doctor on a database that was cut or hit: 6, untouched, and no job that never was', async (t) => {
  const queue = crew(t);
  const sound = readFileSync(await filled(queue));
  const truth = new Map(
    (await queue.json<Shown[]>(['list', '--limit', '1000'])).map((job) => [job.id, job]),
  );
  assert.equal(truth.size, 225);
  const directory = join(queue.directory, 'damaged');
  mkdirSync(directory, { mode: 0o700 });
  const file = join(directory, 'copy.db');
  let [n, told, saved] = [0, 0, 0];
  for (const { what, content } of harms(sound)) {
    n += 1;
    writeFileSync(file, content, { mode: 0o600 });
    const { code, stderr } = await queue.q(['--json', '--db', file, 'doctor']);
    assert.ok(code === 0 || code === 6, `${what}: ${code} ${stderr}`);
    assert.doesNotMatch(stderr, /internal|\n\s+at /, what);
    if (code === 6) told += 1;
    const answer = await queue.q(['--db', file, 'doctor', '--export', '-']);
    assert.ok(answer.code === 0 || answer.code === 6, `${what}: ${answer.stderr}`);
    const lines = answer.stdout.split('\n').filter((line) => line !== '');
    for (const line of lines) {
      const job = JSON.parse(line) as Shown;
      const was = truth.get(job.id);
      assert.ok(was !== undefined, `${what}: ${job.id} was deleted, or never was`);
      assert.equal(asked(job), asked(was), what);
      assert.ok([was['queue'], null].includes(job['queue']), what);
      assert.ok([was['cwd'], null].includes(job['cwd']), what);
    }
    assert.equal(new Set(lines.map((line) => (JSON.parse(line) as Shown).id)).size, lines.length);
    if (code === 0) assert.equal(lines.length, truth.size, `${what}: nothing is missing`);
    saved += lines.length;
    assert.ok(readFileSync(file).equals(content), `${what}: the file is as it was`);
    assert.deepEqual(readdirSync(directory), ['copy.db'], what);
  }
  // Most bits of a page's head mean something, and most of what is hit leaves all others.
  assert.ok(told >= n / 2, `${told} of ${n} told`);
  assert.ok(saved >= (n / 2) * truth.size, `${saved} saved`);
});

test('a database that lost its second half: what stands in the first is saved', async (t) => {
  const queue = crew(t);
  const file = await filled(queue);
  truncateSync(file, Math.round(readFileSync(file).length / 2));
  // Without room for a copy.
  const env = { TMPDIR: join(queue.directory, 'none') };
  const { code, stderr, stdout } = await queue.q(['doctor', '--export', '-'], { env });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^queuectl: saved \d+ jobs; \d+ jobs could not be read/);
  assert.ok(stdout.split('\n').length > 30, stderr);
});

for (const [what, bytes] of [
  ['its mark', 16],
  ['its header', 100],
  ['its first page', PAGE],
] as const) {
  test(`a database that lost ${what}: every job is saved all the same`, async (t) => {
    const queue = crew(t);
    const file = await filled(queue);
    const content = readFileSync(file);
    content.fill(0, 0, bytes);
    writeFileSync(file, content, { flag: 'r+' });
    const { code, stderr } = await queue.q(['doctor']);
    assert.equal(code, 6, stderr);
    const lines = (await queue.ok(['doctor', '--export', '-'])).trimEnd().split('\n');
    assert.equal(lines.length, 225);
    assert.ok(readFileSync(file).equals(content), 'the file is as it was');
    assert.ok(!existsSync(`${file}-wal`));
  });
}

test('damage, export, a new home, enqueue: what had not ended runs, what had does not', async (t) => {
  const queue = crew(t);
  const later = await queue.json<{ run_at: string }>([
    'enqueue',
    '--id',
    'later',
    '--delay',
    '30d',
    '--',
    'true',
  ]);
  const ended = Array.from({ length: 200 }, (_, i) => ({ id: `done${i}`, queue: 'a' }));
  const open = Array.from({ length: 600 }, (_, i) => ({
    id: `open${i}`,
    queue: 'b',
    tags: { i: String(i) },
  }));
  const input = [...ended, ...open].map((job) =>
    JSON.stringify({
      ...job,
      command: `echo $QUEUECTL_JOB_ID $QUEUECTL_QUEUE >>ran # ${'x'.repeat(300)}`,
    }),
  );
  await queue.ok(['enqueue', '--quiet', '-'], { input: input.join('\n') });
  await queue.ok([
    'worker',
    'start',
    '--foreground',
    '--queue',
    'a',
    '--drain',
    '--concurrency',
    '4',
  ]);
  assert.equal(queue.lines('ran').length, 200);
  await queue.ok(['backup', join(queue.directory, 'sound.db')]);

  // The page that the last jobs stand on; none of those that had ended.
  const file = join(queue.home, 'queue.db');
  const content = readFileSync(file);
  const at = content.lastIndexOf('x'.repeat(300));
  content.fill(0xff, at - (at % PAGE), at - (at % PAGE) + PAGE);
  writeFileSync(file, content, { flag: 'r+' });
  assert.equal((await queue.q(['doctor'])).code, 6);
  const saved = join(queue.directory, 'saved.ndjson');
  const { code, stderr } = await queue.q(['doctor', '--export', saved, '--unfinished']);
  assert.equal(code, 0, stderr);
  const [, kept, gone] =
    /saved (\d+) unfinished jobs to .*; 200 jobs had ended; (\d+) jobs? could not be read: open\d+/.exec(
      stderr,
    ) ?? assert.fail(stderr);
  assert.equal(Number(kept) + Number(gone), 601);

  const env = { QUEUECTL_HOME: join(queue.directory, 'new') };
  assert.match(
    await queue.ok(['enqueue', '--file', saved], { env }),
    new RegExp(`^Enqueued ${kept} jobs`),
  );
  // A second time by mistake adds nothing.
  await queue.ok(['enqueue', '--if-absent', '--file', saved], { env });
  const [job] = await queue.json<{ id: string; run_at: string }[]>(['list', '--tag', 'i=3'], {
    env,
  });
  assert.equal(job?.id, 'open3');
  const shown = await queue.json<{ run_at: string }>(['show', 'later'], { env });
  assert.equal(shown.run_at, later.run_at, 'it waits for the same moment');
  await queue.ok(['cancel', 'later'], { env });
  await queue.ok(['worker', 'start', '--foreground', '--drain', '--concurrency', '8'], { env });
  await until('nobody is left', () => queue.processes().length === 0);
  const ran = queue.lines('ran');
  assert.equal(ran.length, 200 + Number(kept) - 1);
  assert.equal(new Set(ran).size, ran.length, 'none ran twice');
  assert.ok(ran.slice(200).every((line) => /^open\d+ b$/.test(line)));
});
