// Fault 5: power loss (guarantee 1). What was acknowledged had been synced before, in the
// order write, sync, acknowledgement; and whatever a cut leaves of the WAL behind the last
// acknowledged commit, every acknowledged job is there.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { suite, test } from 'node:test';
import { type Crew, crew } from '../fixtures/crew.ts';
import { Chance, seeded } from '../fixtures/random.ts';
import { lookInside } from './kit/look-inside.ts';
import {
  fileOf,
  STORAGE_CALLS,
  type SystemCall,
  traced,
  untraceable,
  unsynced,
} from './kit/strace.ts';
import { boundaries, committed, halfCopied, torn } from './kit/wal.ts';

const SEED = 20_261_125;

const lines = (ids: readonly string[]): string =>
  ids.map((id) => JSON.stringify({ id, command: 'true' })).join('\n');

const numbered = (name: string, n: number): string[] =>
  Array.from({ length: n }, (_, i) => `${name}${i}`);

// ── the order ────────────────────────────────────────────────────────────────────────────

suite('the order is write, sync, acknowledgement', { skip: untraceable, concurrency: 2 }, () => {
  /** What a power cut must not take: the database in all its parts, and its directories. */
  const matters =
    ({ home }: Crew) =>
    (path: string): boolean =>
      path === home ||
      path === dirname(home) ||
      // What goes with the draft of a new database is gone before that gets its name.
      (path.startsWith(join(home, 'queue.db')) && !/-shm$|\.new-/.test(path));

  const wal = (queue: Crew, pid: number) => (call: SystemCall) =>
    call.pid === pid && fileOf(call) === join(queue.home, 'queue.db-wal');

  /** Every answer on stdout comes after everything before it was synced. */
  function assertOrder(queue: Crew, calls: readonly SystemCall[]): number {
    const answers = calls.filter(({ name, args }) => name === 'write' && args.startsWith('1<'));
    for (const [index, answer] of answers.entries()) {
      const since = answers[index - 1]?.begun ?? -1;
      const before = calls.filter(({ begun }) => begun > since && begun < answer.begun);
      const ours = before.filter(wal(queue, answer.pid));
      assert.ok(
        ours.some(({ name }) => name === 'pwrite64'),
        'nothing was written',
      );
      assert.match(ours.at(-1)?.name ?? '', /^f(?:data)?sync$/);
      assert.deepEqual(unsynced(calls, answer.begun, matters(queue)), [], answer.args);
    }
    return answers.length;
  }

  test('of the very first job: its database and the directories that name it too', async (t) => {
    const queue = crew(t);
    const { code, calls } = await traced(queue, ['enqueue', '--', 'true'], {
      calls: STORAGE_CALLS,
    });
    assert.equal(code, 0);
    assert.equal(assertOrder(queue, calls), 1);
    const linked = calls.find(({ name }) => name === 'link' || name === 'linkat') ?? assert.fail();
    const named = (path: string): boolean => path.endsWith('.new') || path === dirname(queue.home);
    assert.deepEqual(unsynced(calls, linked.begun, named), []);
    const synced = calls.findLast((call) => call.name === 'fsync' && fileOf(call) === queue.home);
    assert.ok(linked.begun < (synced?.begun ?? assert.fail()));
  });

  for (const [what, args, n] of [
    ['a job', ['enqueue', '--', 'true'], 1],
    ['a file of jobs', ['enqueue', '--file', '-'], 1],
    ['a stream of jobs, batch by batch', ['enqueue', '--file', '-', '--stream'], 3],
    ['a cancel', ['cancel', 'first'], 1],
    ['a setting', ['config', 'set', 'max_retries', '7'], 1],
  ] as const) {
    test(`of ${what}`, async (t) => {
      const queue = crew(t);
      await queue.ok(['enqueue', '--id', 'first', '--', 'true']);
      const { code, calls, stderr } = await traced(queue, args, {
        calls: STORAGE_CALLS,
        input: lines(numbered('job', 2500)),
      });
      assert.equal(code, 0, stderr);
      assert.ok(assertOrder(queue, calls) >= n);
    });
  }

  test("of a worker's turn: claimed before it starts, recorded before others are woken", async (t) => {
    const queue = crew(t);
    const input = numbered('turn', 3)
      .map((id) => JSON.stringify({ id, args: ['echo', id] }))
      .join('\n');
    await queue.ok(['enqueue', '-'], { input });
    const { code, calls } = await traced(queue, ['worker', 'start', '--drain', '--foreground'], {
      calls: [...STORAGE_CALLS, 'execve', 'utimensat'],
    });
    assert.equal(code, 0);
    const starts = calls.filter(({ name, result }) => name === 'execve' && result === 0);
    const worker = starts.find(({ args }) => args.includes('"__worker"'))?.pid ?? assert.fail();
    const jobs = starts.filter(({ args }) => /"turn\d"/.test(args));
    assert.equal(jobs.length, 3);
    const wakes = calls.filter(({ name, pid }) => name === 'utimensat' && pid === worker);
    assert.ok(wakes.length >= 3);
    for (const told of [...jobs, ...wakes]) {
      assert.deepEqual(unsynced(calls, told.begun, matters(queue), worker), [], told.args);
    }
    for (const [index, { begun }] of jobs.entries()) {
      const since = jobs[index - 1]?.begun ?? -1;
      const ours = calls.filter((call) => call.begun > since && call.begun < begun);
      assert.ok(ours.filter(wal(queue, worker)).some(({ name }) => name === 'fsync'));
    }
  });
});

