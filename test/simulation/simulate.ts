// One seed, one world: workers and a supervisor's reaper over the real store, clients, and
// faults; then calm, until every job is finished. What all of them did is told as a history
// and judged by the same checker as the kill storm on the executable.

import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isTerminal } from '../../src/job.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import type { Store } from '../../src/store/store.ts';
import { assertConsistent } from '../contract/invariants.ts';
import { VirtualEnv } from '../fixtures/time.ts';
import { Client } from './client.ts';
import { Commands } from './commands.ts';
import { Crew } from './crew.ts';
import { judge } from './judge.ts';
import { drawProfile, type Profile } from './profile.ts';
import { Scheduler, type SimProcess } from './scheduler.ts';
import { type Broken, Storage } from './storage.ts';

/** Ms from the end of the faults until every job must be finished. */
const DRAIN_MS = 120_000;
const STOP_MS = 30_000;
/** After the machine has slept: less than the shortest renew interval. */
const LAG_MS = 300;

export interface Report {
  readonly seed: number;
  readonly profile: Profile;
  readonly trace: readonly string[];
  /** What is wrong, each by the name of what it breaks. */
  readonly findings: readonly Broken[];
  readonly figures: Readonly<Record<string, number>>;
}

export interface Worlds {
  /** The world of this seed; `as` sets what would else be drawn. */
  simulate(seed: number, as?: Partial<Profile>): Promise<Report>;
  remove(): void;
}

