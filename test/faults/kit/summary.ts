// The figures of a storm, out of the same history that the checker judges.

import { killedByPid, noticesOf, TERMINAL } from './checker.ts';
import type { History, Killed, Seen } from './history.ts';

/** Somebody was there who could notice, and could have written it down. */
export function isUnhindered({ at, noticedFrom = at }: Killed): boolean {
  return noticedFrom <= at;
}

export interface Summary {
  readonly acknowledged: number;
  /** Acknowledged, and not in a terminal state. */
  readonly lost: number;
  /** Enqueues without an answer, and those of them that are there. */
  readonly unknown: number;
  readonly recovered: number;
  /** Requests about a job by what was answered: `cancel cancelled`, `enqueue unknown` … */
  readonly answers: Readonly<Record<string, number>>;
  readonly states: Readonly<Record<string, number>>;
  readonly attempts: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly overlaps: number;
  /**
   * Ms from the kill of a worker until its attempt was recorded lost, ascending; by who
   * should have noticed.
   */
  readonly noticed: Readonly<Record<string, readonly number[]>>;
}

export function summarize(history: History, seen: Seen): Summary {
  const jobs = new Map(seen.jobs.map((job) => [job.id, job]));
  const enqueues = history.asked.filter(({ verb }) => verb === 'enqueue');
  const acknowledged = new Set(
    enqueues.filter(({ answer }) => answer === 'ok').map(({ id }) => id),
  );
  const unknown = new Set(
    enqueues
      .filter(({ id, answer }) => answer === 'unknown' && !acknowledged.has(id))
      .map(({ id }) => id),
  );
  const attempts = seen.jobs.flatMap((job) => job.history);
  const killed = killedByPid(history);
  const noticed = seen.jobs
    .flatMap((job) => noticesOf(job, killed))
    .filter(({ outcome, kill }) => outcome === 'lost' && isUnhindered(kill))
    .toSorted((a, b) => a.after - b.after);
  return {
    acknowledged: acknowledged.size,
    lost: [...acknowledged].filter((id) => !TERMINAL.has(jobs.get(id)?.state ?? '')).length,
    unknown: unknown.size,
    recovered: [...unknown].filter((id) => jobs.has(id)).length,
    answers: tally(history.asked.map(({ verb, answer, result }) => `${verb} ${result ?? answer}`)),
    states: tally(seen.jobs.map((job) => job.state)),
    attempts: attempts.length,
    outcomes: tally(attempts.map(({ outcome }) => outcome ?? 'running')),
    overlaps: history.spans.filter(({ what }) => what === 'OVERLAP').length,
    noticed: Object.fromEntries(
      [...Map.groupBy(noticed, ({ kill }) => kill.under ?? 'anybody')].map(([under, some]) => [
        under,
        some.map(({ after }) => after),
      ]),
    ),
  };
}

function tally(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}
