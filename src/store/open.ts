// Location → store. The only file that names a backend; it is loaded lazily, so that a
// program pays for the one it uses.

import { lstatSync } from 'node:fs';
import type { Env } from '../env.ts';
import { failpoint } from '../failpoint.ts';
import { ensureHome, isHomeComplete, type Location } from '../location.ts';
import type { Store } from './store.ts';

export interface OpenOptions {
  readonly env: Env;
  /** How long to wait for the write lock before `busy`, ms; Infinity never gives up. */
  readonly patience: number;
  /** Called when a wait for the write lock has become long enough to be noticed. */
  readonly onWait?: () => void;
}

/** Opens the store, making its home and its database where there are none. */
export async function openStore(location: Location, options: OpenOptions): Promise<Store> {
  failpoint('open');
  // `--db` may name any file, and an empty one may stand in the home: what is refused must
  // not get directories of ours beside it.
  const there = isThere(location.database);
  if (!there) ensureHome(location);
  const homeLast = there && !isHomeComplete(location);
  const { openSqliteStore } = await import('./sqlite/store.ts');
  return await openSqliteStore({
    ...options,
    database: location.database,
    wakeFile: location.wakeFile,
    ...(homeLast && { onAccepted: () => ensureHome(location) }),
  });
}

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    // Not to be looked at: `ensureHome` says so in our words.
    return false;
  }
}
