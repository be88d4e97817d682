// How the parts of a worker wake its loop: an attempt that ended, a commit by somebody
// else, a timer. Rings while nobody waits are kept as one, so no event is ever missed and
// a burst of them costs one round.

import type { Env } from '../env.ts';

export class Bell {
  #rung = false;
  #wake: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves at the next ring, or at once if it rang since the last wait. */
  async wait(): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
    this.#rung = false;
  }
}

/** One timer: setting it again forgets what it was set to before. */
export class Alarm {
  readonly #env: Env;
  readonly #onRing: () => void;
  #pending = new AbortController();

  constructor(env: Env, onRing: () => void) {
    this.#env = env;
    this.#onRing = onRing;
  }

  /** Rings once after `ms`. */
  set(ms: number): void {
    this.clear();
    this.#pending = new AbortController();
    this.#env.sleep(ms, this.#pending.signal).then(this.#onRing, () => {
      // Cleared, or set anew.
    });
  }

  clear(): void {
    this.#pending.abort();
  }
}
