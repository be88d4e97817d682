// What the subjects make of their samples, and how figures are written.

/** The middle one; of an even number the mean of the two. */
export function median(samples: readonly number[]): number {
  return (quantile(samples, 0.5, Math.floor) + quantile(samples, 0.5, Math.ceil)) / 2;
}

export function quantile(
  samples: readonly number[],
  share: number,
  round: (position: number) => number = Math.round,
): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[round((sorted.length - 1) * share)] ?? Number.NaN;
}

/** Pair by pair, so that a machine whose speed drifts does not show. */
export function medianRatio(samples: readonly number[], floor: readonly number[]): number {
  return median(samples.map((sample, index) => sample / (floor[index] ?? Number.NaN)));
}

export function medianDifference(samples: readonly number[], floor: readonly number[]): number {
  return median(samples.map((sample, index) => sample - (floor[index] ?? Number.NaN)));
}

export function ms(value: number): string {
  return value < 1000 ? `${value.toFixed(value < 100 ? 2 : 0)} ms` : seconds(value / 1000);
}

export function seconds(value: number): string {
  return `${value.toFixed(value < 100 ? 2 : 0)} s`;
}

export function perSecond(value: number, unit: string): string {
  return `${Math.round(value).toLocaleString('en')} ${unit}/s`;
}

export function times(value: number): string {
  return `× ${value.toFixed(2)}`;
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
