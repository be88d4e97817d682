// How a commit in one process wakes a waiting one in another: the writer touches a wake
// file beside the database after its commit, the others watch that file. Watching the WAL
// itself is one event late. A watch is a hint and nothing is lost without it: everybody
// who waits also polls.

import { closeSync, type FSWatcher, lutimesSync, openSync, watch } from 'node:fs';
import { systemCode } from '../../errors.ts';
import type { Env } from '../../env.ts';
import type { Watch } from '../store.ts';

/**
 * fs.watch of Bun misses the second of two changes less than about 1 ms apart; a second
 * look this much later lost none in the measurements behind this number.
 */
const SECOND_LOOK_MS = 5;

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
  const closed = new AbortController();
  let waiting = false;
  let again = false;
  const look = (): void => {
    listener();
    // One that comes while a second look is due may hide the next: it gets its own.
    again = waiting;
    if (waiting) return;
    waiting = true;
    env.sleep(SECOND_LOOK_MS, closed.signal).then(
      () => {
        waiting = false;
        if (again) look();
        else listener();
      },
      () => {
        // Closed meanwhile: nobody listens any more.
      },
    );
  };
  let watcher: FSWatcher | undefined;
  const begin = (): void => {
    try {
      createWakeFile(path);
      watcher = watch(path, { persistent: false }, (event) => {
        // It was removed or replaced: this watch is dead from now on, silently.
        if (event === 'rename') {
          watcher?.close();
          begin();
        }
        look();
      });
      watcher.on('error', () => watcher?.close());
    } catch {
      // No watch to be had (no inotify watches left, no directory): polling alone, at most
      // a second late.
    }
  };
  begin();
  return {
    close: () => {
      closed.abort();
      watcher?.close();
    },
  };
}
