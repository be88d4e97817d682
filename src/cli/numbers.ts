// Whole numbers, durations and moments that flags carry. Refusals name the flag.

import { parseDuration } from '../duration.ts';
import { grouped, mustBe } from '../invalid.ts';

/** A whole number of at least `min`, at most `max`; null where the flag was not given. */
export function wholeNumber(
  flag: string,
  text: string | undefined,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): number | null {
  if (text === undefined) return null;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  const range =
    max === Number.MAX_SAFE_INTEGER
      ? `of at least ${grouped(min)}`
      : `from ${grouped(min)} to ${grouped(max)}`;
  throw mustBe(flag, `a whole number ${range}`, text);
}

/** A duration in ms; null where the flag was not given. */
export function durationFlag(flag: string, text: string | undefined): number | null {
  return text === undefined ? null : parseDuration(text, flag);
}
