// What `wait` answers, for every way in which a job can end. SH-19.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exitCodeOf, outcomeText } from '../../src/cli/outcome.ts';
import type { Attempt } from '../../src/job.ts';
import { ATTEMPT, JOB } from './cli-samples.ts';

const dead = (last: Partial<Attempt>): number =>
  exitCodeOf({ ...JOB, last: { ...ATTEMPT, ...last } });

test('the exit code of a dead job is that of its last attempt', () => {
  assert.equal(dead({ outcome: 'exited', exitCode: 9 }), 9);
  assert.equal(dead({ outcome: 'timed_out', exitCode: null }), 124);
  assert.equal(dead({ outcome: 'spawn_failed', exitCode: 126 }), 126);
  assert.equal(dead({ outcome: 'spawn_failed', exitCode: 127 }), 127);
  assert.equal(dead({ outcome: 'lost', exitCode: null }), 125);
  assert.equal(dead({ outcome: 'signaled', exitCode: null, signal: 'SIGKILL' }), 137);
  assert.equal(dead({ outcome: 'signaled', exitCode: null, signal: 'SIGTERM' }), 143);
  assert.equal(dead({ outcome: 'signaled', exitCode: null, signal: 'SIGRTMIN' }), 162);
  assert.equal(dead({ outcome: 'signaled', exitCode: null, signal: 'SIGRTMIN+1' }), 163);
  // The C library's own.
  assert.equal(dead({ outcome: 'signaled', exitCode: null, signal: 'SIG32' }), 160);
  assert.equal(dead({ outcome: 'signaled', exitCode: null, signal: 'of another system' }), 128);
});

test('completed and cancelled jobs, with or without an attempt', () => {
  assert.equal(exitCodeOf({ ...JOB, state: 'completed' }), 0);
  assert.equal(exitCodeOf({ ...JOB, state: 'cancelled' }), 130);
  assert.equal(exitCodeOf({ ...JOB, state: 'cancelled', last: null }), 130);
  assert.equal(exitCodeOf({ ...JOB, state: 'dead', last: null }), 125);
});

test('every outcome has its words', () => {
  const text = (change: Partial<Attempt>): string => outcomeText({ ...ATTEMPT, ...change });
  assert.equal(text({ outcome: null }), 'running');
  assert.equal(text({ exitCode: 0 }), 'succeeded');
  assert.equal(text({ exitCode: 9 }), 'exit code 9');
  assert.equal(text({ outcome: 'signaled', signal: 'SIGKILL' }), 'killed by SIGKILL');
  assert.equal(text({ outcome: 'timed_out' }), 'timed out');
  assert.equal(text({ outcome: 'spawn_failed', error: 'x: not found' }), 'x: not found');
  assert.equal(text({ outcome: 'lost' }), 'lost: its worker died');
  assert.equal(text({ outcome: 'lost', error: 'w1 is gone' }), 'lost: w1 is gone');
});
