// Commands that are nothing but a duration and an exit code. They belong to the machine, not
// to the worker that started them: they go on when it is stopped or dies, until somebody
// ends them, and write down from outside the queue what they did.

import type { Outcome } from '../../src/job.ts';
import type { Claimed } from '../../src/store/store.ts';
import type { Leftovers } from '../../src/worker/leftovers.ts';
import type { AttemptEnd, EndCause, RunningAttempt, Runner } from '../../src/worker/runner.ts';
import type { Span } from '../faults/kit/history.ts';
import type { Profile } from './profile.ts';
import type { Scheduler, SimProcess } from './scheduler.ts';

/** How long we try to end what cannot be ended, as killAndWait does. */
const PATIENCE_MS = 3000;
const LONGEST_STUCK_MS = 8000;
const REACTION_MS = 500;

export class Commands {
  readonly spans: Span[] = [];
  readonly #scheduler: Scheduler;
  readonly #profile: Profile;
  readonly #running = new Set<Command>();

  constructor(scheduler: Scheduler, profile: Profile) {
    this.#scheduler = scheduler;
    this.#profile = profile;
  }

  get running(): readonly string[] {
    return [...this.#running].map(({ job }) => `${job.id}: attempt ${job.number}`);
  }

  /** Starts commands for one worker. */
  runner(worker: SimProcess): Runner {
    return { start: (job) => this.#start(job, worker) };
  }

  /** Ends what dead workers left, for one reaper. */
  leftovers(reaper: SimProcess): Leftovers {
    return {
      end: async (runTokens) => {
        const asked = [...this.#running].filter(({ job }) => runTokens.includes(job.runToken));
        const deadline = this.#scheduler.clocks.boot + PATIENCE_MS;
        const { chance } = this.#scheduler;
        for (const command of asked) command.kill(chance.between(0, 20));
        await this.#scheduler.hold(0, reaper, 'looks for leftovers');
        while (asked.some((command) => this.#running.has(command))) {
          if (this.#scheduler.clocks.boot >= deadline) return false;
          await this.#scheduler.hold(chance.between(1, 100), reaper, 'waits for leftovers');
        }
        return true;
      },
      forget: () => {
        // Nothing was written down.
      },
    };
  }

  #start(job: Claimed, worker: SimProcess): RunningAttempt {
    const { chance } = this.#scheduler;
    if (chance.happens(this.#profile.unstartable)) {
      const transient = chance.happens(0.5);
      const outcome = { kind: 'spawn_failed', error: 'EAGAIN', code: 126, transient } as const;
      this.#scheduler.note(worker.name, `cannot start ${job.id}`);
      return { ended: Promise.resolve({ outcome, logBytes: 0 }), end: () => undefined };
    }
    if ([...this.#running].some((other) => other.job.id === job.id)) this.#write('OVERLAP', job);
    this.#write('S', job);
    const code = chance.happens(0.65) ? 0 : chance.between(1, 3);
    const command = new Command(this.#scheduler, job, worker, (exited) => {
      this.#running.delete(command);
      if (exited) this.#write('E', job, code);
      return { kind: 'exited', code };
    });
    this.#running.add(command);
    const runs = chance.between(0, this.#profile.longest);
    if (chance.happens(this.#profile.stuck)) {
      command.stuckUntil = this.#scheduler.clocks.boot + chance.between(0, LONGEST_STUCK_MS);
    }
    this.#scheduler.in(runs, null, `${job.id}/${job.number} ends by itself`, () => command.exit());
    return command;
  }

  #write(what: Span['what'], { id, number }: Claimed, code = 0): void {
    this.#scheduler.note(`${id}/${number}`, `writes ${what} ${code}`);
    this.spans.push({ what, id, attempt: number, at: this.#scheduler.stamp(), code });
  }
}

class Command implements RunningAttempt {
  readonly job: Claimed;
  readonly ended: Promise<AttemptEnd>;
  stuckUntil = 0;
  readonly #scheduler: Scheduler;
  readonly #worker: SimProcess;
  readonly #gone: (exited: boolean) => Outcome;
  readonly #tell: (end: AttemptEnd) => void;
  #cause: EndCause | null = null;
  #over = false;

  constructor(
    scheduler: Scheduler,
    job: Claimed,
    worker: SimProcess,
    gone: (exited: boolean) => Outcome,
  ) {
    this.#scheduler = scheduler;
    this.job = job;
    this.#worker = worker;
    this.#gone = gone;
    const { promise, resolve } = Promise.withResolvers<AttemptEnd>();
    this.ended = promise;
    this.#tell = resolve;
  }

  /** Its worker ends it. */
  end(cause: EndCause): void {
    if (this.#over) return;
    this.#cause ??= cause;
    // A lost lease is KILL at once, everything else TERM and time to react.
    this.kill(this.#scheduler.chance.between(0, cause === 'lost' ? 20 : REACTION_MS));
  }

  kill(ms: number): void {
    const wait = Math.max(ms, this.stuckUntil - this.#scheduler.clocks.boot);
    this.#scheduler.in(wait, null, `${this.job.id}/${this.job.number} is killed`, () => {
      if (this.#over) return;
      this.#end(false, { kind: 'signaled', signal: 'SIGKILL', number: 9 });
    });
  }

  exit(): void {
    if (!this.#over) this.#end(true, null);
  }

  #end(exited: boolean, killed: Outcome | null): void {
    this.#over = true;
    const own = this.#gone(exited);
    if (this.#worker.dead) return;
    // What we ended is booked as that, whatever code the command then returned.
    const outcome: Outcome = this.#cause === null ? (killed ?? own) : { kind: this.#cause };
    this.#scheduler.in(0, this.#worker, `learns of the end of ${this.job.id}`, () =>
      this.#tell({ outcome, logBytes: 0 }),
    );
  }
}
