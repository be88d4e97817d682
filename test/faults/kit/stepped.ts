// A reaper on the stepped clocks of test/fixtures/engine.ts, as every worker and supervisor
// has one. It ends no processes: there, attempts are scripts and have none.

import type { ProcessIdentity } from '../../../src/platform/identity.ts';
import { Reaper } from '../../../src/worker/reaper.ts';
import type { World } from '../../fixtures/engine.ts';

/** Looks twice a second until the test ends; `self`: who it is, whom it never reaps. */
export function startReaper(world: World, self: ProcessIdentity): void {
  const reaper = new Reaper({
    store: world.client,
    env: world.env,
    log: world.log,
    self,
    leftovers: { end: () => Promise.resolve(true), forget: () => undefined },
  });
  const closing = new AbortController();
  const done = reaper.run(closing.signal);
  world.atEnd(async () => {
    closing.abort();
    await done;
  });
}
