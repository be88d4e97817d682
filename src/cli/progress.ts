// A progress bar on stderr. Shown only where that is a terminal and nobody asked for
// quiet; it leaves nothing behind, so that the answer stands alone.

import { grouped } from '../invalid.ts';
import type { Io } from './io.ts';

/** Redrawing more often than the eye sees costs more than the work it shows. */
const INTERVAL_MS = 50;
const BAR_WIDTH = 24;
const CLEAR = '\r\u001b[K';

export class Progress {
  readonly #io: Io;
  readonly #shown: boolean;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #drawn = false;

  constructor(io: Io) {
    this.#io = io;
    this.#shown = !io.quiet && io.context.stderr.isTerminal;
  }

  get isShown(): boolean {
    return this.#shown;
  }

  /** `total` null where nobody knows it. */
  update(what: string, done: number, total: number | null, unit: string): void {
    if (!this.#shown) return;
    const now = this.#io.now();
    if (now - this.#drawnAt < INTERVAL_MS && now >= this.#drawnAt) return;
    this.#drawnAt = now;
    this.#drawn = true;
    const of = total === null ? '' : ` of ${grouped(total)}`;
    const text = `${grouped(done)}${of} ${unit}`;
    // A line that wraps is not cleared: of two of them the upper one stays.
    const room = (this.#io.context.stderr.columns ?? 80) - 1;
    const bar =
      total === null || what.length + text.length + BAR_WIDTH + 2 > room
        ? ''
        : `${this.#bar(done / total)} `;
    const line = bar === '' ? `${what} ${text}`.slice(0, room) : `${what} ${bar}${text}`;
    this.#io.context.stderr.write(CLEAR + line);
  }

  /** For what does not say how far it has come. */
  say(what: string): void {
    if (!this.#shown) return;
    this.#drawn = true;
    this.#io.context.stderr.write(CLEAR + what);
  }

  #bar(part: number): string {
    const full = Math.round(Math.min(Math.max(part, 0), 1) * BAR_WIDTH);
    const { good, dim } = this.#io.errorStyle;
    return good('█'.repeat(full)) + dim('░'.repeat(BAR_WIDTH - full));
  }

  clear(): void {
    if (this.#drawn) this.#io.context.stderr.write(CLEAR);
    this.#drawn = false;
  }
}
