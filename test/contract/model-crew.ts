// Who works in a random history, and through which connection: workers that crash, end and
// come back, and supervisors. What they are told and asked is in model-workers.ts as well.

import assert from 'node:assert/strict';
import type { Store } from '../../src/store/store.ts';
import { type Do, SERVES } from './model-commands.ts';
import type { Staff } from './model-workers.ts';
import { identity, one, refusal } from './values.ts';
import type { World } from './world.ts';

export class ModelCrew {
  /** Keys of the workers that vanished and were not yet found missing. */
  readonly crashed = new Set<number>();
  readonly #w: World;
  readonly #staff: Staff;
  /** Two connections; who works has one of them. */
  readonly #stores: Store[];
  /** Keys of the workers that work now, by place, and of those before, who may come back. */
  readonly #hands: number[] = [];
  readonly #former: number[] = [];

  constructor(w: World, second: Store, staff: Staff) {
    this.#w = w;
    this.#stores = [w.store, second];
    this.#staff = staff;
  }

  async begin(): Promise<void> {
    for (const place of SERVES.keys()) await this.#employ(place, false);
  }

  store(via: number): Store {
    return one(this.#stores.slice(via, via + 1));
  }

  /** The connection of the worker drawn. */
  viaOf(drawn: number): number {
    return drawn % 2;
  }

  /** The key of the worker drawn. */
  hand(drawn: number): number {
    const former = this.#former[drawn % Math.max(this.#former.length, 1)];
    const places = SERVES.length;
    const key = drawn >= places && former !== undefined ? former : this.#hands[drawn % places];
    assert.ok(key !== undefined);
    return key;
  }

  async #employ(place: number, supervised: boolean): Promise<void> {
    const { env } = this.#w;
    const queues = SERVES[place] ?? null;
    const supervisor = supervised ? (this.#staff.supervisors.at(-1)?.key ?? null) : null;
    const worker = { identity: identity(), supervisor, queues, concurrency: 1 };
    const store = this.store(this.viaOf(place));
    const { key, name } = await store.registerWorker(worker);
    await store.workerReady(key);
    this.#staff.addWorker({ key, name, queues, supervisor }, env.now(), env.boot());
    this.#staff.worker(key).ready = true;
    const before = this.#hands[place];
    if (before !== undefined) this.#former.push(before);
    this.#hands[place] = key;
  }

  /** It vanishes, and its connection; another takes its place. */
  async crash({ worker, supervised }: Do<'crash'>): Promise<void> {
    this.crashed.add(this.hand(worker));
    await this.reopen([this.viaOf(worker)]);
    await this.#employ(worker, supervised);
  }

  /** Their attempts were reaped before. */
  async buryCrashed(via: number): Promise<void> {
    for (const key of this.crashed) await this.end(key, via);
    this.crashed.clear();
  }

  async end(key: number, via: number): Promise<void> {
    this.#staff.worker(key).ended = true;
    await this.store(via).endWorker(key, 'over');
  }

  async replace({ worker, supervised }: Do<'replace'>): Promise<void> {
    await this.end(this.hand(worker), this.viaOf(worker));
    await this.#employ(worker, supervised);
  }

  async supervise(via: number): Promise<void> {
    const key = await this.store(via).registerSupervisor({ identity: identity(), count: 2 });
    this.#staff.addSupervisor(key, 2, this.#w.env.now());
  }

  async endSupervisor(via: number): Promise<void> {
    const supervisor = this.#staff.supervisors.at(-1);
    if (supervisor === undefined) return;
    await this.store(via).endSupervisor(supervisor.key, 'over');
    supervisor.ended = true;
  }

  async requestStop(command: Do<'request stop'>): Promise<void> {
    const { mode, via } = command;
    const workers = command.workers?.map((worker) => this.hand(worker)) ?? null;
    const newest = this.#staff.supervisors.slice(-1).map(({ key }) => key);
    // Both null means everybody.
    const supervisors = command.supervisors ? newest : null;
    const stopBy = command.stopBy === null ? null : this.#w.env.boot() + command.stopBy;
    const request = { workers, supervisors, mode, stopBy };
    this.#staff.requestStop(request);
    await this.store(via).requestStop(request);
  }

  /** Closes these connections, then opens them again; what was closed stays closed. */
  async reopen(vias: readonly number[]): Promise<void> {
    const closed = vias.map((via) => this.store(via));
    for (const store of closed) await store.close();
    for (const via of vias) this.#stores[via] = await this.#w.open();
    for (const store of closed) await assert.rejects(store.probe(), refusal('unavailable'));
  }
}
