// One simulated machine: its clocks, its processes, and everything that may happen next.
// Whatever could happen at the same moment happens in an order drawn from the seed, one
// thing at a time: nothing of it is lost, and the same seed gives the same order.

import type { Liveness, ProcessIdentity } from '../../src/platform/identity.ts';
import { Chance, seeded } from '../fixtures/random.ts';
import { Clocks, runPromises, VirtualEnv } from '../fixtures/time.ts';

interface Happening {
  /** Boot clock. */
  readonly at: number;
  readonly label: string;
  /** Whose: it does not happen while that one is stopped. null: of the machine. */
  readonly process: SimProcess | null;
  readonly run: () => void;
}

export class Scheduler {
  readonly clocks = new Clocks();
  readonly chance: Chance;
  readonly draw: () => number;
  /** What happened, a line each: `boot clock, who, what`. */
  readonly trace: string[] = [];
  readonly #happenings = new Set<Happening>();
  readonly #processes = new Set<SimProcess>();
  #pids = 100;
  #stamps = 0;

  constructor(seed: number) {
    this.draw = seeded(seed);
    this.chance = new Chance(this.draw);
  }

  /** A new process; pids are never used twice here, so that a pid names a worker. */
  spawn(role: string): SimProcess {
    this.#pids += 1;
    const process = new SimProcess(this, `${role}-${this.#pids}`, this.#pids);
    this.#processes.add(process);
    return process;
  }

  get living(): SimProcess[] {
    return [...this.#processes];
  }

  bury(process: SimProcess): void {
    this.#processes.delete(process);
    for (const happening of this.#happenings) {
      if (happening.process === process) this.#happenings.delete(happening);
    }
  }

  /** Lets `run` happen in `ms`, or as soon after as its process runs. */
  in(ms: number, process: SimProcess | null, label: string, run: () => void): void {
    if (process?.dead === true) return;
    this.#happenings.add({ at: this.clocks.boot + ms, label, process, run });
  }

  /** Resolves in `ms`; never, if the process dies before. */
  hold(ms: number, process: SimProcess, label: string): Promise<void> {
    return new Promise((resolve) => {
      this.in(ms, process, label, resolve);
    });
  }

  /** The boot clock, told so finely that no two moments are the same. */
  stamp(): number {
    this.#stamps += 1;
    return this.clocks.boot + this.#stamps * 1e-7;
  }

  note(who: string, what: string): void {
    this.trace.push(`${this.clocks.boot} ${who} ${what}`);
  }

  /** Lets things happen until `done` or for `ms`; true if it is done. */
  async run(ms: number, done: () => boolean): Promise<boolean> {
    const end = this.clocks.boot + ms;
    await runPromises();
    while (!done()) {
      const { ready, next } = this.#look();
      const chosen = this.chance.one(ready);
      if (chosen !== undefined) {
        this.note(chosen.process?.name ?? 'machine', chosen.label);
        chosen.run();
        await runPromises();
      } else if (next > end) {
        this.clocks.pass(Math.max(end - this.clocks.boot, 0));
        return false;
      } else {
        this.clocks.pass(next - this.clocks.boot);
      }
    }
    return true;
  }

  /** What can happen now, and when something can that cannot yet. */
  #look(): { ready: Happening[]; next: number } {
    const now = this.clocks.boot;
    const ready: Happening[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (const happening of this.#happenings) {
      if (happening.process?.stopped === true) continue;
      if (happening.at > now) {
        next = Math.min(next, happening.at);
        continue;
      }
      const run = (): void => {
        this.#happenings.delete(happening);
        happening.run();
      };
      ready.push({ ...happening, run });
    }
    for (const process of this.#processes) {
      if (process.stopped) continue;
      for (const { at, ms, wake } of process.env.sleepers) {
        if (at <= now) ready.push({ at, label: `slept ${ms}`, process, run: wake });
        else next = Math.min(next, at);
      }
    }
    return { ready, next };
  }
}

export type Trouble = 'killed' | 'stopped' | 'late' | 'failed before' | 'failed after';

/** A process: it runs, is stopped, or is gone for good. */
export class SimProcess {
  readonly name: string;
  readonly identity: ProcessIdentity;
  readonly env: ProcessEnv;
  readonly #scheduler: Scheduler;
  #state: 'runs' | 'stopped' | 'dead' = 'runs';
  /** What was done to it: a process without may blame nobody for what it loses. */
  readonly troubles = new Set<Trouble>();
  /** Done as the kernel would when it dies. */
  onDeath: () => void = () => {
    // It holds nothing yet.
  };

  constructor(scheduler: Scheduler, name: string, pid: number) {
    this.#scheduler = scheduler;
    this.name = name;
    this.identity = { host: 'sim', bootId: 'sim', pidNamespace: 'sim', pid, startTime: `${pid}` };
    this.env = new ProcessEnv(scheduler);
  }

  get stopped(): boolean {
    return this.#state === 'stopped';
  }

  get dead(): boolean {
    return this.#state === 'dead';
  }

  /** SIGSTOP: time goes by, its timers and answers wait. */
  stop(): void {
    if (this.dead) return;
    this.troubles.add('stopped');
    this.#scheduler.note(this.name, 'SIGSTOP');
    this.#state = 'stopped';
  }

  /** The machine has other things to do: it goes on a little later. Nothing to complain of. */
  lag(ms: number): void {
    if (this.#state !== 'runs') return;
    this.#state = 'stopped';
    this.#scheduler.in(ms, null, `lets ${this.name} run`, () => this.go());
  }

  /** SIGCONT. */
  go(): void {
    if (!this.stopped) return;
    this.#scheduler.note(this.name, 'SIGCONT');
    this.#state = 'runs';
  }

  /** SIGKILL, or its own end: nothing that it awaits ever comes. */
  die(how: string): void {
    if (this.dead) return;
    this.#scheduler.note(this.name, how);
    this.#state = 'dead';
    this.#scheduler.bury(this);
    this.onDeath();
  }
}

/** What one process sees of the machine. */
class ProcessEnv extends VirtualEnv {
  readonly #scheduler: Scheduler;

  constructor(scheduler: Scheduler) {
    super(scheduler.clocks);
    this.#scheduler = scheduler;
  }

  override random(): number {
    return this.#scheduler.draw();
  }

  override liveness({ pid }: ProcessIdentity): Liveness {
    const lives = this.#scheduler.living.some(({ identity }) => identity.pid === pid);
    return lives ? 'alive' : 'gone';
  }
}
