import assert from 'node:assert/strict';
import type { Outcome } from '../../src/job.ts';
import { HOUR, MINUTE, SECOND } from './env.ts';
import {
  BACKOFF,
  FAILURE,
  ids,
  INTERRUPTED,
  LEASE,
  names,
  NO_RESOURCES,
  one,
  settled,
  SUCCESS,
} from './values.ts';
import type { ContractTest } from './world.ts';

export function results(test: ContractTest): void {
  test('exit 0 completes the job', async (w) => {
    const { hand, claimed } = await w.running('j');
    w.env.advance(MINUTE);
    const recorded = await hand.end(claimed, SUCCESS, { logBytes: 17 });
    assert.equal(settled(recorded).state, 'completed');
    const job = await w.job('j');
    assert.deepEqual([job.state, job.attempts, job.updatedAt], ['completed', 1, w.env.now()]);
    const { startedAt, finishedAt, outcome, exitCode, logBytes } = one(await w.history('j'));
    assert.deepEqual(
      [startedAt, finishedAt, outcome, exitCode, logBytes],
      [w.env.now() - MINUTE, w.env.now(), 'exited', 0, 17],
    );
    assert.deepEqual(await w.store.running(), []);
    w.env.advance(HOUR);
    assert.deepEqual(await hand.claim(), []);
  });

  const failures: [string, Outcome, { exitCode?: number; signal?: string; error?: string }][] = [
    ['an exit code', { kind: 'exited', code: 255 }, { exitCode: 255 }],
    ['a signal', { kind: 'signaled', signal: 'SIGSEGV', number: 11 }, { signal: 'SIGSEGV' }],
    [
      'a real-time signal',
      { kind: 'signaled', signal: 'SIGRTMIN+1', number: 35 },
      { signal: 'SIGRTMIN+1' },
    ],
    ['a timeout', { kind: 'timed_out' }, {}],
    [
      'a command that cannot be found',
      { kind: 'spawn_failed', error: 'nope: not found', code: 127, transient: false },
      { exitCode: 127, error: 'nope: not found' },
    ],
    ['an attempt that its worker lost', { kind: 'lost' }, {}],
  ];
  for (const [what, outcome, columns] of failures) {
    test(`${what} fails the job, which will be retried`, async (w) => {
      const { hand, claimed } = await w.running('j', { maxRetries: 1 });
      const { state, runAt } = settled(await hand.end(claimed, outcome, { logBytes: null }));
      assert.deepEqual([state, runAt], ['failed', w.env.now() + 2 * SECOND]);
      const job = await w.job('j');
      assert.deepEqual([job.state, job.attempts, job.runAt], ['failed', 1, runAt]);
      const { exitCode = null, signal = null, error = null } = columns;
      const attempt = one(await w.history('j'));
      assert.deepEqual(
        [attempt.outcome, attempt.exitCode, attempt.signal, attempt.error, attempt.logBytes],
        [outcome.kind, exitCode, signal, error, null],
      );

      w.env.advance(2 * SECOND);
      assert.equal(settled(await hand.end(await hand.claimOne(), outcome)).state, 'dead');
      w.env.advance(24 * HOUR);
      assert.deepEqual(await hand.claim(), []);
    });
  }

  test('without retries the first failure is the last', async (w) => {
    const { hand, claimed } = await w.running('j', { maxRetries: 0 });
    assert.equal(settled(await hand.end(claimed, FAILURE)).state, 'dead');
    assert.equal((await w.job('j')).attempts, 1);
  });

  test('the backoff is never earlier than the formula and at most a tenth later', async (w) => {
    const { hand, claimed } = await w.running('j', { maxRetries: 40 });
    const backoff = { base: 3, max: HOUR };
    let attempt = claimed;
    for (let n = 1; n <= 12; n += 1) {
      const random = w.env.random();
      const ended = [{ attempt, outcome: FAILURE, logBytes: 0, random }];
      const { recorded } = await hand.turn({ ended, backoff });
      const { runAt } = settled(one(recorded));
      const wait = (runAt ?? 0) - w.env.now();
      const formula = Math.min(3 ** n * SECOND, HOUR);
      assert.ok(wait >= formula && wait <= Math.ceil(1.1 * formula), `attempt ${n} waits ${wait}`);
      w.env.advance(wait - 1);
      assert.deepEqual(await hand.claim(), []);
      w.env.advance(1);
      attempt = await hand.claimOne();
    }
  });

  test('the jitter spreads jobs that failed together', async (w) => {
    await w.add(...names('j', 50).map((id) => ({ id })));
    const hand = await w.hand();
    const ended = (await hand.claim(50)).map((attempt) => ({
      attempt,
      outcome: FAILURE,
      logBytes: 0,
      random: w.env.random(),
    }));
    const { recorded } = await hand.turn({ ended });
    const waits = recorded.map((record) => (settled(record).runAt ?? 0) - w.env.now());
    assert.ok(waits.every((wait) => wait >= 2000 && wait <= 2200));
    assert.ok(new Set(waits).size > 25, 'not all at once');
  });

  test('attempt 1,100 with base 2 is finite, in range and recorded (LQ-10)', async (w) => {
    const { hand, claimed } = await w.running('j', { maxRetries: 2000 });
    let attempt = claimed;
    while (attempt.attempts < 1100) {
      const { runAt } = settled(await hand.end(attempt, FAILURE, { random: 0.999 }));
      w.env.setWall(runAt ?? 0);
      attempt = await hand.claimOne();
    }
    const { state, runAt } = settled(await hand.end(attempt, FAILURE, { random: 0.999 }));
    assert.equal(state, 'failed');
    const wait = (runAt ?? 0) - w.env.now();
    assert.ok(wait >= HOUR && wait <= 1.1 * HOUR);
    assert.equal((await w.job('j')).attempts, 1100);
    assert.doesNotThrow(() => new Date(runAt ?? Number.NaN).toISOString());
  });

  test('a cap of nothing makes a failed job due at once', async (w) => {
    const { hand, claimed } = await w.running('j');
    const ended = [{ attempt: claimed, outcome: FAILURE, logBytes: 0, random: 0.5 }];
    const turn = await hand.turn({ ended, backoff: { base: 2, max: 0 }, slots: 1 });
    assert.equal(settled(one(turn.recorded)).state, 'failed');
    assert.deepEqual(ids(turn.claimed), ['j']);
    assert.equal(one(turn.claimed).number, 2);
  });

  test('an interrupted attempt gives the job back uncharged, and its number stays used', async (w) => {
    const { hand, claimed } = await w.running('j', { maxRetries: 0 });
    for (let number = 1; number <= 5; number += 1) {
      const attempt = number === 1 ? claimed : await hand.claimOne();
      assert.deepEqual([attempt.number, attempt.attempts], [number, 1]);
      assert.equal(settled(await hand.end(attempt, INTERRUPTED)).state, 'pending');
      const job = await w.job('j');
      assert.deepEqual([job.attempts, job.lastAttempt], [0, number]);
    }
    const history = await w.history('j');
    assert.deepEqual(
      history.map(({ number, outcome }) => [number, outcome]),
      [1, 2, 3, 4, 5].map((number) => [number, 'interrupted']),
    );
  });

  test('a job given back keeps its place in the line', async (w) => {
    await w.add(...names('j', 3).map((id) => ({ id })));
    const hand = await w.hand();
    await hand.end(await hand.claimOne(), INTERRUPTED);
    assert.deepEqual(await hand.claimAll(), ['j0', 'j1', 'j2']);
  });

  test('an interrupted retry goes back to pending and is as charged as before', async (w) => {
    const { hand, claimed } = await w.running('j', { maxRetries: 1 });
    await hand.end(claimed, FAILURE);
    w.env.advance(MINUTE);
    assert.equal(settled(await hand.end(await hand.claimOne(), INTERRUPTED)).state, 'pending');
    assert.equal((await w.job('j')).attempts, 1);
    assert.equal(settled(await hand.end(await hand.claimOne(), FAILURE)).state, 'dead');
  });

  test('no resources to start it: delayed a second, not charged', async (w) => {
    const { hand, claimed } = await w.running('j', { maxRetries: 0 });
    const { state, runAt } = settled(await hand.end(claimed, NO_RESOURCES));
    assert.deepEqual([state, runAt], ['pending', w.env.now() + SECOND]);
    const job = await w.job('j');
    assert.deepEqual([job.state, job.attempts, job.lastAttempt], ['pending', 0, 1]);
    const { outcome, exitCode, error } = one(await w.history('j'));
    assert.deepEqual([outcome, exitCode, error], ['spawn_failed', 126, 'no more processes']);
    w.env.advance(SECOND - 1);
    assert.deepEqual(await hand.claim(), []);
    w.env.advance(1);
    assert.equal((await hand.claimOne()).attempts, 1);
  });

  test('one turn records many results and fills the slots they leave', async (w) => {
    await w.add(...names('j', 6).map((id) => ({ id, maxRetries: 0 })));
    const hand = await w.hand({ concurrency: 3 });
    const outcomes = [SUCCESS, FAILURE, INTERRUPTED];
    const ended = (await hand.claim(3)).map((attempt, index) => ({
      attempt,
      outcome: outcomes[index] ?? SUCCESS,
      logBytes: index,
      random: 0,
    }));
    const turn = await hand.turn({ ended, slots: 3 });
    assert.deepEqual(
      turn.recorded.map((recorded) => settled(recorded).state),
      ['completed', 'dead', 'pending'],
    );
    assert.deepEqual(ids(turn.claimed), ['j2', 'j3', 'j4']);
  });

  test('a history names who ran what, oldest first, a running attempt included', async (w) => {
    const { hand, claimed } = await w.running('j');
    await hand.end(claimed, FAILURE);
    await w.store.endWorker(hand.key, 'went home');
    w.env.advance(MINUTE);
    const other = await w.hand();
    await other.claimOne();
    const history = await w.history('j');
    assert.deepEqual(
      history.map(({ number, worker, outcome }) => [number, worker, outcome]),
      [
        [1, hand.name, 'exited'],
        [2, other.name, null],
      ],
    );
    assert.deepEqual((await w.job('j')).last, history[1]);
  });

  test('the lease of a claim is the one its turn asked for', async (w) => {
    await w.add({ id: 'j' });
    const hand = await w.hand();
    await hand.turn({ slots: 1, lease: 3 * LEASE, backoff: BACKOFF });
    assert.equal(one(await w.store.running()).leaseUntil, w.env.boot() + 3 * LEASE);
  });
}
