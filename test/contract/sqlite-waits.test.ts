// The write lock held by somebody else, and a disk without room: bounded, told apart, and
// nothing lost.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { StatementSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import { systemEnv } from '../../src/env.ts';
import { QueuectlError } from '../../src/errors.ts';
import { SECOND, TestEnv } from './env.ts';
import { assertConsistent } from './invariants.ts';
import { intercepting, isRoot, Place, placeTest, plainJob } from './sqlite-place.ts';
import { query, refusal } from './values.ts';

/** SQLite itself waits 5 ms before each of our waits, by a clock that we cannot step. */
const SPEED = 20;

/** Time goes by in waits only, and fast; after `lasting` ms of it, `then` happens. */
class PatientEnv extends TestEnv {
  waited = 0;
  readonly #lasting: number;
  readonly #then: () => void;

  constructor(lasting = Number.POSITIVE_INFINITY, then = (): void => undefined) {
    super();
    this.#lasting = lasting;
    this.#then = then;
  }

  override async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const before = this.waited;
    this.waited += Math.ceil(ms) * SPEED;
    await super.sleep(Math.ceil(ms) * SPEED, signal);
    if (before < this.#lasting && this.waited >= this.#lasting) this.#then();
  }
}

placeTest(
  'a lock that is held longer than our patience: busy, and nothing is stored',
  async (place) => {
    await place.make();
    const env = new PatientEnv();
    const noticed: number[] = [];
    const onWait = (): number => noticed.push(env.waited);
    const store = await place.open({ env, patience: 3 * SECOND, onWait });
    place.handle().exec('BEGIN IMMEDIATE');
    await assert.rejects(store.enqueue([plainJob({ id: 'j' })]), refusal('busy'));
    assert.ok(env.waited >= 3 * SECOND && env.waited < 3.5 * SECOND, `it waited ${env.waited} ms`);
    assert.equal(noticed.length, 1, 'who waits is told once');
    assert.ok((noticed[0] ?? 0) > 2 * SECOND);
    assert.equal(await store.find('j'), null, 'looking needs no lock');
  },
);

placeTest('every write is busy then, and every look is not', async (place) => {
  await place.make([{ id: 'j' }]);
  const store = await place.open({ env: new PatientEnv(), patience: SECOND });
  const { key: worker } = await store.registerWorker({
    identity: { host: 'h', bootId: 'b', pidNamespace: '', pid: 1, startTime: '1' },
    supervisor: null,
    queues: null,
    concurrency: 1,
  });
  const turn = { worker, ended: [], backoff: { base: 2, max: 1 }, slots: 1, lease: SECOND };
  const attempt = { key: 1, number: 1, runToken: 1 };
  const reaping = { attempt, leaseUntil: 1, reason: '', backoff: turn.backoff, random: 0 };
  place.handle().exec('BEGIN IMMEDIATE');
  const writes: (() => Promise<unknown>)[] = [
    () => store.enqueue([plainJob()]),
    () => store.cancel(['j']),
    () => store.retry(['j']),
    () => store.turn(turn),
    () => store.renew({ worker, attempts: [], lease: SECOND }),
    () => store.reap(reaping),
    () => store.probe(),
    () => store.setSetting('lease', '2s'),
    () => store.endWorker(worker, 'x'),
  ];
  for (const write of writes) await assert.rejects(write(), refusal('busy'));
  await store.find('j');
  await store.list(query());
  await store.stats();
  await store.attend(worker);
  await store.running();
  await store.workers();
  await store.settings();
  await store.version();
  await assertConsistent(store);
});

placeTest('with more patience the same write goes through once the lock is free', async (place) => {
  await place.make();
  const holder = place.handle();
  const env = new PatientEnv(20 * SECOND, () => holder.exec('COMMIT'));
  const store = await place.open({ env, patience: 30 * SECOND });
  holder.exec('BEGIN IMMEDIATE');
  await store.enqueue([plainJob({ id: 'j' })]);
  assert.ok(env.waited >= 20 * SECOND && env.waited < 21 * SECOND);
  assert.equal((await store.find('j'))?.state, 'pending');
});

