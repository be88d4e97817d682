// Files that have another name until they are complete. Whoever is killed while writing one
// leaves it behind; the next one who writes to the same target takes it away.

import { readdirSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** A draft grows all the time; one that has not for so long belongs to nobody. */
const ABANDONED_MS = 10 * 60_000;
/** What SQLite puts beside a database that it writes. */
const SUFFIXES = ['', '-journal', '-wal', '-shm'];
const UNIQUE = /^\.[0-9a-f-]{36}\.new(-journal|-wal|-shm)?$/;

export function draftOf(target: string, unique: string): string {
  return `${target}.${unique}.new`;
}

/** With what lies beside it. */
export function removeDraft(draft: string): void {
  for (const suffix of SUFFIXES) rmSync(draft + suffix, { force: true });
}

/** `now`: ms since 1970. What cannot be read or removed is left alone. */
export function removeAbandonedDrafts(target: string, now: number): void {
  const directory = dirname(target);
  const name = basename(target);
  try {
    for (const file of readdirSync(directory)) {
      if (!file.startsWith(name) || !UNIQUE.test(file.slice(name.length))) continue;
      const path = join(directory, file);
      const changed = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now;
      if (now - changed > ABANDONED_MS) rmSync(path, { force: true });
    }
  } catch {
    // They are in nobody's way.
  }
}
