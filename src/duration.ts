// Durations as people write them ↔ milliseconds. What cannot be read exactly as meant is
// refused: a negative, empty or endless duration never becomes "at once" or "never".

import { mustBe } from './invalid.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * 100 years of 365.25 days. Longer is a slip of the pen, and now + 100 years is still a
 * date with a four-digit year, well inside what a Date and an integer column hold.
 */
export const MAX_DURATION_MS = 36_525 * DAY;

/** Largest first: in this order a duration is written. */
const UNITS = [
  ['d', DAY],
  ['h', HOUR],
  ['m', MINUTE],
  ['s', SECOND],
  ['ms', 1],
] as const;

const NUMBER = String.raw`(\d+(?:\.\d+)?)`;
/** Made when first needed: most programs start and end without reading a duration. */
let withUnits: RegExp | undefined;

/** Far more than any duration in range needs; keeps a 10 MB text from being matched. */
const LONGEST_TEXT = 64;

const EXAMPLES = ['500ms', '30s', '5m', '1h30m', '2d'];

/** Some that are in range: `500ms, 30s, 5m, 1h30m or 2d`. */
export function durationExamples(min = 0, max = MAX_DURATION_MS): string {
  const fitting = EXAMPLES.filter((text) => {
    const ms = readDuration(text) ?? 0;
    return ms >= min && ms <= max;
  });
  return fitting.join(', ').replace(/, (\S+)$/, ' or $1');
}

/** `500ms`, `30s`, `5m`, `1h30m`, `2d`, or seconds as a bare number → ms, or undefined. */
export function readDuration(value: string | number): number | undefined {
  const ms = typeof value === 'number' ? value * SECOND : sum(value);
  if (ms === undefined || !(ms >= 0 && ms <= MAX_DURATION_MS)) return undefined;
  // A timeout of 0.1 ms must not become 0, which means none.
  return ms > 0 ? Math.max(1, Math.round(ms)) : 0;
}

/** A bare number, or numbers with units, the larger units first. */
function sum(text: string): number | undefined {
  if (text === '' || text.length > LONGEST_TEXT) return undefined;
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text) * SECOND;
  withUnits ??= new RegExp(`^${UNITS.map(([unit]) => `(?:${NUMBER}${unit})?`).join('')}$`);
  const parts = withUnits.exec(text);
  if (parts === null) return undefined;
  return UNITS.reduce((total, [, size], i) => total + Number(parts[i + 1] ?? 0) * size, 0);
}

/**
 * A duration in whole ms, 0 to MAX_DURATION_MS; a number is seconds, fractions allowed.
 * Throws `invalid`, naming `field`.
 */
export function parseDuration(value: string | number, field = 'the duration'): number {
  const ms = readDuration(value);
  if (ms !== undefined) return ms;
  const expected = `a duration of at most 100 years, such as ${durationExamples()}`;
  throw mustBe(field, expected, value, 'a bare number is seconds');
}

/** Milliseconds → what `parseDuration` reads back as the same number: `1h30m`, `12s345ms`. */
export function exactDuration(ms: number): string {
  let rest = Math.round(ms);
  let text = '';
  for (const [unit, size] of UNITS) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n > 0) text += `${n}${unit}`;
  }
  return text === '' ? '0s' : text;
}

/** Short, for people: `350ms`, `12.3s`, `5m30s`, `1h30m`, `2d4h`. Two units at most. */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`;
  // Below half a millisecond under the next unit, so that 999.7 never reads `1000ms`.
  if (Math.round(ms) < SECOND) return `${Math.round(ms)}ms`;
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return `${tenths / 10}s`;
  // Cut to whole smaller units: a job that waits 1h59m59s has not waited for 2h.
  if (ms < HOUR) return exactDuration(Math.floor(Math.max(ms, MINUTE) / SECOND) * SECOND);
  if (ms < DAY) return exactDuration(Math.floor(ms / MINUTE) * MINUTE);
  return exactDuration(Math.floor(ms / HOUR) * HOUR);
}
