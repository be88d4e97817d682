// Values that every test needs, and what it wants to say about answers.

import assert from 'node:assert/strict';
import { QueuectlError, type ErrorCode } from '../../src/errors.ts';
import type { Outcome, State } from '../../src/job.ts';
import type { ProcessIdentity } from '../../src/platform/identity.ts';
import {
  type ListQuery,
  type MatchQuery,
  NO_FILTER,
  type Recorded,
  type Store,
} from '../../src/store/store.ts';
import { HOUR, MINUTE } from './env.ts';

export const SUCCESS: Outcome = { kind: 'exited', code: 0 };
export const FAILURE: Outcome = { kind: 'exited', code: 1 };
export const INTERRUPTED: Outcome = { kind: 'interrupted' };
export const NO_RESOURCES: Outcome = {
  kind: 'spawn_failed',
  error: 'no more processes',
  code: 126,
  transient: true,
};

/** Of every worker, unless a test is about leases. */
export const LEASE = MINUTE;
export const BACKOFF = { base: 2, max: HOUR };

let processes = 0;

/** Another process at every call. */
export function identity(): ProcessIdentity {
  processes += 1;
  return {
    host: 'mole.example',
    bootId: '3f0c9a',
    pidNamespace: 'pid:[4026531836]',
    pid: 1000 + processes,
    startTime: String(777_000 + processes),
  };
}

/** The only item. */
export function one<T>(items: readonly T[]): T {
  const [item] = items;
  assert.equal(items.length, 1, 'exactly one is expected');
  return item as T;
}

export function ids(jobs: readonly { readonly id: string }[]): string[] {
  return jobs.map(({ id }) => id);
}

/** `['x0', 'x1', …]`: names that sort otherwise as text than by number. */
export function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}

/** What was recorded, of an attempt that still owned its job. */
export function settled(recorded: Recorded): { state: State; runAt: number | null } {
  assert.ok(!recorded.stale, 'the run token still owned the job');
  return { state: recorded.state, runAt: recorded.runAt };
}

/** A filter that lets everything through. */
export function query(parts: Partial<ListQuery> = {}): ListQuery {
  return { ...NO_FILTER, sort: 'newest', limit: 1000, cursor: null, ...parts };
}

/** Which of the dead, and how many of them, a step is about. */
type DeadQuery = Partial<MatchQuery>;

/** One step of a verb on the dead: finds them, then acts on them. */
export async function stepOnDead(
  store: Store,
  verb: 'retryFound' | 'deleteFound',
  parts: DeadQuery = {},
): Promise<{ found: number[]; acted: number[] }> {
  const filter: MatchQuery = {
    ...NO_FILTER,
    states: ['dead'],
    after: 0,
    upTo: Number.MAX_SAFE_INTEGER,
    limit: 1000,
    ...parts,
  };
  const found = await store.match(filter);
  return { found, acted: await store[verb]({ keys: found, filter }) };
}

/** For assert.rejects: one of ours, with this code and, where given, naming this. */
export function refusal(code: ErrorCode, naming = ''): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof QueuectlError, `a QueuectlError, not ${String(error)}`);
    assert.equal(error.code, code, error.message);
    assert.ok(error.message.includes(naming), `${error.message} names ${naming}`);
    return true;
  };
}
