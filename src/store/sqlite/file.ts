// What stands where the database should be, before SQLite is asked. Guarantee 12: what is
// not ours or has lost its content is refused by name and stays as it is.

import { closeSync, lstatSync, openSync, readSync, type Stats } from 'node:fs';
import { QueuectlError, systemCode } from '../../errors.ts';

export function statOf(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  }
}

/** SQLite would open an empty file as an empty database and a directory as an I/O error. */
export function refuseWhatIsNotOurs(path: string): Stats {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink() || !stat.isFile()) {
    throw new QueuectlError('foreign', `${path} is not a regular file`, {
      hint: 'give the path of the database itself with --db',
    });
  }
  const uid = process.getuid?.();
  if (uid !== undefined && stat.uid !== uid) {
    throw new QueuectlError('foreign_owner', `${path} belongs to another user (uid ${stat.uid})`, {
      hint: 'run queuectl as that user, or set QUEUECTL_HOME to a directory of your own',
    });
  }
  refuseEmpty(stat, path);
  if (!isSqlite(headOf(path))) {
    throw new QueuectlError(
      'foreign',
      `${path} is not a SQLite database, or its beginning is destroyed`,
      {
        hint: 'nothing was changed; give another path with --db, or restore it from a backup',
      },
    );
  }
  return stat;
}

export function refuseEmpty({ size }: Pick<Stats, 'size'>, path: string): void {
  if (size > 0) return;
  throw new QueuectlError('damaged', `${path} is empty: its content was lost`, {
    hint: 'restore it from a backup; move the file away to begin with an empty queue',
  });
}

export const HEAD_BYTES = 100;
const MAGIC = 'SQLite format 3\0';

/** What SQLite calls the header of a database; shorter files leave zeros. */
export function headOf(path: string): Uint8Array {
  const head = new Uint8Array(HEAD_BYTES);
  const fd = openSync(path, 'r');
  try {
    readSync(fd, head, 0, HEAD_BYTES, 0);
  } finally {
    closeSync(fd);
  }
  return head;
}

export function isSqlite(head: Uint8Array): boolean {
  return new TextDecoder('latin1').decode(head.subarray(0, MAGIC.length)) === MAGIC;
}
