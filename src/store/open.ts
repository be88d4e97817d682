// Location → store. The only file that names a backend; it is loaded lazily, so that a
// program pays for the one it uses.

import type { BackupOptions } from './sqlite/backup.ts';
import { lstatSync } from 'node:fs';
import type { Env } from '../env.ts';
import { QueuectlError } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import { ensureHome, isHomeComplete, type Location } from '../location.ts';
import { networkFileSystem } from '../platform/filesystem.ts';
import type { Glance } from './glance.ts';
import type { Inspection, Salvaged, SalvagedJob } from './inspection.ts';
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
  refuseNetworkFileSystem(location);
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

/** Copies the store to a file while others work; answers its size in bytes. */
export async function backupStore(
  location: Location,
  file: string,
  options: BackupOptions,
): Promise<number> {
  const { database } = location;
  refuseNetworkFileSystem(location);
  if (!isThere(database)) {
    throw new QueuectlError('not_found', `there is no database at ${database}`);
  }
  const { backupDatabase } = await import('./sqlite/backup.ts');
  return backupDatabase(database, file, options);
}

/** Names to choose from; null, or thrown, where none can be read at once. Makes nothing. */
export async function glanceAtStore(location: Location): Promise<Glance | null> {
  refuseNetworkFileSystem(location);
  const { glanceAtDatabase } = await import('./sqlite/glance.ts');
  return glanceAtDatabase(location.database);
}

/** Looks the store over, also one that cannot be opened any more. Reads only. */
export async function inspectStore(
  { database }: Location,
  onLong?: (bytes: number) => void,
): Promise<Inspection> {
  const { inspectDatabase } = await import('./sqlite/inspect.ts');
  return inspectDatabase(database, onLong);
}

/** Hands over each job that can still be read. Reads only. */
export async function salvageStore(
  { database }: Location,
  onJob: (found: SalvagedJob) => void,
): Promise<Salvaged> {
  const { salvage } = await import('./sqlite/salvage.ts');
  return salvage(database, onJob);
}

/** Before anything is made there: not even an empty home is left behind. */
function refuseNetworkFileSystem({ database, allowNetworkFs }: Location): void {
  if (allowNetworkFs) return;
  const kind = networkFileSystem(database);
  if (kind === null) return;
  const message = `${database} lies on a network file system (${kind}), which can damage it`;
  throw new QueuectlError('unavailable', message, {
    hint: 'use a local disk: set QUEUECTL_HOME, or --db; --allow-network-fs takes the risk',
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
