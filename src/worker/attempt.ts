// One running command: its output to the log, its timeout, and the one piece of code that
// ends its processes, whatever the cause. Guards guarantees 8 and 10: TERM, time to react,
// KILL until nobody is left; never a wait without an end.
//
// What is ended, and how long it has to react to TERM:
//   timeout, cancel      everything of the attempt, found by marker too   kill_after
//   the worker stops     its group                                        kill_after
//   a lost lease         everything of the attempt                        none, KILL at once
//   the command ended    what is left of its group, after draining        500 ms
// The time runs for the whole group from TERM on: a shell dies of it at once, and what it
// had started may still be cleaning up.

import { type Env, MAX_TIMER_MS, pause } from '../env.ts';
import type { Outcome } from '../job.ts';
import {
  isRunning,
  killAndWait,
  type ProcessRef,
  processesOf,
  signalGroup,
  signalProcesses,
  type Trace,
} from '../platform/processes.ts';
import { straysOf } from '../platform/strays.ts';
import type { ExitStatus, Spawned } from '../platform/starter.ts';
import type { LogWriter } from './output.ts';
import type { AttemptEnd, EndCause, RunningAttempt } from './runner.ts';

/** Guarantee 10: how long output may go on when the command's own process has ended. */
const DRAIN_MS = 200;
/** Guarantee 10: what is left of its group then has so long to react to TERM. */
const LEFTOVER_GRACE_MS = 500;

/** How often we try again to end what cannot be ended: stuck in the kernel, or setuid. */
const UNKILLABLE_POLL_MS = 1000;

/** CONT, because one that was stopped could not react. */
const TERMINATE = ['SIGTERM', 'SIGCONT'] as const;

/** How often we look whether ended processes are gone: soon at first, then less often. */
const FIRST_POLL_MS = 2;
const LONGEST_POLL_MS = 50;

export interface AttemptOptions {
  readonly env: Env;
  readonly spawned: Spawned;
  /** What its processes are found by; the leader is the process that was started. */
  readonly trace: Trace & { readonly leader: ProcessRef };
  readonly log: LogWriter;
  /** Ms; null: none. */
  readonly timeout: number | null;
  /** Ms between TERM and KILL, asked when an end begins. */
  readonly killAfter: () => number;
  /** Called with who outlives the command's own process, whose number tells no more who they are. */
  readonly onLeft: (processes: readonly ProcessRef[]) => void;
  /** Called once, when nothing of it is left. */
  readonly onEnd: () => void;
  /** For the operator: processes that could not be ended. */
  readonly warn: (message: string) => void;
}

/** Watches over a command that was just started. */
export function superviseCommand(options: AttemptOptions): RunningAttempt {
  return new RunningCommand(options);
}

class RunningCommand implements RunningAttempt {
  readonly ended: Promise<AttemptEnd>;
  readonly #options: AttemptOptions;
  /** How its own process ended; null while it runs. */
  #exit: ExitStatus | null = null;
  readonly #exited: Promise<void>;
  /** Why we ended it; null: it ended by itself. */
  #cause: EndCause | null = null;
  /** Also those who left the group. */
  #everywhere = false;
  /** Aborted by a lost lease: every grace is over. Made when somebody asks for it. */
  #hurryController: AbortController | null = null;
  /** The processes being ended; null: nobody does. */
  #ending: Promise<void> | null = null;
  readonly #pumping: Promise<void>;
  #over = false;