placeTest('opening and looking wait for nobody who only writes', async (place) => {
  await place.make([{ id: 'j' }]);
  place.handle().exec('BEGIN IMMEDIATE');
  const store = await place.open({ env: new PatientEnv(), patience: 0 });
  assert.equal((await store.find('j'))?.state, 'pending');
});

placeTest('a lock met at any step of opening is waited for', async (place) => {
  await place.make([{ id: 'j' }]);
  let [seen, busyAt] = [0, Number.POSITIVE_INFINITY];
  const refuseOnce = (statement: StatementSync): void => {
    seen += 1;
    if (seen !== busyAt) return;
    statement.get = () => {
      Reflect.deleteProperty(statement, 'get'); // the next call is SQLite's own again
      throw Object.assign(new Error('database is locked'), { errcode: 5 });
    };
  };
  const open = (): Promise<void> =>
    intercepting(refuseOnce, async () => {
      const store = await place.open();
      assert.equal((await store.find('j'))?.state, 'pending');
      await store.close();
    });
  await open();
  const steps = seen;
  assert.ok(steps >= 6, `${steps} steps`);
  for (let step = 1; step <= steps; step += 1) {
    [seen, busyAt] = [0, step];
    await open();
  }
});

placeTest('who waits for the lock blocks nothing else in its process', async (place) => {
  await place.make();
  const holder = place.handle();
  const store = await place.open({ env: systemEnv, patience: Number.POSITIVE_INFINITY });
  holder.exec('BEGIN IMMEDIATE');
  let stored = false;
  const waiting = store.enqueue([plainJob()]).then(() => (stored = true));
  let [longest, last] = [0, performance.now()];
  const begun = last;
  while (last - begun < 300) {
    await setImmediate();
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }
  assert.equal(stored, false);
  holder.exec('COMMIT');
  await waiting;
  assert.ok(longest < 250, `blocked for ${Math.round(longest)} ms`);
});

placeTest('a reader in the middle of its snapshot holds up no writer', async (place) => {
  await place.make([{ id: 'old' }]);
  const reader = place.handle();
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) FROM job').get();
  const store = await place.open({ env: new PatientEnv(), patience: 0 });
  for (let n = 0; n < 100; n += 1) await store.enqueue([plainJob()]);
  assert.equal(reader.prepare('SELECT count(*) AS n FROM job').get()?.['n'], 1);
});

/** Enqueues jobs with long commands until the disk is full; how many were acknowledged. */
async function fill(place: Place): Promise<number> {
  const store = await place.open();
  for (let n = 0; ; n += 1) {
    assert.ok(n < 1000, 'the disk is small');
    try {
      await store.enqueue([plainJob({ id: `j${n}`, command: 'x'.repeat(20_000) })]);
    } catch (error) {
      assert.ok(error instanceof QueuectlError);
      assert.equal(error.code, 'full', error.message);
      return n;
    }
  }
}

placeTest(
  'a full disk: full, what was acknowledged is there, and with room it goes on',
  async (place) => {
    const directory = join(place.directory, 'small');
    await mkdir(directory);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory]);
    const small = new Place(directory);
    try {
      const acknowledged = await fill(small);
      assert.ok(acknowledged > 5);
      const store = await small.open();
      await assertConsistent(store);
      assert.deepEqual((await store.stats()).counts, [
        { queue: 'default', state: 'pending', n: acknowledged },
      ]);
      execFileSync('mount', ['-o', 'remount,size=8m', directory]);
      await store.enqueue([plainJob({ id: 'after', command: 'x'.repeat(20_000) })]);
      await assertConsistent(store);
      assert.deepEqual(small.rows('PRAGMA integrity_check').map(Object.values), [['ok']]);
    } finally {
      await small.close();
      execFileSync('umount', [directory]);
    }
  },
  { skip: isRoot ? false : 'needs root, to mount a small disk' },
);

placeTest(
  'a new database where there is no room for it: full, and no trace of it',
  async (place) => {
    const directory = join(place.directory, 'tiny');
    await mkdir(directory);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory]);
    const tiny = new Place(directory);
    try {
      await assert.rejects(tiny.open(), refusal('full', directory));
      assert.deepEqual(await tiny.files(), []);
    } finally {
      await tiny.close();
      execFileSync('umount', [directory]);
    }
  },
  { skip: isRoot ? false : 'needs root, to mount a small disk' },
);
