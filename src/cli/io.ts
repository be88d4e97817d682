// How a command speaks: the answer on stdout, as text for people or as JSON, everything
// else on stderr. Invariant: with --json nothing but JSON reaches stdout, and messages
// never do.

import type { Context } from './context.ts';
import type { GlobalValues } from './command.ts';
import { wellFormedJson } from './json.ts';
import { styleFor, type Style } from './style.ts';

export class Io {
  readonly context: Context;
  readonly json: boolean;
  readonly quiet: boolean;
  /** `--db`, undecided between flag, environment and default. */
  readonly db: string | undefined;
  readonly allowNetworkFs: boolean;
  readonly #noColour: boolean;

  constructor(context: Context, globals: GlobalValues) {
    this.context = context;
    this.json = globals.json;
    this.quiet = globals.quiet;
    this.db = globals.db;
    this.allowNetworkFs = globals['allow-network-fs'];
    this.#noColour = globals['no-color'];
  }

  /** One line of the answer. Fields in it have gone through `visible`. */
  print(line: string): void {
    this.context.stdout.write(`${line}\n`);
  }

  /** The answer as one JSON document. */
  printJson(value: unknown): void {
    this.print(wellFormedJson(value, 2));
  }

  /** One JSON document on one line, for streams. */
  printJsonLine(value: unknown): void {
    this.print(wellFormedJson(value));
  }

  /** Something worth knowing that is no part of the answer. Not with --quiet. */
  note(line: string): void {
    if (!this.quiet) this.context.stderr.write(`${line}\n`);
  }

  /** A warning: said with --quiet as well. */
  warn(line: string): void {
    this.context.stderr.write(`queuectl: ${line}\n`);
  }

  now(): number {
    return this.context.now();
  }

  get style(): Style {
    return styleFor(this.context.stdout, this.context.env, this.#noColour);
  }

  get errorStyle(): Style {
    return styleFor(this.context.stderr, this.context.env, this.#noColour);
  }
}
