// From flags and environment to an open queue, which is closed again whatever happens.

import { systemEnv } from '../env.ts';
import { type Location, resolveLocation } from '../location.ts';
import { Queue } from '../queue.ts';
import { openStore } from '../store/open.ts';
import type { Io } from './io.ts';

/** A bulk insert of a million jobs holds the write lock for seconds; beyond it is a fault. */
const PATIENCE_MS = 30_000;

export interface Opened {
  readonly queue: Queue;
  readonly location: Location;
}

/** Opens the queue, making it where there is none: a queue nobody has used yet is empty. */
export async function withQueue<T>(io: Io, use: (opened: Opened) => T | Promise<T>): Promise<T> {
  const location = locationOf(io);
  const store = await openStore(location, {
    env: systemEnv,
    patience: PATIENCE_MS,
    onWait: () => io.note('queuectl: waiting for another process that writes to the database'),
  });
  const queue = new Queue(store, systemEnv);
  try {
    return await use({ queue, location });
  } finally {
    await queue.close();
  }
}

export function locationOf({ db, allowNetworkFs, context }: Io): Location {
  return resolveLocation({
    db,
    allowNetworkFs,
    environment: context.env,
    homeDirectory: () => context.homeDirectory(),
    cwd: () => context.cwd(),
  });
}
