// Moments as people think of them: relative to now, in one unit. Pure: the clock is handed
// in. A past moment is rounded down and a future one up, so that nothing is said to be
// over, or due, before it is.

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** `3s ago`, `2h ago`, `in 5m`; `now` within a second. */
export function relative(at: number, now: number): string {
  const distance = at - now;
  if (distance > 0) return `in ${largestUnit(distance, Math.ceil)}`;
  return distance > -1000 ? 'now' : `${largestUnit(-distance, Math.floor)} ago`;
}

/** How long something has lasted, one unit: `12s`, `3h`; `0s` at the beginning. */
export function age(ms: number): string {
  return largestUnit(Math.max(ms, 0), Math.floor);
}

/** One unit: the largest of which there is at least one, after rounding. */
function largestUnit(ms: number, round: (n: number) => number): string {
  for (const [unit, size] of UNITS) {
    const n = round(ms / size);
    // Rounded up to a whole larger unit: 59.5 s are `1m`, not `60s`.
    if (ms >= size || (unit !== 's' && round(ms / 1000) * 1000 >= size)) return `${n}${unit}`;
  }
  return `${round(ms / 1000)}s`;
}
