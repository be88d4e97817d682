// What people and programs ask of the queue during a storm: two seeded lists of steps,
// carried out beside each other, each request recorded as invoked and then as ok, failed or unknown.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from '../../cli/support.ts';
import { Chance, seeded } from '../../fixtures/random.ts';
import type { Asked } from './history.ts';
import { jobOf } from './jobs.ts';
import type { Lab } from './lab.ts';

/** What was refused with one of these changed nothing: usage, not found, conflict, storage. */
const REFUSED = new Set([2, 3, 4, 5, 6]);

/** Changed while workers run. The backoff base is never below BACKOFF_BASE. */
export const BACKOFF_BASE = 1;
const SETTINGS: readonly (readonly [string, readonly string[]])[] = [
  ['backoff_base', ['1', '1.2']],
  ['kill_after', ['500ms', '1s', '2s']],
  ['log_max_bytes', ['64K', '1M']],
  ['lease', ['2s', '3s']],
  ['grace', ['1s', '3s', '30s']],
];

/** A stop is rare, and this many steps never go by without one. */
const STOP_EVERY = 25;

/** What an enqueue may take, before one has. */
const USUAL_MS = 40;

/** In what enqueue prints, a line each or as JSON. */
const PRINTED_ID = /^(?: *"id": ")?([\w-]+)(?:",)?$/gm;

type Step =
  | { readonly what: 'repeat' | 'retry' }
  | { readonly what: 'cancel'; readonly ids: number }
  | { readonly what: 'set'; readonly name: string; readonly value: string }
  | { readonly what: 'stop'; readonly args: readonly string[] };

export interface DriverOptions {
  readonly lab: Lab;
  readonly seed: number;
  /** Jobs that wait or run, as of now. */
  readonly unfinished: () => number;
  /** More than this wait: no more are enqueued. */
  readonly backlog: number;
}

export class Driver {
  readonly asked: Asked[] = [];
  /** Steps taken, by name. */
  readonly counts: Record<string, number> = {};
  readonly #options: DriverOptions;
  readonly #chance: Chance;
  readonly #lines = new Map<string, string>();
  readonly #recent: string[] = [];
  /** Enqueued without an answer. */
  readonly #unknown: string[] = [];
  #next = 1;
  /** Ms that an enqueue takes at present, by how it is done. */
  readonly #usual = new Map<string, number>();

  constructor(options: DriverOptions) {
    this.#options = options;
    this.#chance = new Chance(seeded(options.seed ^ 0x5eed));
  }

  get enqueued(): number {
    return this.#next - 1;
  }

  get acknowledged(): number {
    const enqueues = this.asked.filter(({ verb, answer }) => verb === 'enqueue' && answer === 'ok');
    return new Set(enqueues.map(({ id }) => id)).size;
  }

  /** Until `signal` aborts: one enqueues as fast as the jobs are done, one meddles. */
  async drive(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#enqueueAll(signal), this.#meddle(signal)]);
  }

  async #enqueueAll(signal: AbortSignal): Promise<void> {
    const chance = new Chance(seeded(this.#options.seed ^ 0x10b5));
    while (!signal.aborted) {
      if (this.#options.unfinished() > this.#options.backlog) {
        await sleep(100);
        continue;
      }
      const dice = chance.between(1, 100);
      const how = dice <= 50 ? 'bulk' : dice <= 85 ? 'single' : 'stream';
      this.#count(`enqueue ${how}`);
      await this.enqueue(how === 'single' ? 1 : chance.between(5, 40), how);
    }
  }

  async #meddle(signal: AbortSignal): Promise<void> {
    for (let n = 1; !signal.aborted; n += 1) {
      await sleep(this.#chance.between(200, 900));
      const step = n % STOP_EVERY === 0 ? this.#stop() : this.#step();
      this.#count(step.what);
      await this.#take(step);
    }
  }

  #step(): Step {
    const chance = this.#chance;
    const dice = chance.between(1, 100);
    if (dice <= 45) return { what: 'cancel', ids: chance.between(1, 3) };
    if (dice <= 65) return { what: 'retry' };
    if (dice <= 77) return { what: 'repeat' };
    if (dice <= 95) {
      const [name, values] = chance.one(SETTINGS) ?? ['lease', []];
      return { what: 'set', name, value: chance.one(values) ?? '2s' };
    }
    return this.#stop();
  }

