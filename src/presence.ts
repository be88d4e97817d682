// Who, of those that the store has on record, is gone for good. One rule for all who ask:
// the reaper, `worker stop`, `worker list`, and the hint that nobody serves a queue.

import type { Env } from './env.ts';
import { type ProcessIdentity, selfIdentity } from './platform/identity.ts';
import type { Store, SupervisorRecord, WorkerRecord } from './store/store.ts';

/** Certainly gone: it has ended, or the machine has booted since. */
export function isGone(
  store: Pick<Store, 'oneMachine'>,
  env: Env,
  identity: ProcessIdentity,
  self: ProcessIdentity = selfIdentity(),
): boolean {
  if (store.oneMachine && identity.bootId !== self.bootId) return true;
  return env.liveness(identity) === 'gone';
}

/**
 * Also one that nobody here can see, of another container say, and that has been silent
 * for its lease. A container that was removed never says goodbye.
 */
export function isWorkerGone(
  store: Pick<Store, 'oneMachine'>,
  env: Env,
  worker: WorkerRecord,
): boolean {
  if (isGone(store, env, worker.identity)) return true;
  return env.liveness(worker.identity) === 'unknown' && worker.leaseUntil <= env.boot();
}

/** A supervisor that nobody here can see lives as long as one of its workers does. */
export function isSupervisorGone(
  store: Store,
  env: Env,
  supervisor: SupervisorRecord,
  living: readonly WorkerRecord[],
): boolean {
  if (isGone(store, env, supervisor.identity)) return true;
  if (env.liveness(supervisor.identity) !== 'unknown') return false;
  return !living.some((worker) => worker.supervisor === supervisor.key);
}
