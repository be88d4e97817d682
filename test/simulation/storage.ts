// The real SQLite store as a simulated process has it: every call waits for its turn, may
// fail before it is done, may fail after it was committed, and may answer late. What was
// committed is noted here, on the clock of the simulation, for the checker.

import { QueuectlError } from '../../src/errors.ts';
import type {
  Claimed,
  Reaping,
  Recorded,
  Renewal,
  StopRequest,
  Store,
  Turn,
  TurnResult,
} from '../../src/store/store.ts';
import { type Call, ObservedStore } from '../fixtures/engine.ts';
import type { Profile } from './profile.ts';
import type { Scheduler, SimProcess } from './scheduler.ts';

/** Calls after which the wake file is touched. */
const WAKING = new Set<string>([
  'enqueue',
  'cancel',
  'retry',
  'endWorker',
  'workerReady',
  'requestStop',
  'reap',
  'setSetting',
]);

/** Of the shortest lease there is. */
const SHORTEST_INTERVAL_MS = 333;

/** When an attempt was claimed and when its end was committed, by run token. */
export interface Committed {
  readonly process: SimProcess;
  readonly startedAt: number;
  finishedAt: number | null;
  /** Boot clock, as of the last renewal that was committed. */
  leasedUntil: number;
}

/** Something that must not be, by the name of what it breaks. */
export interface Broken {
  readonly invariant: string;
  readonly told: string;
}

interface Figures {
  failedBefore: number;
  failedAfter: number;
  late: number;
  /** Recorded by somebody else before. */
  staleResults: number;
  staleReaps: number;
  /** Reaped. */
  lost: number;
}

export class Storage {
  readonly committed = new Map<number, Committed>();
  readonly figures: Figures = {
    failedBefore: 0,
    failedAfter: 0,
    late: 0,
    staleResults: 0,
    staleReaps: 0,
    lost: 0,
  };
  /** Faults happen. */
  stormy = true;
  /** Called when something was committed that ends an attempt or a wait. */
  onCommit: () => void = () => undefined;
  /** What was seen at the moment of a commit and must not be. */
  readonly broken: Broken[] = [];
  /** Called right after a turn's commit: may kill or stop the worker there. */
  strike: (process: SimProcess) => void = () => undefined;
  readonly #dueAt = new Map<number, number>();
  /** Keys of workers that were told to stop. */
  readonly #told = new Set<number>();
  readonly #scheduler: Scheduler;
  readonly #profile: Profile;
  readonly #watching = new Map<SimProcess, ObservedStore>();

  constructor(scheduler: Scheduler, profile: Profile) {
    this.#scheduler = scheduler;
    this.#profile = profile;
  }

  /** The store of one process; closed when that dies. */
  of(process: SimProcess, store: Store): Store {
    const observed = new ObservedStore(store, 'scripted', (call, perform) =>
      this.#call(process, call, perform),
    );
    this.#watching.set(process, observed);
    process.onDeath = () => {
      this.#watching.delete(process);
      void store.close();
    };
    return observed.store;
  }