  #stop(): Step {
    const args = this.#chance.happens(0.5) ? ['--now'] : ['--grace', '500ms'];
    return { what: 'stop', args };
  }

  async #take(step: Step): Promise<void> {
    switch (step.what) {
      case 'repeat':
        return await this.#repeat();
      case 'cancel':
        return await this.#cancel(step.ids);
      case 'retry':
        return await this.#retry();
      case 'set':
        await this.#options.lab.call(['config', 'set', step.name, step.value]);
        return;
      case 'stop':
        // It may take as long as a worker is frozen; whoever starts workers has to go on.
        await this.#options.lab.call(['worker', 'stop', ...step.args]);
    }
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  /** One transaction, or with `stream` one for each part of the input. */
  async enqueue(jobs: number, how: 'single' | 'bulk' | 'stream'): Promise<void> {
    await this.#enqueue(this.#newJobs(jobs), how);
  }

  /** Starts one and kills it at `moment` of the time that they usually take. */
  async enqueueAndKill(jobs: number, moment: number): Promise<'killed' | 'too late'> {
    const ids = this.#newJobs(jobs);
    const how = jobs === 1 ? 'single' : 'bulk';
    const { code } = await this.#enqueue(ids, how, moment);
    return code === null ? 'killed' : 'too late';
  }

  #newJobs(n: number): string[] {
    return Array.from({ length: n }, () => {
      const { id, line } = jobOf(this.#next++, this.#options.seed);
      this.#lines.set(id, line);
      return id;
    });
  }

  async #enqueue(
    ids: readonly string[],
    how: 'single' | 'bulk' | 'stream',
    killAt?: number,
  ): Promise<Answer> {
    const { lab } = this.#options;
    const lines = ids.map((id) => `${this.#lines.get(id) ?? ''}\n`);
    const input = how === 'stream' ? parts(lines, 4) : [lines.join('')];
    const args = {
      single: ['enqueue', '--quiet', lines[0]?.trim() ?? ''],
      // As JSON what was stored takes a while to print: whoever is killed then is not believed.
      bulk: ['enqueue', killAt === undefined ? '--quiet' : '--json', '--file', '-'],
      stream: ['enqueue', '--quiet', '--stream', '--file', '-'],
    }[how];
    const manner = `${how} ${killAt === undefined ? '' : 'to kill'}`;
    const usual = this.#usual.get(manner) ?? USUAL_MS;
    const invokedAt = Date.now();
    const answer = await lab.call(args, {
      ...(how !== 'single' && { input }),
      ...(killAt !== undefined && { killAfter: Math.round(killAt * usual) }),
    });
    const answeredAt = Date.now();
    // Of those who were to be killed and were too quick as well.
    if (answer.code === 0) this.#usual.set(manner, (usual + answeredAt - invokedAt) / 2);
    // Each id that was printed is acknowledged, whatever became of the program afterwards.
    const printed = new Set(Array.from(answer.stdout.matchAll(PRINTED_ID), ([, id]) => id));
    for (const id of ids) {
      const known = printed.has(id) ? 'ok' : verdict(answer);
      this.#record('enqueue', id, invokedAt, answeredAt, known);
      this.#recent.push(id);
      if (known === 'unknown') this.#unknown.push(id);
    }
    return answer;
  }

  /** Enqueues again what nobody knows about: there must be one job of it. */
  async #repeat(): Promise<void> {
    // Every other one: whether the rest is there says something as well.
    const ids = this.#unknown.splice(0).filter((_, index) => index % 2 === 0);
    if (ids.length === 0) return;
    const input = [ids.map((id) => `${this.#lines.get(id) ?? ''}\n`).join('')];
    const args = ['enqueue', '--quiet', '--if-absent', '--file', '-'];
    const invokedAt = Date.now();
    const answer = await this.#options.lab.call(args, { input });
    for (const id of ids) this.#record('enqueue', id, invokedAt, Date.now(), verdict(answer));
  }

  /** Of the newest, so that some wait, some run and some are finished. */
  async #cancel(n: number): Promise<void> {
    const recent = this.#recent.slice(-80);
    const ids = Array.from({ length: n }, () => this.#chance.one(recent) ?? '');
    const unique = [...new Set(ids)].filter((id) => id !== '');
    if (unique.length > 0) await this.#ask('cancel', ['cancel'], unique);
  }

  async #retry(): Promise<void> {
    const { stdout } = await this.#options.lab.call(['--json', 'dlq', 'list', '--limit', '5']);
    const dead = JSON.parse(stdout === '' ? '[]' : stdout) as { readonly id: string }[];
    if (dead.length === 0) return;
    await this.#ask(
      'retry',
      ['dlq', 'retry'],
      dead.map(({ id }) => id),
    );
  }

  async #ask(verb: 'cancel' | 'retry', args: readonly string[], ids: string[]): Promise<void> {
    const invokedAt = Date.now();
    const answer = await this.#options.lab.call(['--json', ...args, ...ids]);
    const answeredAt = Date.now();
    const results = new Map(answersOf(answer.stdout).map(({ id, result }) => [id, result]));
    for (const id of ids) {
      const result = results.get(id);
      if (result === undefined) this.#record(verb, id, invokedAt, answeredAt, verdict(answer));
      else if (verb === 'retry' && result !== 'retried') {
        this.#record(verb, id, invokedAt, answeredAt, 'failed', result);
      } else this.#record(verb, id, invokedAt, answeredAt, 'ok', result);
    }
  }

  #record(
    verb: Asked['verb'],
    id: string,
    invokedAt: number,
    answeredAt: number,
    answer: Asked['answer'],
    result: string | null = null,
  ): void {
    const at = answer === 'unknown' ? null : answeredAt;
    this.asked.push({ verb, id, invokedAt, answeredAt: at, answer, result });
  }
}

function verdict({ code }: Answer): Asked['answer'] {
  if (code === 0) return 'ok';
  return code !== null && REFUSED.has(code) ? 'failed' : 'unknown';
}

function answersOf(stdout: string): { readonly id: string; readonly result: string }[] {
  return stdout === '' ? [] : (JSON.parse(stdout) as { id: string; result: string }[]);
}

function parts(lines: readonly string[], n: number): string[] {
  const size = Math.ceil(lines.length / n);
  return Array.from({ length: n }, (_, i) => lines.slice(i * size, (i + 1) * size).join(''));
}
