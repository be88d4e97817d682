// Instants as people write them ↔ ms since 1970. A time that does not exist is refused and
// never rolled over (a Date makes 30 February the 2nd of March), and a time without a zone
// is either the caller's or refused, never silently UTC.

import { readDuration } from './duration.ts';
import { invalid, mustBe } from './invalid.ts';
import type { QueuectlError } from './errors.ts';

const DATE = String.raw`(?<year>\d{4})-(?<month>\d\d)-(?<day>\d\d)`;
const TIME = String.raw`(?<hour>\d\d):(?<minute>\d\d)(?::(?<second>\d\d)(?:[.,](?<fraction>\d{1,9}))?)?`;
const ZONE = String.raw`(?<zone>[Zz]|[+-]\d\d(?::?\d\d)?)`;
/** Made when first needed: most programs start and end without reading an instant. */
let iso: RegExp | undefined;

const EXPECTED = {
  'from now': 'an instant such as 2030-12-01T09:00Z, or a duration from now such as 10m',
  ago: 'an instant such as 2030-12-01T09:00Z, or 10m for ten minutes ago',
} as const;

export interface InstantContext {
  /** ms since 1970. */
  readonly now: number;
  /** True: without a zone it is the caller's local time. False: it is refused. */
  readonly local: boolean;
  /** What a duration means; `from now` if not given. */
  readonly durations?: keyof typeof EXPECTED;
}

/**
 * ISO 8601 (a date, or a date and a time, with `Z` or an offset) or a duration from now or ago
 * → ms since 1970, whole, rounded up so that nothing is early. Years 1970 to 9999. A local
 * time that the clocks pass twice is the earlier one. Throws `invalid`, naming `field`.
 */
export function parseInstant(
  text: string,
  { now, local, durations = 'from now' }: InstantContext,
  field = 'the instant',
): number {
  iso ??= new RegExp(`^${DATE}(?:[Tt ]${TIME}${ZONE}?)?$`);
  const parts = text.length <= 64 ? iso.exec(text)?.groups : undefined;
  if (parts === undefined) {
    const ms = durationIn(text);
    if (ms === undefined) throw mustBe(field, EXPECTED[durations], text);
    return durations === 'ago' ? now - ms : now + ms;
  }
  const part = (name: string): number => Number(parts[name] ?? 0);
  const [year, month, day] = [part('year'), part('month'), part('day')];
  const [hour, minute, second] = [part('hour'), part('minute'), part('second')];
  const milli = wholeMilliseconds(parts['fraction'] ?? '');

  if (year < 1970) throw mustBe(field, 'in the year 1970 or later', text);
  if (month < 1 || month > 12) throw absent(field, text, `there is no month ${month}`);
  const days = new Date(Date.UTC(year, month, 0)).getUTCDate();
  if (day < 1 || day > days) throw absent(field, text, `that month has ${days} days`);
  if (hour > 23) throw absent(field, text, 'a day ends with 23:59:59');
  if (minute > 59) throw absent(field, text, `there is no minute ${minute}`);
  if (second > 59) throw absent(field, text, 'leap seconds are not known here');

  const { zone } = parts;
  if (zone !== undefined) {
    const offset = offsetMinutes(zone);
    if (offset === undefined) throw absent(field, text, `there is no zone ${zone}`);
    return Date.UTC(year, month - 1, day, hour, minute - offset, second, milli);
  }
  if (!local) {
    const hint = 'add Z for UTC, or an offset such as +01:00';
    throw mustBe(field, 'an instant with a time zone', text, hint);
  }
  const date = new Date(year, month - 1, day, hour, minute, second, milli);
  // Where the clocks go forward a Date moves on to a time that exists.
  const same = date.getDate() === day && date.getHours() === hour && date.getMinutes() === minute;
  if (!same) throw absent(field, text, 'the clocks go forward over it in your time zone');
  return date.getTime();
}

/** Digits after the point → ms, rounded up. Not through 0.069 * 1000, which exceeds 69. */
function wholeMilliseconds(fraction: string): number {
  const more = /[1-9]/.test(fraction.slice(3)) ? 1 : 0;
  return Number(fraction.slice(0, 3).padEnd(3, '0')) + more;
}

/** A bare number is a duration in seconds elsewhere, but `2030` here may well be a year. */
function durationIn(text: string): number | undefined {
  return /[a-z]$/.test(text) ? readDuration(text) : undefined;
}

function absent(field: string, text: string, reason: string): QueuectlError {
  return invalid(`${field} must be an instant that exists, not ${text}: ${reason}`);
}

/** `Z`, `+01`, `+0130` or `-01:30` → minutes east of UTC; undefined past 23:59. */
function offsetMinutes(zone: string): number | undefined {
  if (zone === 'Z' || zone === 'z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(':', ''));
  if (hours > 23 || minutes > 59) return undefined;
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}

/** `2030-12-01T09:00:00.000Z`: how every instant is written in JSON. */
export function formatInstant(ms: number): string {
  return new Date(ms).toISOString();
}

/** The caller's local time with its offset, `2030-12-01T10:00:00+01:00`: for echoing back. */
export function formatLocal(ms: number): string {
  const date = new Date(ms);
  const east = -date.getTimezoneOffset();
  // The ISO form of the shifted instant has the local fields in it.
  const shifted = new Date(ms + east * 60_000).toISOString().replace(/(\.000)?Z$/, '');
  const minutes = Math.abs(east);
  const two = (n: number): string => String(n).padStart(2, '0');
  const sign = east < 0 ? '-' : '+';
  return `${shifted}${sign}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}
