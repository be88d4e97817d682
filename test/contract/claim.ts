import assert from 'node:assert/strict';
import { MINUTE, SECOND, shuffled } from './env.ts';
import { FAILURE, ids, INTERRUPTED, LEASE, names, one } from './values.ts';
import type { ContractTest } from './world.ts';

export function claim(test: ContractTest): void {
  test('higher priority goes first, below zero too', async (w) => {
    const priorities = [0, -1000, 5, 1000, -1, 5, 0];
    await w.add(...priorities.map((priority, index) => ({ id: `${priority}#${index}`, priority })));
    const hand = await w.hand();
    const order = ['1000#3', '5#2', '5#5', '0#0', '0#6', '-1#4', '-1000#1'];
    assert.deepEqual(await hand.claimAll(), order);
  });

  test('at equal priority the earlier due time goes first', async (w) => {
    const now = w.env.now();
    await w.add(
      { id: 'arrived' },
      { id: 'due long ago', runAt: now - MINUTE },
      { id: 'due longer ago', runAt: now - 2 * MINUTE },
      { id: 'due soon', runAt: now + SECOND },
    );
    w.env.advance(2 * SECOND);
    await w.add({ id: 'arrived later' });
    const hand = await w.hand();
    assert.deepEqual(await hand.claimAll(), [
      'due longer ago',
      'due long ago',
      'arrived',
      'due soon',
      'arrived later',
    ]);
  });

  test('equal in everything, arrival decides, never the id', async (w) => {
    const arrival = shuffled(names('j', 300), w.env);
    await w.add(...arrival.slice(0, 100).map((id) => ({ id })));
    for (const id of arrival.slice(100, 200)) await w.add({ id });
    await w.add(...arrival.slice(200).map((id) => ({ id })));
    const hand = await w.hand();
    assert.deepEqual(await hand.claimAll(), arrival);
  });

  test('jobs that share one run_at start in order of arrival', async (w) => {
    const runAt = w.env.now() + MINUTE;
    const arrival = shuffled(names('j', 300), w.env);
    await w.add(...arrival.map((id) => ({ id, runAt })));
    w.env.advance(MINUTE);
    const hand = await w.hand();
    assert.deepEqual(ids(await hand.claim(150)), arrival.slice(0, 150));
    assert.deepEqual(await hand.claimAll(), arrival.slice(150));
  });

  test('a worker for all queues takes the best of all of them', async (w) => {
    await w.add(
      { id: 'a0', queue: 'a' },
      { id: 'b9', queue: 'b', priority: 9 },
      { id: 'b0', queue: 'b' },
      { id: 'c1', queue: 'c', priority: 1 },
      { id: 'a9', queue: 'a', priority: 9 },
    );
    const hand = await w.hand();
    assert.deepEqual(ids(await hand.claim(2)), ['b9', 'a9']);
    assert.deepEqual(await hand.claimAll(), ['c1', 'a0', 'b0']);
  });

  test('a worker for some queues takes from those only, in the same order', async (w) => {
    await w.add(
      { id: 'a', queue: 'a' },
      { id: 'b', queue: 'b', priority: 1 },
      { id: 'c', queue: 'c', priority: 9 },
      { id: 'a2', queue: 'a', priority: 2 },
    );
    const ab = await w.hand({ queues: ['b', 'a'] });
    assert.deepEqual(await ab.claimAll(), ['a2', 'b', 'a']);
    const nowhere = await w.hand({ queues: ['A', 'a ', 'no such queue', 'c%'] });
    assert.deepEqual(await nowhere.claimAll(), []);
    const none = await w.hand({ queues: [] });
    assert.deepEqual(await none.claimAll(), []);
    const c = await w.hand({ queues: ['c'] });
    assert.deepEqual(await c.claimAll(), ['c']);
  });

  test('a queue that comes into being later is served by who asked for it', async (w) => {
    const hand = await w.hand({ queues: ['tomorrow'] });
    assert.deepEqual(await hand.claim(), []);
    await w.add({ id: 'x', queue: 'tomorrow' });
    assert.deepEqual(await hand.claimAll(), ['x']);
  });

  test('a claim takes as many jobs as there are slots, or as there are jobs', async (w) => {
    await w.add(...names('j', 7).map((id) => ({ id })));
    const hand = await w.hand({ concurrency: 4 });
    assert.deepEqual(await hand.claim(0), []);
    assert.deepEqual(ids(await hand.claim(4)), ['j0', 'j1', 'j2', 'j3']);
    assert.deepEqual(ids(await hand.claim(4)), ['j4', 'j5', 'j6']);
    assert.deepEqual(await hand.claim(4), []);
  });

  test('two workers never get the same job', async (w) => {
    await w.add(...names('j', 20).map((id) => ({ id })));
    const hands = [await w.hand(), await w.hand({}, await w.open())];
    const claimed: string[] = [];
    for (let round = 0; round < 10; round += 1) {
      for (const hand of hands) claimed.push((await hand.claimOne()).id);
    }
    assert.deepEqual(claimed, names('j', 20));
  });

  test('a claim brings everything the attempt needs', async (w) => {
    const spec = { args: ['sleep', '1'], env: { A: 'b' }, env_from: ['C'], stdin: '/in' };
    const job = { id: 'j', command: 'sleep 1', spec, cwd: '/x', path: null, queue: 'q' };
    const created = one(await w.add({ ...job, timeout: 5000, maxRetries: 7 }));
    const hand = await w.hand();
    const claimed = await hand.claimOne();
    assert.deepEqual(claimed, {
      ...job,
      kind: 'command',
      key: created.key,
      number: 1,
      runToken: claimed.runToken,
      timeout: 5000,
      attempts: 1,
      maxRetries: 7,
    });
  });

  test('a claim is on record before anything starts: state, charge, number, lease', async (w) => {
    const identity = {
      host: 'h',
      bootId: 'b',
      pidNamespace: 'n',
      pid: 4242,
      startTime: '99',
    };
    await w.add({ id: 'j' });
    const hand = await w.hand({ identity });
    w.env.advance(SECOND);
    const claimed = await hand.claimOne();
    const job = await w.job('j');
    assert.deepEqual([job.state, job.attempts, job.lastAttempt], ['processing', 1, 1]);
    assert.equal(job.updatedAt, w.env.now());
    assert.deepEqual(one(await w.history('j')), {
      number: 1,
      runToken: claimed.runToken,
      worker: hand.name,
      host: 'h',
      pid: 4242,
      startedAt: w.env.now(),
      finishedAt: null,
      outcome: null,
      exitCode: null,
      signal: null,
      error: null,
      logBytes: null,
    });
    assert.deepEqual(one(await w.store.running()), {
      key: job.key,
      number: 1,
      runToken: claimed.runToken,
      jobId: 'j',
      worker: hand.key,
      workerName: hand.name,
      owner: identity,
      leaseUntil: w.env.boot() + LEASE,
      cancelRequested: false,
    });
  });

  test('a retry is charged and numbered anew, a job given back keeps its number', async (w) => {
    const { hand, claimed } = await w.running('j', { maxRetries: 5 });
    await hand.end(claimed, FAILURE);
    w.env.advance(MINUTE);
    const second = await hand.claimOne();
    assert.deepEqual([second.number, second.attempts], [2, 2]);
    await hand.end(second, INTERRUPTED);
    const third = await hand.claimOne();
    assert.deepEqual([third.number, third.attempts], [3, 2]);
  });

  test('run tokens only grow: over jobs, workers, connections and a new opening', async (w) => {
    const tokens: number[] = [];
    for (const id of names('j', 5)) {
      const { hand, claimed } = await w.running(id);
      tokens.push(claimed.runToken);
      await hand.end(claimed, INTERRUPTED);
      tokens.push((await hand.claimOne()).runToken);
    }
    const other = await w.open();
    await w.store.close();
    await other.enqueue([w.newJob({ id: 'z', queue: 'z' })]);
    tokens.push((await (await w.hand({ queues: ['z'] }, other)).claimOne()).runToken);
    await other.close();
    const reopened = await w.open();
    await reopened.enqueue([w.newJob({ id: 'y', queue: 'y' })]);
    tokens.push((await (await w.hand({ queues: ['y'] }, reopened)).claimOne()).runToken);
    assert.ok(tokens.every((token) => token > 0));
    assert.deepEqual(
      tokens,
      [...new Set(tokens)].toSorted((a, b) => a - b),
    );
  });

  test('who is no registered worker gets nothing', async (w) => {
    await w.add({ id: 'j' });
    const hand = await w.hand();
    const { claimed } = await hand.turn({ worker: hand.key + 1000, slots: 1 });
    assert.deepEqual(claimed, []);
    assert.equal(await w.state('j'), 'pending');
  });
}