// ── the cut ──────────────────────────────────────────────────────────────────────────────

/** A step of the history: what was asked for, and what the WAL had when it was acknowledged. */
interface Step {
  readonly ids: readonly string[];
  /** 0: in the database itself. */
  readonly walBytes: number;
  /** Acknowledged as completed, not as enqueued only. */
  readonly completed?: boolean;
}

/** The files as they are at one moment; the last step counts as never acknowledged. */
interface Disk {
  readonly db: Buffer;
  readonly wal: Buffer;
  readonly steps: readonly Step[];
}

/** A queue that is written to by the executable, and whose WAL nobody clears away. */
class Writer {
  readonly #queue: Crew;
  readonly #database: string;
  /** The last to close would move the WAL into the database: that is never the executable. */
  readonly #onlooker: DatabaseSync;
  #steps: Step[] = [];
  #rounds = 0;

  private constructor(queue: Crew) {
    this.#queue = queue;
    this.#database = join(queue.home, 'queue.db');
    this.#onlooker = new DatabaseSync(this.#database);
    this.#onlooker.prepare('SELECT count(*) FROM job').get();
    queue.cleanup(() => this.#onlooker.close());
  }

  static async begin(queue: Crew): Promise<Writer> {
    await queue.ok(['config', 'set', 'max_retries', '0']);
    return new Writer(queue);
  }

  /** Single and bulk enqueues, a stream, and a worker that runs one of the jobs. */
  async round(): Promise<void> {
    const name = `round${(this.#rounds += 1)}`;
    await this.#enqueue([`${name}-ran`]);
    const drain = ['--queue', 'default', '--drain', '--foreground'];
    await this.#queue.ok(['worker', 'start', ...drain]);
    this.#steps.push({ ids: [`${name}-ran`], walBytes: this.#walBytes(), completed: true });
    for (let i = 0; i < 4; i += 1) await this.#enqueue([`${name}-single${i}`]);
    await this.#enqueue(numbered(`${name}-bulk`, 60));
    await this.#enqueue(numbered(`${name}-stream`, 20), '--stream');
    await this.#enqueue([`${name}-last`]);
    await this.#enqueue(numbered(`${name}-unheard`, 12));
  }

  /** Moves all into the database: the next frames go over these, from the beginning. */
  restart(): void {
    this.#onlooker.exec('PRAGMA wal_checkpoint(RESTART)');
    this.#steps = this.#steps.map((step) => ({ ...step, walBytes: 0 }));
  }

  look(): Disk {
    const [db, wal] = [this.#database, `${this.#database}-wal`].map((file) => readFileSync(file));
    assert.ok(db !== undefined && wal !== undefined);
    return { db, wal, steps: this.#steps };
  }

  async #enqueue(ids: readonly string[], ...flags: string[]): Promise<void> {
    // In another queue than the worker's, unless it is to be run.
    const queue = ids[0]?.endsWith('-ran') === true ? 'default' : 'other';
    const input = ids.map((id) => JSON.stringify({ id, queue, command: 'true' })).join('\n');
    await this.#queue.ok(['enqueue', '-', ...flags], { input });
    this.#steps.push({ ids, walBytes: this.#walBytes() });
  }

  #walBytes(): number {
    return committed(readFileSync(`${this.#database}-wal`));
  }
}

/**
 * Opens what is left. All that was acknowledged within the first `kept` bytes of the WAL is
 * there, and what is there is a beginning of the history, each call whole or not at all.
 */
async function assertSurvives(
  directory: string,
  { db, wal, steps }: Disk,
  kept: number,
  what: string,
): Promise<void> {
  mkdirSync(directory);
  writeFileSync(join(directory, 'queue.db'), db, { mode: 0o600 });
  writeFileSync(join(directory, 'queue.db-wal'), wal, { mode: 0o600 });
  const { jobs, integrity } = await lookInside(directory);
  rmSync(directory, { recursive: true });
  assert.equal(integrity, 'ok', what);
  const found = jobs.map(({ id }) => id);
  const enqueues = steps.filter(({ completed }) => completed !== true);
  const asked = enqueues.flatMap(({ ids }) => ids);
  assert.deepEqual(found, asked.slice(0, found.length), `${what}: no beginning of the history`);
  const heard = steps.filter(({ walBytes }) => walBytes <= kept);
  for (const { ids, completed } of heard) {
    for (const id of ids) {
      const job = jobs.find((each) => each.id === id);
      assert.ok(job !== undefined, `${what}: ${id} is lost`);
      if (completed === true) assert.equal(job.state, 'completed', `${what}: ${id}`);
    }
  }
  // A stream is stored in batches, anything else at once.
  for (const { ids } of enqueues.filter((step) => !/-stream/.test(step.ids.join()))) {
    const n = ids.filter((id) => found.includes(id)).length;
    assert.ok(n === 0 || n === ids.length, `${what}: ${n} of ${ids.length} with ${ids[0]}`);
  }
}

/** Where nothing is slow: what is opened there has been through its power cut already. */
function inMemory(queue: Crew): string {
  if (!existsSync('/dev/shm')) return queue.directory;
  const directory = mkdtempSync('/dev/shm/queuectl-test-');
  queue.cleanup(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** Bytes of the WAL that held all that was acknowledged: of the last step but one. */
const promised = ({ steps }: Disk): number => steps.at(-2)?.walBytes ?? assert.fail();

test('the WAL is cut anywhere', { timeout: 120_000 }, async (t) => {
  const queue = crew(t);
  const chance = new Chance(seeded(SEED));
  const directory = join(inMemory(queue), 'cut');
  const writer = await Writer.begin(queue);
  await writer.round();
  const first = writer.look();
  writer.restart();
  const copied = writer.look();
  await writer.round();
  const second = writer.look();

  let [behind, before, tornEnds, checkpoints] = [0, 0, 0, 0];
  for (const [round, disk] of [first, second].entries()) {
    const cuts = new Set(boundaries(disk.wal));
    for (let i = 0; i < 100; i += 1) {
      cuts.add(chance.between(0, disk.wal.length));
      cuts.add(chance.between(promised(disk), committed(disk.wal)));
    }
    for (const cut of cuts) {
      const wal = disk.wal.subarray(0, cut);
      // Before what was promised no honest disk is cut: there, a beginning is all we ask.
      await assertSurvives(directory, { ...disk, wal }, cut, `round ${round} cut at ${cut}`);
      if (cut >= promised(disk)) behind += 1;
      else before += 1;
    }
    for (const { what, wal } of torn(disk.wal, promised(disk), chance)) {
      await assertSurvives(directory, { ...disk, wal }, promised(disk), `round ${round}: ${what}`);
      tornEnds += 1;
    }
  }
  for (let i = 0; i < 50; i += 1) {
    const disk = { ...first, db: halfCopied(first.db, copied.db, chance) };
    await assertSurvives(directory, disk, committed(first.wal), 'within a checkpoint');
    checkpoints += 1;
  }
  t.diagnostic(
    `seed ${SEED}: ${behind} cuts at or after the last acknowledged commit, ${tornEnds} torn ends, ` +
      `${checkpoints} half checkpoints: nothing acknowledged lost; ` +
      `${before} cuts before it: an earlier state, sound`,
  );
});
