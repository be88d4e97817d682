// How a commit in one process wakes a waiting one in another: the writer touches a wake
// file beside the database after its commit, the others watch that file. Watching the WAL
// itself is one event late. A watch is a hint and nothing is lost without it: everybody
// who waits also polls.

import { closeSync, lutimesSync, openSync } from 'node:fs';
import { systemCode } from '../../errors.ts';
import type { Env } from '../../env.ts';
import { type PathWatch, watchPath } from '../../platform/watch.ts';
import type { Watch } from '../store.ts';

/** Makes the wake file if it is not there. Never follows a planted link to make one. */
export function createWakeFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

/** Wakes everybody who watches. Never fails: what was committed stays committed. */
export function touchWakeFile(path: string, now: number): void {
  try {
    lutimesSync(path, now / 1000, now / 1000);
  } catch {
    // Somebody removed it, or the disk is read-only by now. Pollers find the commit.
    try {
      createWakeFile(path);
    } catch {
      // Nor can it be made again: the same holds.
    }
  }
}

/** Calls `listener` at each touch and once more a little later. */
export function watchWakeFile(path: string, env: Env, listener: () => void): Watch {
  let watch: PathWatch | null = null;
  const begin = (): void => {
    watch?.close();
    try {
      createWakeFile(path);
    } catch {
      // No directory any more, say: polling alone, at most a second late.
    }
    watch = watchPath(path, {
      sleep: (ms, signal) => env.sleep(ms, signal),
      listener,
      onReplaced: () => {
        begin();
        listener();
      },
    });
  };
  begin();
  return { close: () => watch?.close() };
}
