// The processes of a storm and what is done to them: victims are found by role and draw,
// whoever is frozen is thawed again, and there are always about as many workers as wanted.

import { setTimeout as sleep } from 'node:timers/promises';
import { signal } from '../../fixtures/crew.ts';
import type { Deed, Victim } from './adversary.ts';
import type { Killed } from './history.ts';
import type { Lab, Member } from './lab.ts';

export interface Wanted {
  readonly workers: number;
  readonly concurrency: number;
}

interface Kill extends Killed {
  /** Somebody was there who could notice. */
  readonly witnessed: boolean;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Restarts of a supervisor may add workers to those that we start ourselves. */
const TOO_MANY = 1.5;
const START_PAUSE_MS = 700;
const BETWEEN_TERMS_MS = 300;
/** A stop takes effect at once, but not before this process has seen so. */
const FROZEN_MS = 5;

export class Crowd {
  readonly counts: Record<string, number> = {};
  readonly #lab: Lab;
  readonly #wanted: Wanted;
  readonly #kills: Kill[] = [];
  readonly #supervisorKills: Kill[] = [];
  readonly #frozen = new Set<number>();
  /** When somebody frozen held the write lock: nobody could record anything. */
  readonly #locked: Span[] = [];
  /** When a start was answered: from then on somebody is there. */
  readonly #started: number[] = [];
  readonly #pending = new Set<Promise<unknown>>();
  #failure: Error | null = null;
  #starting = 0;
  #lastStart = 0;

  constructor(lab: Lab, wanted: Wanted) {
    this.#lab = lab;
    this.#wanted = wanted;
  }

  /** SIGKILLs that met somebody. */
  get kills(): number {
    const { counts } = this;
    return ['worker', 'supervisor', 'command', 'enqueuer'].reduce(
      (sum, role) => sum + (counts[`kill ${role}`] ?? 0),
      0,
    );
  }

  /** Does it, and answers whom it met. */
  strike(deed: Exclude<Deed, { what: 'kill enqueuer' }>): readonly number[] {
    const members = this.#lab.members();
    switch (deed.what) {
      case 'kill': {
        const victims = deed.victims.flatMap((victim) => find(members, victim) ?? []);
        const unique = [...new Set(victims)];
        for (const victim of unique) this.#kill(victim, members, unique);
        return unique.map(({ pid }) => pid);
      }
      case 'freeze': {
        const victim = find(members, deed.victim);
        if (victim === undefined || this.#frozen.has(victim.pid)) return [];
        this.#count(`freeze ${victim.role}`);
        this.#wait(this.#freeze(victim.pid, deed.ms));
        return [victim.pid];
      }
      case 'terminate': {
        const victim = find(members, deed.victim);
        if (victim === undefined) return [];
        this.#count(`terminate ${victim.role}`);
        signal(victim.pid, 'SIGTERM');
        if (deed.twice) {
          this.#wait(sleep(BETWEEN_TERMS_MS).then(() => signal(victim.pid, 'SIGTERM')));
        }
        return [victim.pid];
      }
    }
  }

  #kill(victim: Member, members: readonly Member[], together: readonly Member[]): void {
    const at = Date.now();
    signal(victim.pid, 'SIGKILL');
    this.#count(`kill ${victim.role}`);
    const able = members.filter(
      (member) =>
        member.role !== 'command' && !together.includes(member) && !this.#frozen.has(member.pid),
    );
    const kill = { pid: victim.pid, at, witnessed: able.length > 0 };
    if (victim.role === 'supervisor') this.#supervisorKills.push(kill);
    if (victim.role !== 'worker') return;
    const supervised = able.some(({ pid }) => pid === victim.parent);
    this.#kills.push({ ...kill, under: supervised ? 'its supervisor' : 'other workers' });
  }

  async #freeze(pid: number, ms: number): Promise<void> {
    this.#frozen.add(pid);
    signal(pid, 'SIGSTOP');
    const from = Date.now();
    await sleep(FROZEN_MS);
    const locks = this.#lab.writer() === pid;
    await sleep(ms);
    signal(pid, 'SIGCONT');
    this.#frozen.delete(pid);
    if (!locks) return;
    this.#locked.push({ from, to: Date.now() });
    this.#count('frozen with the write lock');
  }

  /** An enqueuer is a call of the driver's. */
  enqueuerKilled(): void {
    this.#count('kill enqueuer');
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  #wait(work: Promise<unknown>): void {
    this.#pending.add(work);
    work.then(
      () => this.#pending.delete(work),
      (error: Error) => {
        this.#pending.delete(work);
        this.#failure ??= error;
      },
    );
  }

  /** As many workers as wanted, from now until `signal` aborts. */
  async keep(signalled: AbortSignal): Promise<void> {
    while (!signalled.aborted) {
      await sleep(200);
      const members = this.#lab.members();
      const workers = members.filter(({ role }) => role === 'worker').length;
      const missing = this.#wanted.workers - workers;
      const recently = Date.now() - this.#lastStart < START_PAUSE_MS;
      if (missing > 0 && !recently && this.#starting < 4) this.#wait(this.start(missing));
      if (workers > this.#wanted.workers * TOO_MANY) {
        const oldest = members.find(({ role }) => role === 'supervisor' || role === 'worker');
        if (oldest !== undefined) signal(oldest.pid, 'SIGTERM');
        this.#count('sent home');
      }
    }
  }

  /** `worker start`; it may fail where its workers are killed before they are ready. */
  async start(count: number): Promise<void> {
    this.#starting += 1;
    this.#lastStart = Date.now();
    const { concurrency } = this.#wanted;
    const args = ['--count', String(count), '--concurrency', String(concurrency)];
    const { code } = await this.#lab.call(['worker', 'start', '--quiet', ...args]);
    if (code === 0) this.#started.push(Date.now());
    this.#starting -= 1;
  }

  /** Nobody is frozen any more, and what was begun is done. Rejects where a call did not end. */
  async settle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
    if (this.#failure !== null) throw this.#failure;
  }

  /** The workers that were killed, and from when on it could be noticed. */
  killed(within: number): Killed[] {
    return this.#kills.map((kill) => this.#noticeable(kill, within));
  }

  supervisorsKilled(within: number): Killed[] {
    return this.#supervisorKills.map((kill) => this.#noticeable(kill, within));
  }

  #noticeable({ witnessed, ...kill }: Kill, within: number): Killed {
    const { at } = kill;
    const back = witnessed ? at : (this.#started.find((start) => start > at) ?? Infinity);
    const held = this.#locked.filter(({ from, to }) => from <= at + within && to >= at);
    return { ...kill, noticedFrom: Math.max(back, ...held.map(({ to }) => to)) };
  }
}

function find(members: readonly Member[], { role, pick }: Victim): Member | undefined {
  const candidates = members.filter((member) => member.role === role);
  return candidates[Math.floor(pick * candidates.length)];
}
