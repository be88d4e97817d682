// Attempts whose owner is gone, or does not renew: their processes are ended first, then
// they are recorded `lost` and their jobs rescheduled. Every worker and supervisor does
// this; it is idempotent, so nobody has to be elected for it.
//
// Guarantee 5: no job of a dead worker runs again while its old processes live.
// Guarantee 7: a lease is judged by its owner's liveness and the boot clock. A living
// owner's expired lease is reaped only if it is still unrenewed one renew interval after
// we first saw it expired in a database that could be read.

import { resolveSettings, type Settings } from '../config.ts';
import { type Env, pause } from '../env.ts';
import { messageOf } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import type { ProcessIdentity } from '../platform/identity.ts';
import { isGone } from '../presence.ts';
import type { RunningAttempt, Store, SupervisorRecord, WorkerRecord } from '../store/store.ts';
import { RENEWALS_PER_LEASE } from './lease.ts';
import type { Leftovers } from './leftovers.ts';
import type { Log } from './log.ts';

/** How often each worker looks: twice within the second that guarantee 6 promises. */
const REAP_INTERVAL_MS = 500;

/** A look that comes later than this was held up: sleep, SIGSTOP, a machine under load. */
const HELD_UP_MS = 3 * REAP_INTERVAL_MS;

export interface ReaperOptions {
  readonly store: Store;
  readonly env: Env;
  readonly log: Log;
  /** Who looks: it never reaps itself. */
  readonly self: ProcessIdentity;
  readonly leftovers: Leftovers;
}

interface Lease {
  readonly name: string;
  readonly of: RunningAttempt | WorkerRecord;
}

interface Suspicion {
  readonly leaseUntil: number;
  /** Boot clock, ms. */
  readonly since: number;
}

export class Reaper {
  readonly #options: ReaperOptions;
  /** Expired leases whose owners may yet renew them. */
  #suspects = new Map<string, Suspicion>();
  #lastLook: number;
  /** Of dead workers, by key: a look and recover() may come to one at the same time. */
  readonly #burials = new Map<number, Promise<boolean>>();

  constructor(options: ReaperOptions) {
    this.#options = options;
    this.#lastLook = options.env.boot();
  }

  /** Looks until `signal` aborts. Storage errors are logged: the next look tries again. */
  async run(signal: AbortSignal): Promise<void> {
    const { env, log } = this.#options;
    while (await pause(env, REAP_INTERVAL_MS, signal)) {
      try {
        await this.look();
      } catch (error) {
        log(`could not look for dead workers: ${messageOf(error)}`, { level: 'warn' });
      }
    }
  }

