// The supervisor: N workers, replaced when they die, and no longer than they are wanted.
// Its children are real processes that end with the code they are told.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { identityOf, selfIdentity } from '../../src/platform/identity.ts';
import { Reaper } from '../../src/worker/reaper.ts';
import { Supervisor } from '../../src/worker/supervisor.ts';
import {
  createWorld,
  enqueue,
  full,
  historyOf,
  jobOf,
  ObservedStore,
  registerOwner,
  spawned,
  type World,
} from '../fixtures/engine.ts';

interface Rig {
  readonly supervisor: Supervisor;
  readonly observed: ObservedStore;
  readonly key: number;
  readonly children: ChildProcess[];
  /** Undefined while it runs. */
  readonly result: () => number | Error | undefined;
  /** The n-th child ends with this code or signal, and everybody has heard of it. */
  readonly end: (n: number, how: number | NodeJS.Signals) => Promise<void>;
  /** Ms from now until the next child is started; fails after two minutes. */
  readonly nextStart: () => Promise<number>;
}

const CHILD = ['-c', 'read code; exit "$code"'];

async function createRig(
  world: World,
  {
    count = 1,
    start = () => spawn('sh', CHILD, { stdio: ['pipe', 'ignore', 'ignore'] }),
    leftovers = () => true,
  }: { count?: number; start?: () => ChildProcess; leftovers?: () => boolean } = {},
): Promise<Rig> {
  const { env, log } = world;
  const observed = new ObservedStore(await world.connect());
  const key = await observed.store.registerSupervisor({ identity: selfIdentity(), count });
  const children: ChildProcess[] = [];
  const supervisor = new Supervisor({
    store: observed.store,
    env,
    log,
    key,
    count,
    reaper: new Reaper({
      store: observed.store,
      env,
      log,
      self: selfIdentity(),
      leftovers: {
        end: () => Promise.resolve(leftovers()),
        forget: () => {
          // Nothing was written down.
        },
      },
    }),
    startWorker: () => {
      const child = start();
      children.push(child);
      return child;
    },
  });
  let result: number | Error | undefined;
  const done = supervisor.run().then(
    (code) => (result = code),
    (error: unknown) => (result = error instanceof Error ? error : new Error(String(error))),
  );
  world.atEnd(async () => {
    observed.before.clear();
    observed.after.clear();
    supervisor.stop('SIGKILL');
    await env.advance(1000);
    for (const child of children) await gone(child);
    await env.advance(1000);
    await done;
    assert.deepEqual(env.sleeping, [], 'a timer outlived it');
    assert.equal(observed.watchers, 0, 'its watch outlived it');
  });
  await env.settle();
  return {
    supervisor,
    observed,
    key,
    children,
    result: () => result,
    end: async (n, how) => {
      const child = children[n];
      assert.ok(child, `child ${n} was not started`);
      const exit = once(child, 'exit');
      if (typeof how === 'number') child.stdin?.end(`${how}\n`);
      else child.kill(how);
      await exit;
      await env.settle();
    },
    nextStart: async () => {
      const { length } = children;
      const begun = env.boot();
      while (children.length === length) {
        assert.ok(env.boot() - begun < 120_000, 'no other child was started');
        await env.advance(100);
      }
      return env.boot() - begun;
    },
  };
}

