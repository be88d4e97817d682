// The other half of the model: who works, who was told to stop, and what is set.

import type { StopMode, StopRequest } from '../../src/store/store.ts';

export interface ModelWorker {
  readonly key: number;
  readonly name: string;
  readonly queues: readonly string[] | null;
  readonly supervisor: number | null;
  readonly startedAt: number;
  ready: boolean;
  heartbeatAt: number;
  leaseUntil: number;
  stop: StopMode | null;
  stopBy: number | null;
  ended: boolean;
  /** Neither told to stop nor declared dead. */
  readonly mayClaim: boolean;
}

export interface ModelSupervisor {
  readonly key: number;
  readonly count: number;
  readonly startedAt: number;
  stop: StopMode | null;
  stopBy: number | null;
  ended: boolean;
}

/** Texts that may be stored, each with what it means; the last ones cannot be read. */
export const SETTING_TEXTS = {
  max_retries: { '0': 0, '1': 1, '2': 2, many: 3 },
  timeout: { none: null, '5s': 5000, '1m': 60_000, soon: null },
  lease: { '10s': 10_000, '2m': 120_000, '': 30_000 },
} as const;

export type ModelSetting = keyof typeof SETTING_TEXTS;

const FALLBACKS: Record<ModelSetting, number | null> = {
  max_retries: 3,
  timeout: null,
  lease: 30_000,
};

export class Staff {
  readonly settings = new Map<ModelSetting, string>();
  readonly #workers = new Map<number, ModelWorker>();
  readonly #supervisors = new Map<number, ModelSupervisor>();

  get maxRetries(): number {
    return this.#setting('max_retries') ?? 0;
  }

  get timeout(): number | null {
    return this.#setting('timeout');
  }

  #setting(name: ModelSetting): number | null {
    const text = this.settings.get(name);
    if (text === undefined) return FALLBACKS[name];
    const meanings: Record<string, number | null> = SETTING_TEXTS[name];
    return meanings[text] ?? null;
  }

  /** Those that have not ended, oldest first. */
  get workers(): ModelWorker[] {
    return [...this.#workers.values()].filter(({ ended }) => !ended);
  }

  get supervisors(): ModelSupervisor[] {
    return [...this.#supervisors.values()].filter(({ ended }) => !ended);
  }

  worker(key: number): ModelWorker {
    const worker = this.#workers.get(key);
    if (worker === undefined) throw new Error(`no worker ${key}`);
    return worker;
  }

  addWorker(
    who: Pick<ModelWorker, 'key' | 'name' | 'queues' | 'supervisor'>,
    now: number,
    boot: number,
  ): void {
    const { stop = null, stopBy = null } = this.#supervisors.get(who.supervisor ?? 0) ?? {};
    this.#workers.set(who.key, {
      ...who,
      startedAt: now,
      ready: false,
      heartbeatAt: now,
      leaseUntil: boot + (this.#setting('lease') ?? 0),
      stop,
      stopBy,
      ended: false,
      get mayClaim() {
        return this.stop === null && !this.ended;
      },
    });
  }

  addSupervisor(key: number, count: number, now: number): void {
    const stop = { stop: null, stopBy: null };
    this.#supervisors.set(key, { key, count, startedAt: now, ...stop, ended: false });
  }

  heartbeat(key: number, now: number, leaseUntil: number): void {
    const worker = this.worker(key);
    if (worker.ended) return;
    worker.heartbeatAt = now;
    worker.leaseUntil = leaseUntil;
  }

  requestStop({ workers, supervisors, mode, stopBy }: StopRequest): void {
    const everybody = workers === null && supervisors === null;
    const asked = [
      ...this.workers.filter(({ key }) => everybody || workers?.includes(key)),
      ...this.supervisors.filter(({ key }) => everybody || supervisors?.includes(key)),
    ];
    for (const one of asked) {
      one.stop = one.stop === 'now' ? 'now' : mode;
      one.stopBy = earlier(one.stopBy, stopBy);
    }
  }
}

function earlier(x: number | null, y: number | null): number | null {
  if (x === null || y === null) return x ?? y;
  return Math.min(x, y);
}
