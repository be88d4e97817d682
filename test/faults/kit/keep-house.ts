// Keeps house in QUEUECTL_HOME as each worker does, but its first round at once, and ends after
// that round: a process of its own, to be killed in the middle.

import { systemEnv } from '../../../src/env.ts';
import { resolveLocation } from '../../../src/location.ts';
import { openStore } from '../../../src/store/open.ts';
import { keepHouse } from '../../../src/worker/housekeeping.ts';
import { createLogStore } from '../../../src/worker/output.ts';

/** Between two rounds it waits longer than this, between two steps never. */
const BETWEEN_ROUNDS_MS = 1000;

const location = resolveLocation({ environment: process.env, homeDirectory: () => '/' });
const closing = new AbortController();
const env = {
  ...systemEnv,
  // The wait before the first round is a share of a minute.
  random: () => 0,
  sleep: async (ms: number, signal?: AbortSignal): Promise<void> => {
    if (ms > BETWEEN_ROUNDS_MS) closing.abort();
    await systemEnv.sleep(ms, signal);
  },
};
const store = await openStore(location, { env, patience: 30_000 });
const log = (line: string): void => console.log(line);
await keepHouse({ store, env, logs: createLogStore(location.jobLogs), log }, closing.signal);
await store.close();
