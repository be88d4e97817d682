// Several real processes on one database.

import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import type { CancelAnswer } from '../../src/store/store.ts';
import { shuffled } from './env.ts';
import { allJobs } from './invariants.ts';
import { BACKOFF, FAILURE, ids, LEASE, names, query, SUCCESS } from './values.ts';
import type { ContractTest } from './world.ts';

export function races(test: ContractTest): void {
  test('4 processes claim and complete 2,000 jobs: none doubled, none lost', async (w) => {
    const jobs = names('j', 2000);
    await w.add(...jobs.map((id) => ({ id })));
    const peers = await w.peers(4);
    const drained = await Promise.all(peers.map((peer) => peer.drain(4)));

    const ran = drained.flatMap((each) => each.ran);
    assert.deepEqual(ids(ran).toSorted(), jobs.toSorted());
    assert.ok(ran.every(({ number }) => number === 1));
    assert.equal(new Set(ran.map(({ runToken }) => runToken)).size, 2000);
    assert.deepEqual(
      drained.map(({ stale }) => stale),
      [0, 0, 0, 0],
    );
    const raced = drained.filter((each) => each.ran.length > 0).length;
    assert.ok(raced >= 2, 'more than one process got some');
    for (const { ran: own } of drained) {
      const tokens = own.map(({ runToken }) => runToken);
      assert.deepEqual(
        tokens,
        tokens.toSorted((a, b) => a - b),
        'tokens grow as claims are made',
      );
    }
    const { counts } = await w.store.stats();
    assert.deepEqual(counts, [{ queue: 'default', state: 'completed', n: 2000 }]);
  });

  test('jobs enqueued while 2 processes drain are all run, in no process twice', async (w) => {
    await w.add({ id: 'first' });
    const [a, b, c, d] = await w.peers(4);
    assert.ok(a && b && c && d);
    // Holds the drainers back until everything has arrived: it is theirs to wait for.
    const { hand, claimed } = await w.running('held');
    const drained = [c.drain(3), d.drain(3)];
    const arrivals = names('j', 150).map((id) => ({ id }));
    await Promise.all(
      arrivals.map((job, index) => (index % 2 === 0 ? a : b).call('enqueue', [w.newJob(job)])),
    );
    await hand.end(claimed, SUCCESS);
    const ran = (await Promise.all(drained)).flatMap((each) => each.ran);
    assert.deepEqual(ids(ran).toSorted(), ['first', ...ids(arrivals)].toSorted());
  });

  test('4 processes enqueue the same ids at once: one job each', async (w) => {
    const peers = await w.peers(4);
    const jobs = names('j', 60);
    const answers = await Promise.all(
      peers.flatMap((peer) =>
        shuffled(jobs, w.env).map((id) =>
          peer.call('enqueue', [w.newJob({ id })], { ifAbsent: true }),
        ),
      ),
    );
    const created = answers.flat().filter((answer) => answer.created);
    assert.deepEqual(ids(created).toSorted(), jobs.toSorted());
    assert.equal((await allJobs(w.store)).length, 60);
  });

  test('cancel races claim: cancelled means that it never started (guarantee 9)', async (w) => {
    const jobs = names('j', 400);
    await w.add(...jobs.map((id) => ({ id })));
    const [a, b, c] = await w.peers(3);
    assert.ok(a && b && c);
    const drained = [a.drain(2), b.drain(2)];
    const answers = new Map<string, CancelAnswer>();
    await Promise.all(
      shuffled(jobs, w.env).map(async (id) => {
        const [answer] = await c.call('cancel', [id]);
        if (answer !== undefined) answers.set(id, answer);
      }),
    );
    const ran = new Set((await Promise.all(drained)).flatMap((each) => ids(each.ran)));
    for (const job of await allJobs(w.store)) {
      const answer = answers.get(job.id);
      const [state, started] =
        answer === 'already_finished' ? ['completed', true] : ['cancelled', answer !== 'cancelled'];
      assert.equal(job.state, state, `${job.id}: ${answer}`);
      assert.equal(ran.has(job.id), started, `${job.id}: ${answer}`);
      assert.equal(job.last !== null, started);
    }
  });

  test('a result and two reapers race: one of them is recorded (LQ-02)', async (w) => {
    const jobs = names('j', 200);
    await w.add(...jobs.map((id) => ({ id })));
    const hand = await w.hand({ concurrency: 200 });
    const claimed = await hand.claim(200);
    const running = await w.store.running();
    const [owner, first, second] = await w.peers(3);
    assert.ok(owner && first && second);

    const results = claimed.map((attempt) =>
      owner.call('turn', {
        worker: hand.key,
        ended: [{ attempt, outcome: SUCCESS, logBytes: 0, random: 0 }],
        backoff: BACKOFF,
        slots: 0,
        lease: LEASE,
      }),
    );
    // From the other end, so that they meet in the middle.
    const reaps = [first, second].flatMap((peer) =>
      running.toReversed().map((attempt) => {
        const { leaseUntil } = attempt;
        return peer.call('reap', { attempt, leaseUntil, reason: 'x', backoff: BACKOFF, random: 0 });
      }),
    );
    const recorded = (await Promise.all(results)).flatMap((turn) => turn.recorded);
    const reaped = await Promise.all(reaps);
    const won = [...recorded, ...reaped].filter(({ stale }) => !stale);
    assert.equal(won.length, 200, 'each attempt ended once');
    const completed = recorded.filter(({ stale }) => !stale).length;
    const states = (await allJobs(w.store)).map(({ state }) => state);
    assert.equal(states.filter((state) => state === 'completed').length, completed);
    assert.equal(states.filter((state) => state === 'failed').length, 200 - completed);
  });

  test('4 processes retry all that is dead: one new run each, and they add up (LQ-13)', async (w) => {
    const jobs = names('d', 1000);
    await w.bury(jobs);
    const { jobs: newest } = await w.store.list(query({ limit: 1 }));
    const peers = await w.peers(4);
    const upTo = newest[0]?.key ?? 0;
    const loops = await Promise.all(peers.map((peer) => peer.retryAllDead(upTo)));
    const keys = loops.flatMap((loop) => loop.keys);
    assert.equal(keys.length, 1000);
    assert.equal(new Set(keys).size, 1000);
  });

  test('what was acknowledged to a process that is killed then is there', async (w) => {
    const peer = await w.peer();
    await peer.call('enqueue', [w.newJob({ id: 'before' })]);
    const { key } = await peer.call('registerWorker', {
      identity: { host: 'h', bootId: 'b', pidNamespace: '', pid: 1, startTime: '1' },
      supervisor: null,
      queues: null,
      concurrency: 1,
    });
    const turn = { worker: key, ended: [], backoff: BACKOFF, slots: 1, lease: LEASE };
    const { claimed } = await peer.call('turn', turn);
    await peer.kill();
    assert.equal(await w.state('before'), 'processing');
    const reopened = await w.open();
    assert.deepEqual(
      (await reopened.running()).map(({ runToken }) => runToken),
      claimed.map(({ runToken }) => runToken),
    );
  });

  test('processes killed in the middle of their writes leave nothing half done', async (w) => {
    const jobs = names('j', 300);
    await w.add(...jobs.map((id) => ({ id, maxRetries: 0 })));
    const peers = await w.peers(3);
    const drained = peers.map((peer) => peer.drain(2).catch(() => null));
    // Whatever they are at: as soon as some jobs are done.
    while (((await w.store.stats()).throughput[0]?.succeeded ?? 0) < 20) await setImmediate();
    await Promise.all(peers.map((peer) => peer.kill()));
    await Promise.all(drained);
    for (const attempt of await w.store.running()) await w.reap(attempt);
    for (const worker of await w.store.workers()) await w.store.endWorker(worker.key, 'killed');
    const hand = await w.hand();
    await hand.endAll(await hand.claim(300), FAILURE);
    const states = new Set((await allJobs(w.store)).map(({ state }) => state));
    assert.deepEqual([...states].toSorted(), ['completed', 'dead']);
  });
}
