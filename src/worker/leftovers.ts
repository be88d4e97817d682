// The processes that a dead worker left behind, ended before its jobs may run again
// (guarantee 5): found by the marker in their environment, and by group and session of
// the leaders that the worker had written into its roster.

import type { Env } from '../env.ts';
import { killAndWait, markerOf, type Trace } from '../platform/processes.ts';
import { readRoster, removeRoster } from './roster.ts';

export interface Leftovers {
  /**
   * Kills all processes of these attempts of the worker, at once and without grace. True
   * when none is left; false if some cannot be ended within a few seconds.
   */
  end(runTokens: readonly number[], workerName: string): Promise<boolean>;
  /** Deletes what the worker had written down; nothing of it runs any more. */
  forget(workerName: string): void;
}

export interface LeftoversOptions {
  readonly env: Env;
  readonly databaseId: string;
  /** Directory of the rosters. */
  readonly roster: string;
}

export function createLeftovers({ env, databaseId, roster }: LeftoversOptions): Leftovers {
  return {
    async end(runTokens, workerName) {
      const entries = readRoster(roster, workerName);
      const traces = runTokens.map((runToken): Trace => {
        const entry = entries.find((known) => known.runToken === runToken);
        return { marker: markerOf(databaseId, runToken), leader: entry?.leader ?? null };
      });
      return await killAndWait(traces, { sleep: (ms) => env.sleep(ms) });
    },
    forget(workerName) {
      removeRoster(roster, workerName);
    },
  };
}