async function gone(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

test('it starts as many as were asked for', async (t) => {
  const world = await createWorld(t);
  const { children, result } = await createRig(world, { count: 3 });
  assert.equal(children.length, 3);
  await world.env.advance(10_000);
  assert.equal(children.length, 3);
  assert.equal(result(), undefined);
});

test('one that dies is replaced at once the first time, then ever more slowly', async (t) => {
  const world = await createWorld(t);
  const { children, end, nextStart } = await createRig(world, { count: 2 });
  await end(0, 3);
  assert.equal(children.length, 3, 'at once');
  const waits: number[] = [];
  for (let n = 2; n < 11; n += 1) {
    await end(n, 3);
    waits.push(await nextStart());
  }
  assert.deepEqual(
    waits,
    [1, 2, 4, 8, 16, 32, 60, 60, 60].map((s) => s * 1000),
  );
  assert.match(world.lines.join('\n'), /a worker died with exit code 3; starting another in 32s/);
});

test('each place counts its own deaths', async (t) => {
  const world = await createWorld(t);
  const { children, end } = await createRig(world, { count: 2 });
  await end(0, 1);
  await end(1, 'SIGKILL');
  assert.equal(children.length, 4, 'both at once');
});

test('one that lived for a minute is replaced at once again', async (t) => {
  const world = await createWorld(t);
  const { children, end, nextStart } = await createRig(world);
  await end(0, 3);
  await end(1, 3);
  assert.equal(await nextStart(), 1000);
  await world.env.advance(60_000);
  await end(2, 3);
  assert.equal(children.length, 4);
});

test('the attempts of one that dies are recorded lost before it is replaced', async (t) => {
  const world = await createWorld(t);
  const { children, end, key, observed } = await createRig(world);
  const [child] = children;
  assert.ok(child?.pid);
  const identity = identityOf(child.pid);
  assert.ok(identity);
  const [id = ''] = await enqueue(world, 1);
  const owner = await registerOwner(world, identity, { supervisor: key });
  await owner.claim();
  const seen: string[] = [];
  observed.after.set('reap', () => {
    seen.push(`lost, ${children.length} started`);
  });
  // The clock stands still: this is not the reaper's own look.
  await end(0, 'SIGKILL');
  assert.deepEqual(seen, ['lost, 1 started']);
  assert.equal(children.length, 2);
  const [attempt] = await historyOf(world, id);
  assert.equal(attempt?.outcome, 'lost');
  assert.match(attempt.error ?? '', /was killed by SIGKILL/);
  assert.deepEqual(await world.client.workers(), []);
});

test('a worker whose attempts cannot be recovered yet is replaced all the same', async (t) => {
  const world = await createWorld(t);
  const { children, end, key, observed } = await createRig(world);
  const [child] = children;
  assert.ok(child?.pid);
  const identity = identityOf(child.pid);
  assert.ok(identity);
  const [id = ''] = await enqueue(world, 1);
  const owner = await registerOwner(world, identity, { supervisor: key });
  await owner.claim();
  observed.failOnce('reap', full());
  await end(0, 'SIGKILL');
  assert.equal(children.length, 2);
  assert.equal((await jobOf(world, id)).state, 'processing');
  await world.env.advance(500);
  assert.equal((await jobOf(world, id)).state, 'failed', 'by its next look');
});

test('one that ends as it was asked to is not replaced; the last one ends it', async (t) => {
  const world = await createWorld(t);
  const { children, end, result } = await createRig(world, { count: 2 });
  await end(0, 0);
  await world.env.advance(5000);
  assert.equal(children.length, 2);
  assert.equal(result(), undefined);
  await end(1, 0);
  assert.equal(result(), 0);
});

test('a stop is passed on as a signal, and nobody is replaced any more', async (t) => {
  const world = await createWorld(t);
  const { supervisor, children, result } = await createRig(world, { count: 2 });
  const exits = children.map((child) => once(child, 'exit'));
  supervisor.stop('SIGTERM');
  await Promise.all(exits);
  assert.deepEqual(
    children.map(({ signalCode }) => signalCode),
    ['SIGTERM', 'SIGTERM'],
  );
  await world.env.settle();
  assert.equal(result(), 0);
  assert.equal(children.length, 2);
});

test('a second signal is passed on too', async (t) => {
  const world = await createWorld(t);
  const { supervisor, children, result } = await createRig(world, {
    start: () =>
      spawn('sh', ['-c', 'trap "" TERM; echo; read code'], { stdio: ['pipe', 'pipe', 'ignore'] }),
  });
  const [child] = children;
  assert.ok(child?.stdout);
  await once(child.stdout, 'data');
  const exit = once(child, 'exit');
  supervisor.stop('SIGTERM');
  await world.env.advance(3000);
  assert.equal(result(), undefined, 'it waits for its workers');
  supervisor.stop('SIGINT');
  await exit;
  assert.equal(child.signalCode, 'SIGINT');
});

test('a stop ends the wait for a replacement', async (t) => {
  const world = await createWorld(t);
  const { supervisor, children, end, result, nextStart } = await createRig(world);
  for (let n = 0; n < 6; n += 1) {
    await end(n, 3);
    if (n > 0 && n < 5) await nextStart();
  }
  supervisor.stop('SIGTERM');
  await world.env.advance(1000);
  assert.equal(result(), 0);
  assert.equal(children.length, 6);
});

test('a stop in the database: none is started any more', async (t) => {
  const world = await createWorld(t);
  const { children, end, key, result } = await createRig(world);
  await world.client.requestStop({
    workers: [],
    supervisors: [key],
    mode: 'graceful',
    stopBy: null,
  });
  await world.env.advance(1000);
  assert.equal(result(), undefined);
  await end(0, 3);
  assert.equal(result(), 0);
  assert.equal(children.length, 1);
});

for (const mode of ['graceful', 'now'] as const) {
  test(`a stop (${mode}) reaches a worker that registered after it was asked for`, async (t) => {
    const world = await createWorld(t);
    const { key } = await createRig(world);
    await world.client.requestStop({ workers: null, supervisors: null, mode, stopBy: null });
    const identity = selfIdentity();
    const late = await registerOwner(world, identity, { supervisor: key });
    const stranger = await registerOwner(world, identity);
    await world.env.advance(1000);
    const stops = (await world.client.workers()).map((worker) => [worker.key, worker.stop]);
    assert.deepEqual(stops, [
      [late.key, mode],
      [stranger.key, null],
    ]);
  });
}

test('a worker that found the storage damaged: none is started any more', async (t) => {
  const world = await createWorld(t);
  const { children, end, result } = await createRig(world, { count: 2 });
  await end(0, 6);
  await world.env.advance(120_000);
  assert.equal(children.length, 2);
  assert.equal(result(), undefined, 'the other one may finish what it has');
  await end(1, 3);
  assert.equal(result(), 6);
});

test('a worker that dies in a stop, and whose attempts are not recorded: not 0', async (t) => {
  for (const recovered of [true, false]) {
    const world = await createWorld(t);
    const { children, end, key, result, supervisor } = await createRig(world, {
      leftovers: () => recovered,
      start: () =>
        spawn('sh', ['-c', 'trap "" TERM; echo; read code'], { stdio: ['pipe', 'pipe', 'ignore'] }),
    });
    const [child] = children;
    assert.ok(child?.pid && child.stdout);
    await once(child.stdout, 'data');
    const identity = identityOf(child.pid);
    assert.ok(identity);
    await enqueue(world, 1);
    const owner = await registerOwner(world, identity, { supervisor: key });
    await owner.claim();
    supervisor.stop('SIGTERM');
    await end(0, 'SIGKILL');
    assert.equal(result(), recovered ? 0 : 5);
  }
});

test('what cannot be started is tried again with growing delay, and told', async (t) => {
  for (const start of [
    () => spawn('/nowhere/queuectl', { stdio: 'ignore' }),
    () => {
      throw new Error('EAGAIN');
    },
  ]) {
    const world = await createWorld(t);
    let tries = 0;
    const { result } = await createRig(world, {
      start: () => {
        tries += 1;
        return start();
      },
    });
    // An error of spawn comes with a later turn of the event loop, not with the clock.
    while (tries < 2) await world.env.settle();
    for (const seconds of [1, 2, 4]) {
      const before = tries;
      while (!world.lines.at(-1)?.endsWith(`in ${seconds}s`)) await world.env.settle();
      await world.env.advance(seconds * 1000 - 1);
      assert.equal(tries, before);
      await world.env.advance(1);
      assert.equal(tries, before + 1);
    }
    assert.match(
      world.lines[0] ?? '',
      /a worker could not be started: .*; starting another at once/,
    );
    assert.equal(result(), undefined);
    while (!world.lines.at(-1)?.endsWith('in 8s')) await world.env.settle();
  }
});

test('it recovers what other dead workers left', async (t) => {
  const world = await createWorld(t);
  await createRig(world);
  const [id = ''] = await enqueue(world, 1);
  const stranger = spawn('sleep', ['600'], { stdio: 'ignore' });
  await spawned(stranger);
  const identity = identityOf(stranger.pid ?? 0);
  assert.ok(identity);
  const owner = await registerOwner(world, identity);
  await owner.claim();
  await world.env.advance(1000);
  assert.equal((await jobOf(world, id)).state, 'processing');
  await gone(stranger);
  await world.env.advance(500);
  assert.equal((await jobOf(world, id)).state, 'failed');
});

test('a database that cannot be read for a while stops nothing', async (t) => {
  const world = await createWorld(t);
  const { observed, key, end, result } = await createRig(world);
  observed.before.set('supervisors', () => {
    throw full();
  });
  await world.client.requestStop({
    workers: [],
    supervisors: [key],
    mode: 'graceful',
    stopBy: null,
  });
  await world.env.advance(5000);
  observed.before.clear();
  await world.env.advance(1000);
  await end(0, 3);
  assert.equal(result(), 0);
});
