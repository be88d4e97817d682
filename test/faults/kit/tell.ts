// The figures of a storm in words.

import type { Report } from './storm.ts';

/** The figures, a line each. */
export function told(report: Report): string[] {
  const { summary, refused } = report;
  const counts = (of: Readonly<Record<string, number>>): string =>
    Object.entries(of)
      .toSorted(([a], [b]) => a.localeCompare(b))
      .map(([what, n]) => `${n} ${what}`)
      .join(', ');
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(0)} s`;
  return [
    `seed ${report.seed}: storm ${seconds(report.stormMs)}, drain ${seconds(report.drainMs)}`,
    `${report.kills} kills; ${counts(report.deeds)}`,
    `asked: ${counts(report.steps)}`,
    `answers: ${counts(summary.answers)}`,
    `${summary.acknowledged} jobs acknowledged, ${summary.lost} lost; ` +
      `${summary.unknown} without an answer, ${summary.recovered} of them recovered`,
    `jobs: ${counts(summary.states)}`,
    `${summary.attempts} attempts: ${counts(summary.outcomes)}`,
    `${summary.overlaps} overlaps, ${report.excused} of processes that left their group`,
    `stale: ${refused.results} results and ${refused.leases} leases refused`,
    ...Object.entries(summary.noticed).map(
      ([under, ms]) =>
        `recorded lost after kill -9 of a worker, noticed by ${under}: ${spread(ms)}`,
    ),
    `recorded after kill -9 of a supervisor: ${spread(report.supervisors)}`,
    `afterwards ${report.most}`,
  ];
}

function spread(ascending: readonly number[]): string {
  const at = (share: number): number =>
    ascending[Math.min(ascending.length - 1, Math.floor(share * ascending.length))] ?? NaN;
  if (ascending.length === 0) return 'none';
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms, of ${ascending.length}`;
}