  /** One look at all owners. */
  async look(): Promise<void> {
    const { store, env, self } = this.#options;
    // Who did not get to run cannot say for how long others did not renew.
    if (env.boot() - this.#lastLook > HELD_UP_MS) this.#suspects = new Map();
    const workers = await store.workers();
    // At once: one whose processes hang in the kernel must not hold up the others.
    const gone = workers.filter((worker) => this.#isGone(worker.identity));
    await Promise.all(gone.map((worker) => this.#bury(worker, 'died')));
    for (const supervisor of await store.supervisors()) {
      if (this.#isGone(supervisor.identity)) await this.#burySupervisor(supervisor);
    }
    const registered = new Set(workers.map((worker) => worker.key));
    const running = await store.running();
    const orphans = running.filter(({ worker }) => !registered.has(worker));
    await this.#reapOrphans(orphans.filter(({ owner }) => this.#isGone(owner)));
    await this.#reapExpired(
      running.filter(({ owner }) => !isSameProcess(owner, self) && !this.#isGone(owner)),
      workers.filter(
        ({ identity, jobs }) => env.liveness(identity) === 'unknown' && jobs.length === 0,
      ),
    );
    this.#lastLook = env.boot();
  }

  /**
   * Recovers one worker that its supervisor has seen dying, without waiting for a look.
   * False if not all of its attempts could be recorded.
   */
  async recover(identity: ProcessIdentity, how: string): Promise<boolean> {
    const workers = await this.#options.store.workers();
    const worker = workers.find((known) => isSameProcess(known.identity, identity));
    return worker === undefined || (await this.#bury(worker, how));
  }

  #bury(worker: WorkerRecord, how: string): Promise<boolean> {
    const begun = this.#burials.get(worker.key);
    if (begun !== undefined) return begun;
    const burial = this.#buryOnce(worker, how).finally(() => this.#burials.delete(worker.key));
    this.#burials.set(worker.key, burial);
    return burial;
  }

  async #buryOnce(worker: WorkerRecord, how: string): Promise<boolean> {
    const { store, log, leftovers } = this.#options;
    const reason = `worker ${worker.name} (pid ${worker.identity.pid}) ${how}`;
    log(reason, { level: 'warn' });
    // Read after it was seen gone: from then on it claims nothing more.
    const running = await store.running();
    const owned = running.filter((attempt) => attempt.worker === worker.key);
    if (!(await this.#reapAll(owned, worker.name, reason, true))) return false;
    await store.endWorker(worker.key, reason);
    leftovers.forget(worker.name);
    return true;
  }

  /** What is left of workers whose record somebody ended before their attempts. */
  async #reapOrphans(attempts: readonly RunningAttempt[]): Promise<void> {
    for (const [name, owned] of Map.groupBy(attempts, ({ workerName }) => workerName)) {
      await this.#reapAll(owned, name, `worker ${name} died`, true);
    }
  }

  async #burySupervisor(supervisor: SupervisorRecord): Promise<void> {
    const reason = `supervisor (pid ${supervisor.identity.pid}) died`;
    this.#options.log(`${reason}; its workers go on`, { level: 'warn' });
    await this.#options.store.endSupervisor(supervisor.key, reason);
  }

  /** True when all are recorded. Processes go first: an attempt that keeps one waits. */
  async #reapAll(
    attempts: readonly RunningAttempt[],
    workerName: string,
    reason: string,
    died: boolean,
  ): Promise<boolean> {
    if (attempts.length === 0) return true;
    const { store, env, log } = this.#options;
    const ended = await this.#endProcesses(attempts, workerName, died);
    if (ended.length < attempts.length) {
      log(`${reason}, but processes of its attempts cannot be ended; trying again`, {
        level: 'error',
      });
    }
    const { backoff } = await this.#settings();
    for (const attempt of ended) {
      failpoint('reap-after-kill');
      const random = env.random();
      const { leaseUntil } = attempt;
      const result = await store.reap({ attempt, leaseUntil, reason, backoff, random });
      const what = result.stale
        ? 'has ended or was renewed meanwhile; nothing is changed'
        : `lost, now ${result.state}`;
      log(`${attempt.jobId}: attempt ${attempt.number} ${what}`, {
        job: attempt.jobId,
        attempt: attempt.number,
        ...(!result.stale && { level: 'warn', outcome: 'lost', state: result.state }),
      });
    }
    return ended.length === attempts.length;
  }

  /** Those of whom nothing runs any more. */
  async #endProcesses(
    attempts: readonly RunningAttempt[],
    workerName: string,
    died: boolean,
  ): Promise<readonly RunningAttempt[]> {
    const { leftovers } = this.#options;
    const tokens = attempts.map((attempt) => attempt.runToken);
    if (await leftovers.end(tokens, workerName, died)) return attempts;
    if (attempts.length === 1) return [];
    // One that hangs in the kernel must not hold up the others.
    const gone = await Promise.all(tokens.map((token) => leftovers.end([token], workerName, died)));
    return attempts.filter((_, index) => gone[index] === true);
  }

  /**
   * Leases of owners that live, or of whom nobody here can tell; and workers of whom nobody
   * here can tell, in a container that was removed say, once they own nothing any more.
   */
  async #reapExpired(
    attempts: readonly RunningAttempt[],
    unseen: readonly WorkerRecord[],
  ): Promise<void> {
    const { store, env } = this.#options;
    const leases: Lease[] = [
      ...attempts.map((attempt) => ({ name: `attempt ${attempt.runToken}`, of: attempt })),
      ...unseen.map((worker) => ({ name: `worker ${worker.key}`, of: worker })),
    ].filter(({ of }) => of.leaseUntil <= env.boot());
    const known = this.#suspects;
    this.#suspects = new Map();
    if (leases.length === 0) return;
    // Also before reaping: who could not write for a while gets its time once more.
    const couldWrite = await this.#couldWrite();
    const interval = (await this.#settings()).lease / RENEWALS_PER_LEASE;
    const now = env.boot();
    const expired: RunningAttempt[] = [];
    for (const { name, of } of leases) {
      const suspicion = couldWrite ? known.get(name) : undefined;
      if (suspicion?.leaseUntil !== of.leaseUntil) {
        this.#suspects.set(name, { leaseUntil: of.leaseUntil, since: now });
      } else if (now - suspicion.since < interval) {
        this.#suspects.set(name, suspicion);
      } else if (!('runToken' in of)) {
        await store.endWorker(of.key, 'was not heard of any more');
      } else {
        expired.push(of);
      }
    }
    for (const [name, owned] of Map.groupBy(expired, ({ workerName }) => workerName)) {
      const unrenewed = await this.#unrenewed(owned);
      await this.#reapAll(unrenewed, name, `worker ${name} did not renew its lease`, false);
    }
  }

  /** As of now: a supervisor lives for months, and reaping is rare. */
  async #settings(): Promise<Settings> {
    return resolveSettings(await this.#options.store.settings());
  }

  /** Waits until a write is possible; false if that took so long that nobody could renew. */
  async #couldWrite(): Promise<boolean> {
    const { store, env } = this.#options;
    const begun = env.boot();
    await store.probe();
    return env.boot() - begun < REAP_INTERVAL_MS;
  }

  async #unrenewed(attempts: readonly RunningAttempt[]): Promise<readonly RunningAttempt[]> {
    const running = await this.#options.store.running();
    const leases = new Map(running.map(({ runToken, leaseUntil }) => [runToken, leaseUntil]));
    return attempts.filter(({ runToken, leaseUntil }) => leases.get(runToken) === leaseUntil);
  }

  #isGone(identity: ProcessIdentity): boolean {
    const { store, env, self } = this.#options;
    return isGone(store, env, identity, self);
  }
}

/** Two containers may well start a process with the same pid in the same clock tick. */
export function isSameProcess(a: ProcessIdentity, b: ProcessIdentity): boolean {
  return (
    a.pid === b.pid &&
    a.startTime === b.startTime &&
    a.pidNamespace === b.pidNamespace &&
    a.bootId === b.bootId &&
    a.host === b.host
  );
}
