// How much a job may carry, and the checks of what users name freely: arguments, variables,
// tags. Their names are never assigned to an object by key: Object.fromEntries makes own
// properties of `__proto__` and `constructor`, which arrive like any other name.

import type { QueuectlError } from './errors.ts';
import { grouped, invalid, mustBe, shown } from './invalid.ts';
import type { CommandSpec } from './job.ts';

/** Linux takes no argument over 131,072 bytes; the rest is for what a shell puts around it. */
export const MAX_ARGUMENT_BYTES = 128_000;

/**
 * Arguments and variables of a job together. Linux gives them and the worker's own
 * environment a quarter of the stack limit, 2 MiB by default; 0.5 MB are left to the worker.
 */
const MAX_COMMAND_LINE_BYTES = 1_500_000;

/** What the kernel adds to each argument and variable: a NUL and a pointer. */
const BYTES_PER_STRING = 9;

/** Linux's PATH_MAX. */
const MAX_PATH_BYTES = 4096;

/**
 * Text for stdin that is stored with the job. What fits into a pipe: enough for a list of
 * names or a letter, too little to make a million jobs a burden to the database.
 */
export const MAX_STDIN_BYTES = 64 * 1024;

/** Tags are read with every page of jobs and matched one by one: labels, no documents. */
export const MAX_TAGS = 64;
const MAX_TAG_NAME_BYTES = 128;
export const MAX_TAG_VALUE_BYTES = 1024;

/** How messages call a field: `max_retries` or `--max-retries`. */
export type Label = (field: string) => string;

/** Text that reaches a process and a database unchanged. Throws `invalid`, naming `what`. */
function checkText(what: string, value: unknown): string {
  if (typeof value !== 'string') {
    const hint = typeof value === 'number' ? 'put it in double quotes' : undefined;
    throw mustBe(what, 'text', value, hint);
  }
  if (!value.isWellFormed()) throw mustBe(what, 'valid Unicode', value);
  if (value.includes('\0')) throw mustBe(what, 'text without NUL bytes', value);
  return value;
}

function checkBytes(what: string, text: string, limit: number): number {
  const bytes = bytesIn(text);
  if (bytes > limit) throw tooLong(what, bytes, limit);
  return bytes;
}

function tooLong(what: string, bytes: number, limit: number): QueuectlError {
  return invalid(`${what} must be at most ${grouped(limit)} bytes long, not ${grouped(bytes)}`);
}

/** In UTF-8. Ours, because the first use of Buffer in a process costs 0.2 ms. */
function bytesIn(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    // Beyond ASCII 2 bytes or 3; a pair of surrogates is 4.
    if (unit > 0x7f) bytes += unit < 0x800 || (unit & 0xf800) === 0xd800 ? 1 : 2;
  }
  return bytes;
}

/** A path that the system can be asked for. Throws `invalid`. */
export function checkPath(what: string, path: string): string {
  checkBytes(what, checkText(what, path), MAX_PATH_BYTES);
  return path;
}

/** Text for stdin: NUL bytes are welcome there (`find -print0`). Throws `invalid`. */
function checkStdin(what: string, text: string): string {
  if (!text.isWellFormed()) throw mustBe(what, 'valid Unicode', text);
  if (bytesIn(text) > MAX_STDIN_BYTES) throw stdinTooLong(what);
  return text;
}

export function stdinTooLong(what: string): QueuectlError {
  return invalid(
    `${what} must be at most ${grouped(MAX_STDIN_BYTES)} bytes of text`,
    'put it in a file and name that: it is read when the job runs',
  );
}

/** What a job runs and with what, texts not checked yet. */
export interface CommandParts {
  readonly command?: string | undefined;
  readonly args?: readonly unknown[] | undefined;
  readonly env?: Readonly<Record<string, unknown>> | undefined;
  readonly env_from?: readonly unknown[] | undefined;
  readonly stdin?: string | undefined;
  readonly stdin_text?: string | undefined;
}

/** Most jobs have nothing but a command: a million of them share this one. */
const NOTHING: CommandSpec = {};

/** Checks texts, names and sizes. Throws `invalid`. */
export function commandSpec(parts: CommandParts, label: Label): CommandSpec {
  const { command, stdin, stdin_text: stdinText = '' } = parts;
  const size = new Size();
  if (command !== undefined) size.add(label('command'), command);
  const plain = stdin === undefined && stdinText === '';
  if (plain && !parts.args && !parts.env && !parts.env_from) return NOTHING;

  const args = parts.args?.map((arg, i) => size.add(`args[${i}]`, arg));
  const env = variables(parts.env ?? {}, size, label('env'));
  const from = new Set(parts.env_from?.map((name) => variableName(name, size, label('env_from'))));
  const both = env.find(([name]) => from.has(name))?.[0];
  if (both !== undefined) {
    throw invalid(`${shown(both)} is both given a value and taken from the worker`);
  }
  size.check();
  return {
    ...(args && { args }),
    ...(env.length > 0 && { env: Object.fromEntries(env) }),
    ...(from.size > 0 && { env_from: [...from] }),
    ...(stdin !== undefined && { stdin }),
    ...(stdinText !== '' && { stdin_text: checkStdin(label('stdin_text'), stdinText) }),
  };
}

/** Adds up what the kernel will be handed. */
class Size {
  #total = 0;

  /** Counts one argument or variable, after checking it. */
  add(what: string, value: unknown): string {
    const text = checkText(what, value);
    this.#total += checkBytes(what, text, MAX_ARGUMENT_BYTES) + BYTES_PER_STRING;
    return text;
  }

  check(): void {
    if (this.#total <= MAX_COMMAND_LINE_BYTES) return;
    const what = 'the command, its arguments and variables';
    throw tooLong(what, this.#total, MAX_COMMAND_LINE_BYTES);
  }
}

function variables(
  env: Readonly<Record<string, unknown>>,
  size: Size,
  field: string,
): (readonly [string, string])[] {
  return Object.entries(env).map(([name, value]) => {
    const what = `${field} ${shown(name)}`;
    const text = checkText(what, value);
    size.add(what, `${checkName(name, field)}=${text}`);
    return [name, text] as const;
  });
}

function variableName(name: unknown, size: Size, field: string): string {
  const text = checkName(checkText(field, name), field);
  return size.add(`${field} ${shown(text)}`, text);
}

/** POSIX forbids `=` and NUL in a variable's name: `a.b` and `x-y` stay as they are. */
function checkName(name: string, field: string): string {
  const expected = 'names that are not empty and have no "="';
  if (name === '' || name.includes('=')) throw mustBe(field, expected, name);
  return checkText(`a name in ${field}`, name);
}

/** null where there are none. Throws `invalid`. */
export function tagsOf(
  tags: Readonly<Record<string, unknown>>,
  field: string,
): Readonly<Record<string, string>> | null {
  const entries = Object.entries(tags);
  if (entries.length > MAX_TAGS) {
    throw invalid(`${field} must be at most ${MAX_TAGS}, not ${grouped(entries.length)}`);
  }
  const pairs = entries.map(([name, value]) => {
    const what = `tag ${shown(name)}`;
    checkBytes(what, checkName(name, field), MAX_TAG_NAME_BYTES);
    const text = checkText(what, value);
    checkBytes(what, text, MAX_TAG_VALUE_BYTES);
    return [name, text] as const;
  });
  return pairs.length === 0 ? null : Object.fromEntries(pairs);
}
