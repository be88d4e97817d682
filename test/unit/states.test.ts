// docs/states.md says what the code does, and settle() does nothing that the table of
// transitions does not allow.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isTerminal,
  type Outcome,
  settle,
  STATES,
  TERMINAL_STATES,
  TRANSITIONS,
} from '../../src/job.ts';
import { documentedRows, documentedTransitions } from '../fixtures/transitions.ts';

test('the table of transitions in the docs is the one in the code', () => {
  const told = documentedTransitions();
  const real = TRANSITIONS.map(({ verb, from, to, when }) => [verb, from ?? '–', to ?? '–', when]);
  assert.deepEqual(told, real);
});

test('every state is explained in the docs, in the order of the code', () => {
  const told = documentedRows('## What each state means').map(([state]) =>
    state?.replaceAll('`', ''),
  );
  assert.deepEqual(told, [...STATES]);
});

test('nothing leaves a terminal state but dead, when asked; others are only deleted', () => {
  const leaving = TRANSITIONS.filter(({ from }) => from !== null && isTerminal(from));
  assert.deepEqual(
    leaving.map(({ verb, from }) => `${verb} ${from}`),
    ['retry dead', 'delete completed', 'delete dead', 'delete cancelled'],
  );
  assert.deepEqual([...TERMINAL_STATES], ['completed', 'dead', 'cancelled']);
});

const OUTCOMES: Outcome[] = [
  { kind: 'exited', code: 0 },
  { kind: 'exited', code: 1 },
  { kind: 'signaled', signal: 'SIGSEGV', number: 11 },
  { kind: 'timed_out' },
  { kind: 'spawn_failed', error: 'x', code: 127, transient: false },
  { kind: 'spawn_failed', error: 'x', code: 126, transient: true },
  { kind: 'lost' },
  { kind: 'cancelled' },
  { kind: 'interrupted' },
];

test('settle only makes moves that the table allows', () => {
  for (const outcome of OUTCOMES) {
    for (const cancelRequested of [false, true]) {
      for (const attempts of [1, 3]) {
        const backoff = { base: 2, max: 60_000 };
        const { verb, state, delay, charged } = settle(outcome, {
          attempts,
          maxRetries: 2,
          cancelRequested,
          backoff,
          random: 0.5,
        });
        const allowed = TRANSITIONS.some(
          (move) => move.verb === verb && move.from === 'processing' && move.to === state,
        );
        assert.ok(allowed, `${outcome.kind}: ${verb} to ${state}`);
        assert.equal(charged, verb !== 'release', `${outcome.kind}: charged`);
        if (state === 'failed') assert.ok((delay ?? 0) >= 2000, 'a retry waits');
        if (cancelRequested) assert.equal(state, 'cancelled', 'an acknowledged cancel wins');
      }
    }
  }
});

test('a job dies when attempts exceeds max_retries, not before', () => {
  const base = { cancelRequested: false, backoff: { base: 2, max: 60_000 }, random: 0 };
  const failed: Outcome = { kind: 'exited', code: 1 };
  assert.equal(settle(failed, { ...base, attempts: 2, maxRetries: 2 }).state, 'failed');
  assert.equal(settle(failed, { ...base, attempts: 3, maxRetries: 2 }).state, 'dead');
  assert.equal(settle(failed, { ...base, attempts: 1, maxRetries: 0 }).state, 'dead');
});
