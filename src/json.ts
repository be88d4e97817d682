// JSON text → value, with what JSON.parse leaves out: where the text is wrong, in the same
// words on every runtime; names given twice; numbers that would arrive as other numbers.
// JSON.parse does the work. The scanner below runs only to explain, or to look for doubles.

import { QueuectlError } from './errors.ts';
import { invalid, shown } from './invalid.ts';

/** Deeper than anything that means something here; keeps the scanner off the stack's end. */
const MAX_DEPTH = 100;

/** Doubles carry every number of up to 15 significant digits as it is written. */
const SAFE_DIGITS = 15;

/** Parses strictly. Throws `invalid` with the position, or the name, of what is wrong. */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = hasLongNumber(text) ? JSON.parse(text, exact) : JSON.parse(text);
  } catch (error) {
    if (error instanceof QueuectlError) throw error;
    new Scanner(text).scan();
    throw new QueuectlError('invalid', 'malformed JSON', { cause: error });
  }
  // Every name has its colon: more colons than names are colons in texts, or a double.
  if (colonsIn(text) > namesIn(value)) new Scanner(text).scan();
  return value;
}

/** True if a closer look is needed: many digits in a row, or one before an `e`. */
function hasLongNumber(text: string): boolean {
  // A loop: on short texts a pattern takes longer to compile than this to run.
  let digits = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x30 && code <= 0x39) {
      if (++digits > SAFE_DIGITS) return true;
    } else if (digits > 0 && code !== 0x2e) {
      if ((code | 0x20) === 0x65) return true; // e, E
      digits = 0;
    }
  }
  return false;
}

/** A reviver that changes nothing and refuses numbers that are not as they were written. */
function exact(name: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || context?.source === undefined) return value;
  const { source } = context;
  if (digitsOf(source) === digitsOf(String(value))) return value;
  const where = name === '' ? '' : `${shown(name)}: `;
  throw invalid(
    `${where}${source.slice(0, 40)} is a number that JSON cannot carry exactly`,
    'where it is a name and no amount, put it in double quotes',
  );
}

/** The significant digits, without sign, point, exponent and outer zeros. */
function digitsOf(number: string): string {
  return number
    .replace(/e.*$/i, '')
    .replace(/[-.]/g, '')
    .replace(/^0+|0+$/g, '');
}

function colonsIn(text: string): number {
  let n = 0;
  for (let at = text.indexOf(':'); at >= 0; at = text.indexOf(':', at + 1)) n++;
  return n;
}

/** Names in an object and in the objects it holds; a job is no deeper. */
function namesIn(value: unknown, depth = 0): number {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 0;
  const inner: unknown[] = Object.values(value);
  let n = inner.length;
  if (depth === 0) for (const each of inner) n += namesIn(each, 1);
  return n;
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** A run of plain characters or one escape; matched in a loop, as texts may be long. */
const TEXT_PART = /[^"\\\u0000-\u001f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const WORDS = ['true', 'false', 'null'];

/** RFC 8259, strictly. Throws at the first character that does not belong. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Returns if there is nothing to complain about. */
  scan(): void {
    this.#value('a JSON value', 0);
    if (this.#at < this.#text.length) this.#fail('nothing more');
  }

  #value(expected: string, depth: number): void {
    if (depth > MAX_DEPTH) this.#fail(`at most ${MAX_DEPTH} levels`);
    this.#skip(SPACE);
    const next = this.#text[this.#at];
    if (next === '{') this.#object(depth);
    else if (next === '[') this.#list(depth);
    else if (next === '"') this.#quoted();
    else if (!this.#skip(NUMBER)) {
      const word = WORDS.find((candidate) => this.#text.startsWith(candidate, this.#at));
      if (word === undefined) this.#fail(expected);
      this.#at += word.length;
    }
    this.#skip(SPACE);
  }

  #object(depth: number): void {
    const seen = new Set<string>();
    this.#at++;
    this.#skip(SPACE);
    if (this.#take('}')) return;
    do {
      this.#skip(SPACE);
      const start = this.#at;
      if (this.#text[start] !== '"') this.#fail('a name in double quotes');
      this.#quoted();
      const name = String(JSON.parse(this.#text.slice(start, this.#at)));
      if (seen.has(name)) {
        throw this.#refuse(start, `${shown(name)} is given twice`, 'keep one of them');
      }
      seen.add(name);
      this.#skip(SPACE);
      if (!this.#take(':')) this.#fail('":" after the name');
      this.#value('a value', depth + 1);
    } while (this.#take(','));
    if (!this.#take('}')) this.#fail('"," or "}"');
  }

  #list(depth: number): void {
    this.#at++;
    this.#skip(SPACE);
    if (this.#take(']')) return;
    do this.#value('a value', depth + 1);
    while (this.#take(','));
    if (!this.#take(']')) this.#fail('"," or "]"');
  }

  #quoted(): void {
    const start = this.#at++;
    while (this.#skip(TEXT_PART));
    if (this.#take('"')) return;
    if (this.#at >= this.#text.length) {
      throw this.#refuse(start, 'the text that begins here has no closing quote');
    }
    const escape = this.#text[this.#at] === '\\';
    this.#fail(
      escape ? String.raw`an escape such as \n, \\, \" or \u00e9` : 'control characters escaped',
    );
  }

  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return false;
    this.#at = pattern.lastIndex;
    return true;
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #fail(expected: string): never {
    const code = this.#text.codePointAt(this.#at);
    const found = code === undefined ? 'the end' : shown(String.fromCodePoint(code));
    throw this.#refuse(this.#at, `expected ${expected}, found ${found}`);
  }

  #refuse(offset: number, reason: string, hint?: string): QueuectlError {
    return invalid(`malformed JSON at ${position(this.#text, offset)}: ${reason}`, hint);
  }
}

/** `column 7`, or `line 2, column 7` in a text of several lines; columns in characters. */
function position(text: string, offset: number): string {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  let column = 1;
  for (const _ of before.slice(lineStart)) column++;
  if (!text.trimEnd().includes('\n')) return `column ${column}`;
  let line = 1;
  for (let at = before.indexOf('\n'); at >= 0; at = before.indexOf('\n', at + 1)) line++;
  return `line ${line}, column ${column}`;
}
