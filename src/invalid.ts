// How a refusal of input is worded: always the field, what was expected and what was
// given. What was given is shortened and its control characters are escaped, so that
// neither a value of 10 MB nor a terminal escape gets into a message.

import { distance } from 'fastest-levenshtein';
import { QueuectlError } from './errors.ts';

/** Enough to recognise a value, short enough for one line. */
const SHOWN_LENGTH = 60;

/** No name of ours is longer than 20; comparing longer words is a waste. */
const LONGEST_WORD = 40;

/** The refusal of a value: "`field` must be `expected`, not `value`". */
export function mustBe(
  field: string,
  expected: string,
  value: unknown,
  hint?: string,
): QueuectlError {
  return invalid(`${field} must be ${expected}, not ${shown(value)}`, hint);
}

export function invalid(message: string, hint?: string): QueuectlError {
  return new QueuectlError('invalid', message, hint === undefined ? {} : { hint });
}

/** Any value as a few printable characters; never throws, never recurses. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return shownText(value);
    case 'number':
    case 'boolean':
    case 'bigint':
    case 'undefined':
      return String(value);
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? 'a list' : 'an object';
    default:
      return `a ${typeof value}`;
  }
}

function shownText(text: string): string {
  const cut = text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}…` : text;
  // \p{C}: control, format, lone surrogate, unassigned. JSON.stringify leaves most of them.
  return JSON.stringify(cut).replace(/\p{C}/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** The candidate that `word` is probably a slip of, or undefined. `-` and `_` are the same. */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > LONGEST_WORD) return undefined;
  const plain = word.toLowerCase().replaceAll('-', '_');
  // A third of the letters: `comand` finds `command`, `state` does not find `tags`.
  let nearest = Math.floor(plain.length / 3) + 1;
  let found: string | undefined;
  for (const candidate of candidates) {
    const away = distance(plain, candidate.replaceAll('-', '_'));
    if (away < nearest) {
      nearest = away;
      found = candidate;
    }
  }
  return found;
}

/** A whole number for messages, from five digits on with its thousands apart. */
export function grouped(n: number): string {
  return Math.abs(n) < 10_000 ? String(n) : String(n).replace(/\B(?=(?:\d{3})+$)/g, ',');
}
