// `worker stop` from its own side: whom it asks, how long it waits, and what it promises by
// returning (guarantee 8). The workers are records of processes that live.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QueuectlError } from '../../src/errors.ts';
import { selfIdentity } from '../../src/platform/identity.ts';
import { Queue } from '../../src/queue.ts';
import type { Claimed } from '../../src/store/store.ts';
import { Reaper } from '../../src/worker/reaper.ts';
import { type StopOptions, stopWorkers } from '../../src/worker/stop.ts';
import {
  createWorld,
  deadProcess,
  enqueue,
  jobOf,
  livingProcess,
  ObservedStore,
  registerOwner,
  type World,
} from '../fixtures/engine.ts';

interface Stopping {
  readonly result: () => number | Error | undefined;
  readonly waitingFor: string[];
  readonly observed: ObservedStore;
}

async function stop(
  world: World,
  options: Partial<StopOptions> & { recover?: boolean } = {},
): Promise<Stopping> {
  const { recover = true, ...rest } = options;
  const observed = new ObservedStore(await world.connect());
  const waitingFor: string[] = [];
  let result: number | Error | undefined;
  const reaper = new Reaper({
    store: observed.store,
    env: world.env,
    log: world.log,
    self: selfIdentity(),
    leftovers: {
      end: () => Promise.resolve(true),
      forget: () => {
        // Nothing was written down.
      },
    },
  });
  const done = stopWorkers(new Queue(observed.store, world.env), world.env, {
    grace: null,
    now: false,
    onWaiting: (jobs) => {
      waitingFor.push(jobs.join());
    },
    ...(recover && { reaper }),
    ...rest,
  }).then(
    (stopped) => (result = stopped),
    (error: unknown) => (result = error instanceof Error ? error : new Error(String(error))),
  );
  world.atEnd(async () => {
    await world.env.advance(60_000);
    assert.notEqual(result, undefined, 'it did not end');
    await done;
    assert.deepEqual(world.env.sleeping, []);
    assert.equal(observed.watchers, 0);
  });
  await world.env.settle();
  return { result: () => result, waitingFor, observed };
}

/** A process with the record of a worker that runs one job. */
async function busyWorker(world: World): Promise<{
  readonly key: number;
  readonly kill: () => Promise<void>;
  readonly gone: Promise<unknown>;
  readonly finish: () => Promise<void>;
  readonly job: Claimed;
}> {
  await enqueue(world, 1);
  const process = await livingProcess(world);
  const { key, claim } = await registerOwner(world, process.identity);
  const [job] = await claim();
  assert.ok(job);
  return {
    key,
    kill: () => process.kill(),
    gone: process.gone,
    job,
    finish: async () => {
      await world.client.turn({
        worker: key,
        ended: [{ attempt: job, outcome: { kind: 'exited', code: 0 }, logBytes: 0, random: 0 }],
        backoff: { base: 2, max: 3_600_000 },
        slots: 0,
        lease: 30_000,
      });
      await world.client.endWorker(key, 'stopped');
    },
  };
}

test('where nobody runs there is nothing to stop', async (t) => {
  const world = await createWorld(t);
  const { result, observed } = await stop(world);
  assert.equal(result(), 0);
  assert.equal(observed.count('requestStop'), 0);
});

test('it waits as long as attempts need, and tells for what', async (t) => {
  const world = await createWorld(t);
  const one = await busyWorker(world);
  const two = await busyWorker(world);
  const { result, waitingFor, observed } = await stop(world);
  await world.env.advance(25_000);
  assert.equal(result(), undefined);
  await one.finish();
  await world.env.advance(1000);
  assert.equal(result(), undefined);
  await two.finish();
  observed.ring();
  await world.env.settle();
  assert.equal(result(), 2);
  assert.deepEqual(waitingFor, [`${one.job.id},${two.job.id}`, two.job.id]);
});

test('the request says how long, by the boot clock', async (t) => {
  const world = await createWorld(t);
  const worker = await busyWorker(world);
  await stop(world, { grace: 1500 });
  const bounded = await world.client.attend(worker.key);
  assert.deepEqual([bounded.stop, bounded.stopBy], ['graceful', world.env.boot() + 1500]);
  await stop(world, { now: true });
  assert.equal((await world.client.attend(worker.key)).stop, 'now');
  await worker.finish();
  await world.env.advance(1000);
});

test('a worker that dies while it stops is recovered before it returns', async (t) => {
  const world = await createWorld(t);
  const worker = await busyWorker(world);
  const { result } = await stop(world);
  await worker.kill();
  await world.env.advance(2000);
  assert.equal(result(), 1);
  assert.equal((await jobOf(world, worker.job.id)).state, 'failed');
});

test('a worker that dies while it stops, and nobody recovers it: that is no success', async (t) => {
  const world = await createWorld(t);
  const worker = await busyWorker(world);
  const { result } = await stop(world, { recover: false });
  await worker.kill();
  await world.env.advance(2000);
  const error = result();
  assert.ok(error instanceof QueuectlError);
  assert.equal(error.code, 'unavailable');
  assert.match(error.message, /w1/);
});

test('a worker that hangs is killed past its bound, and recovered', async (t) => {
  const world = await createWorld(t);
  const worker = await busyWorker(world);
  const { result } = await stop(world, { now: true });
  // kill_after, and ten seconds more.
  await world.env.advance(14_000);
  assert.equal(result(), undefined);
  assert.equal((await jobOf(world, worker.job.id)).state, 'processing');
  await world.env.advance(1500);
  await worker.gone;
  await world.env.advance(2500);
  assert.equal(result(), 1);
  assert.equal((await jobOf(world, worker.job.id)).state, 'failed');
});

test('what died before is recovered too, and counts for nothing', async (t) => {
  const world = await createWorld(t);
  const [id = ''] = await enqueue(world, 1);
  const owner = await registerOwner(world, deadProcess());
  await owner.claim();
  const { result } = await stop(world);
  assert.equal(result(), 0);
  assert.equal((await jobOf(world, id)).state, 'failed');
});

test('who was started after the request is neither waited for nor killed', async (t) => {
  const world = await createWorld(t);
  const asked = await busyWorker(world);
  const { result } = await stop(world, { now: true });
  const later = await busyWorker(world);
  const { identity } = await livingProcess(world);
  await world.client.registerSupervisor({ identity, count: 1 });
  await asked.finish();
  await world.env.advance(1000);
  assert.equal(result(), 1);
  assert.equal((await world.client.attend(later.key)).stop, null);
  assert.equal((await jobOf(world, later.job.id)).state, 'processing');
});

test('it waits for supervisors as well', async (t) => {
  const world = await createWorld(t);
  const { identity } = await livingProcess(world);
  const key = await world.client.registerSupervisor({ identity, count: 1 });
  const { result } = await stop(world);
  await world.env.advance(5000);
  assert.equal(result(), undefined);
  await world.client.endSupervisor(key, 'stopped');
  await world.env.advance(1000);
  assert.equal(result(), 0, 'it had no worker');
});

test('who stops waiting leaves nothing behind, and the workers still stop', async (t) => {
  const world = await createWorld(t);
  const worker = await busyWorker(world);
  const waiting = new AbortController();
  const { result } = await stop(world, { signal: waiting.signal });
  await world.env.advance(1500);
  waiting.abort(new Error('interrupted'));
  await world.env.settle();
  assert.equal((result() as Error).message, 'interrupted');
  assert.equal((await world.client.attend(worker.key)).stop, 'graceful');
});
