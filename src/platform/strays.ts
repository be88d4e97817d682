// Who has left the group of its command (setsid, double fork) and is found by its marker all
// the same: to be told to the operator before it is ended. Nothing here decides who is ended.

import { readFileSync } from 'node:fs';
import { readStat } from './identity.ts';
import { processesOutside, type ProcessRef, type Trace } from './processes.ts';

/** No log line lists a fork bomb. */
const MOST_TOLD = 5;

/**
 * `processes that had left its group: 4711 (sleep)`; null: there are none, or none that can be
 * seen, or it is unknown which group that was.
 */
export async function straysOf(trace: Trace): Promise<string | null> {
  const { leader } = trace;
  if (leader === null) return null;
  // Where they were when they were seen: whoever ends them may be quicker than we are here.
  const strays = (await processesOutside(leader.pid, [trace])).filter(
    (one) => groupOf(one) !== leader.pid,
  );
  if (strays.length === 0) return null;
  const told = strays.slice(0, MOST_TOLD).map(({ pid }) => `${pid} (${nameOf(pid)})`);
  const more = strays.length - told.length;
  const rest = more > 0 ? ` and ${more} more` : '';
  return `processes that had left its group: ${told.join(', ')}${rest}`;
}

function groupOf({ pid, startTime }: ProcessRef): number | null {
  const stat = readStat(pid);
  return stat?.startTime === startTime ? stat.group : null;
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd();
  } catch {
    return 'gone';
  }
}
