// Location → store. The only file that names a backend; it is loaded lazily, so that a
// program pays for the one it uses.

import type { Env } from '../env.ts';
import { ensureHome, type Location } from '../location.ts';
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
  ensureHome(location);
  const { openSqliteStore } = await import('./sqlite/store.ts');
  return await openSqliteStore({
    ...options,
    database: location.database,
    wakeFile: location.wakeFile,
  });
}
