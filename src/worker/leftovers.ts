// The processes that a dead worker left behind, ended before its jobs may run again
// (guarantee 5): found by the marker in their environment, and by group and session of
// those that the worker had written into its roster.

import type { Env } from '../env.ts';
import { killAndWait, markerOf, type Trace } from '../platform/processes.ts';
import { straysOf } from '../platform/strays.ts';
import type { Log } from './log.ts';
import { readRoster, readWorkerMarker, removeRoster } from './roster.ts';

export interface Leftovers {
  /**
   * Kills all processes of these attempts of the worker, at once and without grace. True
   * when none is left; false if some cannot be ended within a few seconds. `died`: the
   * worker is gone, so that what it was just starting is ended too.
   */
  end(runTokens: readonly number[], workerName: string, died: boolean): Promise<boolean>;
  /** Deletes what the worker had written down; nothing of it runs any more. */
  forget(workerName: string): void;
}

export interface LeftoversOptions {
  readonly env: Env;
  readonly databaseId: string;
  /** Directory of the rosters. */
  readonly roster: string;
  readonly log: Log;
}

export function createLeftovers({ env, databaseId, roster, log }: LeftoversOptions): Leftovers {
  return {
    async end(runTokens, workerName, died) {
      const entries = readRoster(roster, workerName);
      const traces = runTokens.flatMap((runToken): Trace[] => {
        const marker = markerOf(databaseId, runToken);
        const own = entries.filter((known) => known.runToken === runToken);
        if (own.length === 0) return [{ marker, leader: null }];
        return own.map(({ leader }) => ({ marker, leader }));
      });
      // All by the same look at all processes, which killAndWait then shares.
      const telling = traces.map(async (trace) => {
        const strays = await straysOf(trace);
        if (strays !== null) log(`${workerName}: ending ${strays}`, { level: 'warn' });
      });
      const worker = died ? readWorkerMarker(roster, workerName) : null;
      if (worker !== null) traces.push({ marker: worker, leader: null });
      // Who outlived a leader proves that its group is not a stranger's.
      const known = traces.flatMap(({ leader }) => leader ?? []);
      const ended = await killAndWait(traces, { known, sleep: (ms) => env.sleep(ms) });
      await Promise.all(telling);
      return ended;
    },
    forget(workerName) {
      removeRoster(roster, workerName);
    },
  };
}