  async #call(process: SimProcess, call: Call, perform: () => Promise<unknown>): Promise<unknown> {
    const { chance } = this.#scheduler;
    const { late, failsBefore, failsAfter } = this.#profile;
    const share = (of: number): boolean => this.stormy && chance.happens(of);
    const slow = share(late);
    if (slow) process.troubles.add('late');
    // Even a quick call takes its time, in which others come first.
    const quick = chance.happens(0.3) ? chance.between(1, 3) : 0;
    await this.#scheduler.hold(slow ? this.#delay() : quick, process, call.method);
    if (share(failsBefore)) {
      this.figures.failedBefore += 1;
      process.troubles.add('failed before');
      throw this.#failed(process, call, chance.one(['full', 'busy', 'unavailable']));
    }
    const answer = await perform();
    this.#note(process, call, answer);
    if (call.method === 'turn' && this.stormy) {
      this.strike(process);
      // Nothing of it goes on before it does.
      if (process.stopped || process.dead) await this.#scheduler.hold(0, process, 'goes on');
    }
    // A claim whose answer comes late is what a fence is for.
    if (share(call.method === 'turn' ? 3 * late : late)) {
      this.figures.late += 1;
      process.troubles.add('late');
      await this.#scheduler.hold(this.#delay(), process, `${call.method} answers late`);
    }
    if (share(failsAfter)) {
      this.figures.failedAfter += 1;
      process.troubles.add('failed after');
      throw this.#failed(process, call, 'unavailable');
    }
    return answer;
  }

  /** Mostly short, now and then well past a lease. */
  #delay(): number {
    const { chance } = this.#scheduler;
    const { lease } = this.#profile;
    return chance.happens(0.6) ? chance.between(1, 200) : chance.between(0, lease * 4000);
  }

  #failed(
    process: SimProcess,
    { method }: Call,
    code: 'full' | 'busy' | 'unavailable',
  ): QueuectlError {
    this.#scheduler.note(process.name, `${method} fails: ${code}`);
    return new QueuectlError(code, `${method}: ${code}`);
  }

  #note(process: SimProcess, { method, args }: Call, answer: unknown): void {
    let wakes = WAKING.has(method);
    if (method === 'turn') {
      const [{ worker, ended, lease }] = args as [Turn];
      const { recorded, claimed } = answer as TurnResult;
      for (const [index, result] of recorded.entries()) this.#end(ended[index]?.attempt, result);
      for (const job of claimed) this.#claim(process, job, lease);
      wakes = ended.length > 0;
      this.figures.staleResults += recorded.filter(({ stale }) => stale).length;
      if (claimed.length > 0 && this.#told.has(worker)) {
        const told = `${process.name} was told to stop and has claimed`;
        this.broken.push({ invariant: 'who stops claims nothing', told });
      }
    } else if (method === 'reap') {
      const [{ attempt }] = args as [Reaping];
      const recorded = answer as Recorded;
      if (recorded.stale) this.figures.staleReaps += 1;
      else {
        this.figures.lost += 1;
        // Seen expired, and once more a renew interval later.
        this.#holdsLease(attempt.runToken, SHORTEST_INTERVAL_MS);
      }
      this.#end(attempt, recorded);
    } else if (method === 'renew') {
      const [{ attempts, lease }] = args as [Renewal];
      const { lost } = answer as { readonly lost: readonly number[] };
      for (const { runToken } of attempts) {
        const record = this.committed.get(runToken);
        if (record === undefined || lost.includes(runToken)) continue;
        record.leasedUntil = this.#scheduler.clocks.boot + lease;
      }
    } else if (method === 'requestStop') {
      for (const key of (args as [StopRequest])[0].workers ?? []) this.#told.add(key);
    } else if (method === 'retry') {
      // Due at once, whatever it waited for before.
      this.#dueAt.clear();
    }
    if (!wakes) return;
    this.onCommit();
    for (const [other, observed] of this.#watching) {
      if (this.#scheduler.chance.happens(this.#profile.deaf)) continue;
      const ms = this.#scheduler.chance.between(0, 3);
      this.#scheduler.in(ms, other, 'is woken', () => observed.ring());
    }
  }

  /** Before a reaper ends the processes of these attempts. */
  ending(reaper: SimProcess, runTokens: readonly number[]): void {
    // One that was held up may act on what is no longer so; then the reaping is refused.
    if (reaper.troubles.size > 0) return;
    for (const runToken of runTokens) this.#holdsLease(runToken, 0);
  }

  #holdsLease(runToken: number, grace: number): void {
    const record = this.committed.get(runToken);
    if (record === undefined || record.process.dead) return;
    const left = record.leasedUntil + grace - this.#scheduler.clocks.boot;
    if (left <= 0) return;
    const told = `token ${runToken} of ${record.process.name}, ${left} ms too soon`;
    this.broken.push({ invariant: 'no lease is cut short', told });
  }

  #claim(process: SimProcess, { id, key, number, runToken }: Claimed, lease: number): void {
    this.#scheduler.note(process.name, `has claimed ${id}/${number} as ${runToken}`);
    const startedAt = this.#scheduler.stamp();
    const leasedUntil = this.#scheduler.clocks.boot + lease;
    this.committed.set(runToken, { process, startedAt, finishedAt: null, leasedUntil });
    const early = (this.#dueAt.get(key) ?? 0) - this.#scheduler.clocks.wall;
    const told = `${id}: attempt ${number} was claimed ${early} ms early`;
    if (early > 0) this.broken.push({ invariant: 'nothing early', told });
  }

  #end(attempt: { key: number; runToken: number } | undefined, recorded: Recorded): void {
    if (recorded.stale) {
      this.#scheduler.note(`token ${attempt?.runToken}`, 'was stale');
      return;
    }
    const record = this.committed.get(attempt?.runToken ?? 0);
    if (attempt === undefined || record === undefined) return;
    record.finishedAt = this.#scheduler.stamp();
    if (recorded.runAt !== null) this.#dueAt.set(attempt.key, recorded.runAt);
    this.#scheduler.note(`token ${attempt.runToken}`, `is recorded: ${recorded.state}`);
  }
}