/** A place for worlds, in memory: nobody asks here what survives a power cut. */
export async function createWorlds(): Promise<Worlds> {
  const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const directory = mkdtempSync(join(memory, 'queuectl-simulation-'));
  const template = join(directory, 'template.db');
  const store = await openSqliteStore({
    database: template,
    wakeFile: join(directory, 'wake'),
    env: new VirtualEnv(),
    patience: 0,
  });
  await store.close();
  return {
    async simulate(seed, as = {}) {
      const world = mkdtempSync(join(directory, 'world-'));
      try {
        copyFileSync(template, join(world, 'queue.db'));
        return await new Simulation(seed, as, world).run();
      } finally {
        rmSync(world, { recursive: true });
      }
    },
    remove() {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

class Simulation {
  readonly #seed: number;
  readonly #directory: string;
  readonly #scheduler: Scheduler;
  readonly #profile: Profile;
  readonly #commands: Commands;
  readonly #storage: Storage;
  readonly #crew: Crew;
  readonly #findings: Broken[] = [];
  readonly #figures = { jumps: 0, sleeps: 0, stops: 0 };

  constructor(seed: number, as: Partial<Profile>, directory: string) {
    this.#seed = seed;
    this.#directory = directory;
    const scheduler = new Scheduler(seed);
    const profile = { ...drawProfile(scheduler.chance), ...as };
    const commands = new Commands(scheduler, profile);
    const storage = new Storage(scheduler, profile);
    const open = (process: SimProcess): Promise<Store> => this.#open(process);
    this.#crew = new Crew({ scheduler, profile, storage, commands, open });
    this.#scheduler = scheduler;
    this.#profile = profile;
    this.#commands = commands;
    this.#storage = storage;
  }

  async run(): Promise<Report> {
    const scheduler = this.#scheduler;
    // Nothing happens to those two.
    const witness = await this.#open(scheduler.spawn('witness'));
    const asking = scheduler.spawn('client');
    const store = this.#storage.of(asking, await this.#open(asking));
    const client = new Client(store, scheduler, this.#profile);
    await this.#configure(witness);
    this.#crew.start();
    this.#plan(client);
    await scheduler.run(this.#profile.storm, () => false);
    await this.#expectConsistent(witness);
    await this.#calm(witness, client);
    await this.#expectConsistent(witness);
    const { killed, errors } = this.#crew;
    const found = await judge({
      profile: this.#profile,
      storage: this.#storage,
      commands: this.#commands,
      asked: client.asked,
      killed,
      witness,
      database: this.#database,
    });
    for (const told of errors) this.#broken('no error', told);
    for (const process of scheduler.living) process.die('is over');
    await witness.close();
    return {
      seed: this.#seed,
      profile: this.#profile,
      trace: scheduler.trace,
      findings: [...this.#findings, ...found],
      figures: { ...this.#crew.figures, ...this.#figures, ...this.#storage.figures },
    };
  }

  get #database(): string {
    return join(this.#directory, 'queue.db');
  }

  #open(process: SimProcess): Promise<Store> {
    return openSqliteStore({
      database: this.#database,
      wakeFile: join(this.#directory, 'wake'),
      env: process.env,
      patience: Number.POSITIVE_INFINITY,
    });
  }

  async #configure(witness: Store): Promise<void> {
    const { lease, backoffBase, backoffMax } = this.#profile;
    await witness.setSetting('lease', `${lease}s`);
    await witness.setSetting('backoff_base', String(backoffBase));
    await witness.setSetting('backoff_max', `${backoffMax}s`);
  }

  /** Everything that somebody will do, drawn once: each does it again and again. */
  #plan(client: Client): void {
    const profile = this.#profile;
    const { chance, clocks } = this.#scheduler;
    for (let left = profile.jobs; left > 0;) {
      const count = Math.min(left, chance.between(1, 3));
      left -= count;
      this.#scheduler.in(chance.between(0, profile.storm / 2), null, 'enqueues', () =>
        client.enqueue(count),
      );
    }
    this.#often(profile.kills, 'kills', () => this.#crew.kill(this.#crew.one()));
    this.#often(profile.pauses, 'stops a process', () => this.#crew.pause(this.#crew.one()));
    this.#often(profile.requests, 'requests', () => client.request());
    this.#often(profile.stops, 'asks a worker to stop', () => {
      const key = this.#crew.oneKey();
      if (key === undefined) return;
      this.#figures.stops += 1;
      client.stop(key);
    });
    this.#often(profile.jumps, 'sets the wall clock', () => {
      this.#figures.jumps += 1;
      clocks.jump(chance.between(-1, 1) * chance.one([500, 5000]));
    });
    this.#often(profile.sleeps, 'sleeps', () => {
      this.#figures.sleeps += 1;
      clocks.pass(chance.between(100, 10_000));
      for (const process of this.#scheduler.living) process.lag(chance.between(0, LAG_MS));
    });
  }

  /** About every `ms`, as long as there are faults. */
  #often(ms: number, label: string, act: () => void): void {
    if (ms === 0) return;
    this.#scheduler.in(this.#scheduler.chance.between(1, 2 * ms), null, label, () => {
      if (!this.#storage.stormy) return;
      act();
      this.#often(ms, label, act);
    });
  }

  async #calm(witness: Store, client: Client): Promise<void> {
    this.#storage.stormy = false;
    for (const process of this.#scheduler.living) process.go();
    let drained = false;
    let looked = false;
    this.#storage.onCommit = () => {
      looked = false;
    };
    // The witness answers without a wait, and only after a commit can it be otherwise.
    const look = (): void => {
      if (looked) return;
      looked = true;
      drained = false;
      witness.stats().then(
        ({ counts }) => {
          drained = counts.every(({ state }) => isTerminal(state));
        },
        (error: unknown) => this.#broken('no error', error),
      );
    };
    const done = (): boolean => {
      look();
      return drained && client.waiting === 0;
    };
    if (!(await this.#scheduler.run(DRAIN_MS, done))) {
      this.#broken('everything ends', `jobs are not finished after ${DRAIN_MS} ms of calm`);
    }
    this.#crew.close();
    if (!(await this.#scheduler.run(STOP_MS, () => this.#crew.closed))) {
      this.#broken('everything ends', `workers have not stopped after ${STOP_MS} ms`);
    }
  }

  async #expectConsistent(witness: Store): Promise<void> {
    try {
      await assertConsistent(witness);
    } catch (error) {
      this.#broken('consistent', error);
    }
  }

  #broken(invariant: string, told: unknown): void {
    this.#findings.push({ invariant, told: String(told) });
  }
}
