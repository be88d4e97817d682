// How fast something went of late, for pictures that are redrawn. Pure: the clock is handed in.

/** Long enough to be calm, short enough to be about now. */
const RATE_MS = 10_000;

/** How fast a number grows that drops back now and then, when its oldest minute goes. */
export class Rate {
  #samples: { at: number; total: number }[] = [];
  #last = 0;
  #grown = 0;

  add(at: number, total: number): void {
    if (this.#samples.length > 0) this.#grown += Math.max(0, total - this.#last);
    this.#last = total;
    this.#samples.push({ at, total: this.#grown });
    // One that is older than that begins the time looked at.
    while ((this.#samples[1]?.at ?? at) <= at - RATE_MS) this.#samples.shift();
  }

  /** Null until there is something to go by. */
  perSecond(now: number): number | null {
    const [first] = this.#samples;
    if (first === undefined || now - first.at < 1000) return null;
    return ((this.#grown - first.total) * 1000) / (now - first.at);
  }
}
