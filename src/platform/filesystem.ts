// What kind of file system something lies on, and how much room it has. SQLite's WAL needs
// shared memory and locks between all processes: between machines there are none.

import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemCode } from '../errors.ts';

/** f_type of statfs(2), from include/uapi/linux/magic.h, of those that reach over a network. */
const NETWORK_TYPES: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB 2'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x564c, 'NCP'],
  [0x01021997, '9P'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x19830326, 'BeeGFS'],
  [0x013661, 'OrangeFS'],
  [0x20030528, 'OrangeFS'],
]);

interface FileSystem {
  readonly type: number;
  /** Bytes per block, and blocks that we may still use. */
  readonly bsize: number;
  readonly bavail: number;
}

type Statfs = (path: string) => FileSystem;

/**
 * The name of the network file system that holds this path, or will once it is made; null
 * where it is none. One system call where it is there.
 */
export function networkFileSystem(path: string, statfs: Statfs = statfsSync): string | null {
  if (process.platform !== 'linux') return null;
  try {
    // Some kernels hand the number over with its sign.
    return NETWORK_TYPES.get(statfs(path).type >>> 0) ?? null;
  } catch (error) {
    const above = dirname(path);
    if (systemCode(error) === 'ENOENT' && above !== path) return networkFileSystem(above, statfs);
    // Nothing to be told: whoever opens it will say why.
    return null;
  }
}

/** Bytes that we may still write there; null where nobody can tell. */
export function freeBytes(path: string, statfs: Statfs = statfsSync): number | null {
  try {
    const { bsize, bavail } = statfs(path);
    return bsize * bavail;
  } catch {
    return null;
  }
}
