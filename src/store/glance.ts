// What somebody who types may see of a store: names to choose from, found without making,
// locking or waiting for anything.

import type { State } from '../job.ts';

export interface Glance {
  /**
   * Up to `limit` jobs whose id begins so, newest first, that are in one of the states, or
   * have started. Bounded in time: of a long history only the newest are sure to be there.
   */
  jobs(
    prefix: string,
    which: readonly State[] | 'started',
    limit: number,
  ): readonly { readonly id: string; readonly state: State; readonly command: string }[];
  /** Up to `limit` queues whose name begins so, by name. */
  queues(prefix: string, limit: number): readonly string[];
  close(): void;
}