  constructor(options: AttemptOptions) {
    const { spawned, log } = options;
    this.#options = options;
    this.#exited = spawned.exited.then((exit) => {
      this.#exit = exit;
    });
    this.#pumping = spawned.pump((stream, bytes) => log.write(stream, bytes, options.env.now()));
    this.ended = this.#run();
  }

  end(cause: EndCause): void {
    // Asked again with every look until it has ended.
    const known = this.#cause !== null && (this.#everywhere || cause === 'interrupted');
    if (this.#over || (known && cause !== 'lost')) return;
    // One that has ended before TERM was sent keeps its own result, even if we have not
    // been told of its end yet.
    const runs = this.#exit === null && isRunning(this.#options.trace.leader);
    if (!runs && cause !== 'lost') return;
    if (runs) this.#cause ??= cause;
    if (cause !== 'interrupted') this.#everywhere = true;
    if (cause === 'lost') this.#hurry.abort();
    this.#ending ??= this.#endProcesses(this.#options.killAfter(), []);
  }

  get #hurry(): AbortController {
    return (this.#hurryController ??= new AbortController());
  }

  async #run(): Promise<AttemptEnd> {
    const { spawned, log, timeout } = this.#options;
    const timer = timeout === null ? null : new AbortController();
    const timing = timer === null ? null : this.#watchTimeout(timeout ?? 0, timer.signal);
    await this.#exited;
    timer?.abort();
    await timing;
    if (this.#ending === null) await this.#endLeftovers();
    if (this.#ending !== null) {
      await this.#ending;
      // What it said while it was ended is in the pipe still.
      await this.#drain();
    }
    if (!spawned.outputEnded()) {
      // Somebody outside the group holds the pipe: what follows is not the command's.
      await spawned.closeOutput();
    }
    await this.#pumping;
    this.#over = true;
    this.#options.onEnd();
    return { outcome: this.#outcome(), logBytes: log.end(), logKept: log.kept };
  }

  #outcome(): Outcome {
    if (this.#cause !== null) return { kind: this.#cause };
    const exit = this.#exit;
    if (exit === null) return { kind: 'lost' };
    if (exit.signal === null) return { kind: 'exited', code: exit.code ?? 0 };
    return { kind: 'signaled', signal: exit.signal.name, number: exit.signal.number };
  }

  async #watchTimeout(timeout: number, signal: AbortSignal): Promise<void> {
    const { env } = this.#options;
    for (let left = timeout; left > 0; left -= MAX_TIMER_MS) {
      if (!(await pause(env, Math.min(left, MAX_TIMER_MS), signal))) return;
    }
    this.end('timed_out');
  }

  /** Its own process has ended by itself: drains, and ends who is left of its group. */
  async #endLeftovers(): Promise<void> {
    const { env } = this.#options;
    // Asked at once: who bears the group's number now has it from its leader.
    const asked = this.#leftovers(env.boot());
    await this.#drain();
    const left = await asked;
    if (left.length > 0) this.#ending ??= this.#endProcesses(LEFTOVER_GRACE_MS, left);
  }

  async #leftovers(endedAt: number): Promise<readonly ProcessRef[]> {
    const { trace, onLeft, warn } = this.#options;
    const left = await processesOf([trace], { scope: 'group', endedAt });
    if (left === null) warn(`cannot see what is left of attempt ${trace.marker}: it stays`);
    if (left === null || left.length === 0) return [];
    onLeft(left);
    return left;
  }

  /** Waits until all output is on file, at most DRAIN_MS. */
  async #drain(): Promise<void> {
    if (this.#options.spawned.outputEnded()) return;
    const done = new AbortController();
    const tooLong = pause(this.#options.env, DRAIN_MS, done.signal);
    await Promise.race([this.#pumping, tooLong]);
    done.abort();
    await tooLong;
  }

  /**
   * The one way in which processes of an attempt are ended. Its group has got TERM when
   * this returns its promise; after `grace` ms, or once the lease is lost, KILL.
   */
  async #endProcesses(grace: number, known: readonly ProcessRef[]): Promise<void> {
    const { trace, env, warn } = this.#options;
    if (this.#everywhere) void this.#tellOfStrays();
    let seen = known;
    if (!this.#hurry.signal.aborted) {
      const deadline = env.boot() + grace;
      await this.#terminate(known);
      seen = await this.#react(deadline, known);
    }
    const kill = (): Promise<boolean> => {
      // All of it dies together, and without a look where none is possible.
      if (this.#leads()) signalGroup(trace.leader.pid, 'SIGKILL');
      return killAndWait([trace], {
        scope: this.#scope(),
        known: seen,
        sleep: (ms) => env.sleep(ms),
      });
    };
    if (await kill()) return;
    warn(`processes of attempt ${trace.marker} do not end, or may not be ended by us`);
    // What a command that ended by itself has left behind cannot take its result back. But
    // one that we ended must be gone before its job may run again (guarantee 5).
    while (this.#cause !== null) {
      await env.sleep(UNKILLABLE_POLL_MS);
      if (await kill()) return;
    }
  }

  /** By the same look at all processes that finds whom to signal: it was asked for first. */
  async #tellOfStrays(): Promise<void> {
    const strays = await straysOf(this.#options.trace);
    if (strays !== null) this.#options.warn(`ending ${strays}`);
  }

  #scope(): 'group' | 'all' {
    return this.#everywhere ? 'all' : 'group';
  }

  /** Its own process runs, so that the group with its number is its own. */
  #leads(): boolean {
    return this.#exit === null && isRunning(this.#options.trace.leader);
  }

  /** The group at once; whoever else is to be found, a moment later. */
  async #terminate(known: readonly ProcessRef[]): Promise<void> {
    const { trace } = this.#options;
    const group = trace.leader.pid;
    const leads = this.#leads();
    if (leads) for (const signal of TERMINATE) signalGroup(group, signal);
    if (leads && !this.#everywhere) return;
    const except = leads ? { except: group } : {};
    await signalProcesses([trace], TERMINATE, { scope: this.#scope(), known, ...except });
  }

  /** Waits until all are gone, the grace is over or the lease is lost; answers who is left. */
  async #react(deadline: number, known: readonly ProcessRef[]): Promise<readonly ProcessRef[]> {
    const { env, trace } = this.#options;
    const graceOver = new AbortController();
    const stop = AbortSignal.any([this.#hurry.signal, graceOver.signal]);
    const waited = pause(env, Math.max(0, deadline - env.boot()), stop);
    await Promise.race([this.#exited, waited]);
    graceOver.abort();
    await waited;

    let seen = known;
    while (!this.#hurry.signal.aborted) {
      const now = await processesOf([trace], { scope: this.#scope(), known: seen });
      if (now?.length === 0) return now;
      // Nobody can say who is there: they get their time all the same.
      let mayRun = now === null;
      seen = now ?? seen;
      for (let wait = FIRST_POLL_MS; mayRun || seen.some(isRunning); wait *= 2) {
        const left = deadline - env.boot();
        if (left <= 0) return seen;
        const next = Math.min(mayRun ? LONGEST_POLL_MS : wait, left, LONGEST_POLL_MS);
        if (!(await pause(env, next, this.#hurry.signal))) return seen;
        mayRun = false;
      }
    }
    return seen;
  }
}
