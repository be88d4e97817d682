// What holds of a connection: hints of commits by others, versions, and its end.

import assert from 'node:assert/strict';
import { EventEmitter, on } from 'node:events';
import { systemEnv } from '../../src/env.ts';
import { BACKOFF, LEASE, names, query, refusal, SUCCESS } from './values.ts';
import type { ContractTest } from './world.ts';

/** Nothing but a commit rings, so any ring will do, however slow the machine is. */
const SOON_MS = 10_000;

/** Looks at each ring, and only then. */
class Bell {
  readonly #rings = new EventEmitter();
  count = 0;

  readonly ring = (): void => {
    this.count += 1;
    this.#rings.emit('ring');
  };

  /** Resolves at a ring after which `seen` is true; rejects when that takes too long. */
  async until(seen: () => Promise<boolean>): Promise<void> {
    const signal = AbortSignal.timeout(SOON_MS);
    for await (const _ of on(this.#rings, 'ring', { signal })) {
      if (await seen()) return;
    }
  }
}

export function connection(test: ContractTest): void {
  test('a watch rings soon after a commit by another process', async (w) => {
    const peer = await w.peer();
    const store = await w.open({ env: systemEnv });
    const bell = new Bell();
    const watch = store.watch(bell.ring);
    try {
      for (const id of names('j', 20)) {
        const rung = bell.until(async () => (await store.find(id)) !== null);
        await peer.call('enqueue', [w.newJob({ id })]);
        await rung;
      }
    } finally {
      watch.close();
    }
  });

  test('a watch rings for results, cancels, settings and stop requests', async (w) => {
    const { hand, claimed } = await w.running('j');
    await w.add({ id: 'waits' });
    const peer = await w.peer();
    const store = await w.open({ env: systemEnv });
    const bell = new Bell();
    const watch = store.watch(bell.ring);
    const ended = [{ attempt: claimed, outcome: SUCCESS, logBytes: 0, random: 0 }];
    const turn = { worker: hand.key, ended, backoff: BACKOFF, slots: 0, lease: LEASE };
    const stop = { workers: null, supervisors: null, mode: 'now', stopBy: null } as const;
    const commits: [() => Promise<unknown>, () => Promise<boolean>][] = [
      [() => peer.call('turn', turn), async () => (await w.state('j')) === 'completed'],
      [() => peer.call('cancel', ['waits']), async () => (await w.state('waits')) === 'cancelled'],
      [
        () => peer.call('setSetting', 'lease', '2s'),
        async () => (await store.settings()).get('lease') === '2s',
      ],
      [() => peer.call('requestStop', stop), async () => (await hand.attend()).stop === 'now'],
    ];
    try {
      for (const [commit, seen] of commits) {
        const rung = bell.until(seen);
        await commit();
        await rung;
      }
    } finally {
      watch.close();
    }
  });

  test('a watch that is closed rings no more, and its neighbours go on', async (w) => {
    const peer = await w.peer();
    const store = await w.open({ env: systemEnv });
    const [closed, open] = [new Bell(), new Bell()];
    const [first, second] = [store.watch(closed.ring), store.watch(open.ring)];
    first.close();
    first.close();
    try {
      const rung = open.until(async () => (await store.find('j')) !== null);
      await peer.call('enqueue', [w.newJob({ id: 'j' })]);
      await rung;
      assert.equal(closed.count, 0);
    } finally {
      second.close();
    }
  });

  test('the version grows when another connection has committed, and only then', async (w) => {
    const other = await w.open();
    let version = await w.store.version();
    assert.equal(await w.store.version(), version);
    for (let n = 0; n < 3; n += 1) {
      await other.enqueue([w.newJob()]);
      const grown = await w.store.version();
      assert.ok(grown > version, `${grown} > ${version}`);
      assert.equal(await w.store.version(), grown);
      version = grown;
    }
    await other.stats();
    assert.equal(await w.store.version(), version);
  });

  test('the version grows with commits of another process', async (w) => {
    const peer = await w.peer();
    const version = await w.store.version();
    await peer.call('enqueue', [w.newJob()]);
    assert.ok((await w.store.version()) > version);
  });

  test('every connection names the same database, and no two databases are the same', async (w) => {
    const { databaseId } = w.store;
    assert.ok(databaseId.length >= 16);
    assert.equal((await w.open()).databaseId, databaseId);
    assert.equal(await (await w.peer({ open: false })).open(), databaseId);
    const elsewhere = await w.backend.create();
    const store = await w.backend.open(elsewhere.address, { env: w.env, patience: 0 });
    const otherId = store.databaseId;
    await store.close();
    await elsewhere.remove();
    assert.notEqual(otherId, databaseId);
  });

  test('what one connection has stored, a new one finds', async (w) => {
    const job = await w.bring('j', 'dead');
    await w.store.close();
    const reopened = await w.open();
    assert.deepEqual(await reopened.find('j'), job);
  });

  test('closing is idempotent, and a closed store rejects', async (w) => {
    const store = await w.open();
    await store.close();
    await store.close();
    const calls: (() => Promise<unknown>)[] = [
      () => store.enqueue([w.newJob()]),
      () => store.find('x'),
      () => store.list(query()),
      () => store.stats(),
      () => store.probe(),
      () => store.version(),
      () => store.settings(),
    ];
    for (const call of calls) {
      // Called inside: it must reject, not throw.
      const answer = call();
      await assert.rejects(answer, refusal('unavailable'));
    }
    await w.add({ id: 'the others go on' });
  });
}
