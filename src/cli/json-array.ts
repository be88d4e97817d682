// A JSON array written item by item, one a line: a list of a million jobs is never held
// as one text, and `grep` and `jq` both like it.

import type { Io } from './io.ts';
import { wellFormedJson } from './json.ts';

/** Large enough that writing costs nothing, small enough to flow. */
const CHUNK = 64 * 1024;

export class JsonArray {
  readonly #io: Io;
  #text = '[';
  #empty = true;

  constructor(io: Io) {
    this.#io = io;
  }

  add(value: unknown): void {
    this.#text += `${this.#empty ? '' : ','}\n${wellFormedJson(value)}`;
    this.#empty = false;
    if (this.#text.length >= CHUNK) this.#flush();
  }

  /** Ends the document. Until then stdout holds no valid one: an error must not look like an answer. */
  end(): void {
    this.#text += this.#empty ? ']\n' : '\n]\n';
    this.#flush();
  }

  #flush(): void {
    this.#io.context.stdout.write(this.#text);
    this.#text = '';
  }
}
