// Text from elsewhere made safe and short for people. Invariant: nothing that came from a
// user, a job or another process reaches a terminal without going through `visible`: one
// field stays one line, moves no cursor, sets no title and reverses no reading direction.

import { grouped } from '../invalid.ts';

/**
 * Control characters (C0, DEL, C1), line separators, marks that reorder or hide text, and
 * halves of surrogate pairs. U+200C and U+200D stay: emoji and several scripts need them.
 */
const UNSAFE =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\p{Surrogate}/gu;

/** The same, but for line ends and tabs: what `logs` shows on a terminal. */
const UNSAFE_IN_LOGS =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\p{Surrogate}/gu;

const SHORT = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\u001b', '\\e'],
]);

/** The text on one line, with everything that could act on a terminal shown escaped. */
export function visible(text: string): string {
  return text.replace(UNSAFE, escapeOf);
}

/** Output of a job for a terminal: lines, tabs and carriage returns stay. */
export function visibleOutput(text: string): string {
  return text.replace(UNSAFE_IN_LOGS, escapeOf);
}

function escapeOf(character: string): string {
  const short = SHORT.get(character);
  if (short !== undefined) return short;
  const code = character.codePointAt(0) ?? 0;
  if (code >= 0xd800 && code <= 0xdfff) return '\ufffd';
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** Columns that a text takes on a terminal. */
export type Measure = (text: string) => number;

const ASCII = /^[\u0000-\u007f]*$/;

/**
 * The way to measure these texts. Only text beyond ASCII needs the tables of string-width,
 * which are then loaded.
 */
export async function measureFor(texts: Iterable<string>): Promise<Measure> {
  for (const text of texts) {
    if (!ASCII.test(text)) return (await import('string-width')).default;
  }
  return (text) => text.length;
}

/** At most `width` columns of it, the last one `…` where something was cut. */
export function shorten(text: string, width: number, measure: Measure): string {
  // More than fits, also of characters that are made of many; the rest is not looked at.
  const most = width * 16;
  if (text.length <= most && measure(text) <= width) return text;
  const candidate = text.slice(0, most);
  let taken = '';
  let used = 0;
  for (const { segment } of new Intl.Segmenter().segment(candidate)) {
    const step = measure(segment);
    if (used + step > width - 1) break;
    taken += segment;
    used += step;
  }
  return `${taken.trimEnd()}…`;
}

/** `1 job`, `200,000 jobs`. */
export function count(n: number, noun: string, plural = `${noun}s`): string {
  return `${grouped(n)} ${n === 1 ? noun : plural}`;
}

/** `a, b and c` */
export function enumerate(words: readonly string[], conjunction = 'and'): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} ${conjunction} ${words.at(-1) ?? ''}`;
}

export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = n;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit] ?? ''}`;
}
