// Hints that a file, or something in a directory, has changed. A watch may miss a change, may
// be dead without a word (its file or directory was re-created) and may not be had at all
// (no inotify watches left): whoever waits by one also polls beneath it.

import { existsSync, type FSWatcher, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/**
 * fs.watch of Bun misses the second of two changes less than about 1 ms apart; a second
 * look this much later lost none in the measurements behind this number.
 */
const SECOND_LOOK_MS = 5;

export interface PathWatch {
  close(): void;
}

export interface WatchOptions {
  /** Waits that many ms; rejects when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Called at each change, and once more a little later. */
  readonly listener: () => void;
  /** Of a change in a directory: whether this name matters. */
  readonly wanted?: (name: string) => boolean;
  /** It was removed or replaced: this watch is dead from now on. */
  readonly onReplaced?: () => void;
}

/** Watches until it is closed; null where there is nothing to watch, or no watch to be had. */
export function watchPath(path: string, options: WatchOptions): PathWatch | null {
  const { wanted, onReplaced } = options;
  const closed = new AbortController();
  const look = lookTwice(options, closed.signal);
  let watcher: FSWatcher;
  try {
    watcher = watch(path, { persistent: false }, (event, name) => {
      if (wanted !== undefined && typeof name === 'string' && !wanted(name)) return;
      if (event === 'rename') onReplaced?.();
      look();
    });
  } catch {
    return null;
  }
  watcher.on('error', () => watcher.close());
  return {
    close: () => {
      closed.abort();
      watcher.close();
    },
  };
}

/**
 * Watches what is in a directory that may not exist yet: until it does, the nearest one above
 * it that does, without calling anybody for what else happens there. Null where no watch is
 * to be had. A directory that is removed afterwards is not waited for again.
 */
export function watchDirectory(
  path: string,
  { sleep, listener, wanted }: Omit<WatchOptions, 'onReplaced'>,
): PathWatch | null {
  let current: PathWatch | null = null;
  let closed = false;
  const close = (): void => {
    current?.close();
    current = null;
  };
  const below = (directory: string, name: string): PathWatch | null =>
    watchPath(directory, {
      sleep,
      wanted: (changed) => changed === name,
      listener: () => {
        if (closed || !existsSync(join(directory, name))) return;
        begin();
        listener();
      },
    });
  const begin = (): void => {
    for (;;) {
      close();
      const missing = nearestMissing(path);
      current =
        missing === null
          ? watchPath(path, { sleep, listener, ...(wanted && { wanted }) })
          : below(dirname(missing), basename(missing));
      // Made between the look and the watch: nobody would tell.
      if (current === null || missing === null || !existsSync(missing)) return;
    }
  };
  begin();
  if (current === null) return null;
  return {
    close: () => {
      closed = true;
      close();
    },
  };
}

/** The uppermost of a path's parts that does not exist; null where all of it does. */
function nearestMissing(path: string): string | null {
  let missing: string | null = null;
  for (let at = path; !existsSync(at); at = dirname(at)) {
    missing = at;
    if (at === dirname(at)) break;
  }
  return missing;
}

function lookTwice({ sleep, listener }: WatchOptions, closed: AbortSignal): () => void {
  let waiting = false;
  let again = false;
  const look = (): void => {
    listener();
    // One that comes while a second look is due may hide the next: it gets its own.
    again = waiting;
    if (waiting) return;
    waiting = true;
    sleep(SECOND_LOOK_MS, closed).then(
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
  return look;
}
