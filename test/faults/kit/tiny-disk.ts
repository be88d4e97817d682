// A disk that is easily full: a small tmpfs, for a queue or for its logs alone. Faults 11
// and 12.

import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Crew, until } from '../../fixtures/crew.ts';

/** For `skip`. */
export const unmountable =
  process.platform === 'linux' && process.getuid?.() === 0
    ? false
    : 'needs root, to mount a small tmpfs';

export interface TinyDisk {
  /** Takes all the room that is left. */
  fill(): void;
  /** Gives it back. */
  makeRoom(): void;
}

/**
 * Mounts a disk of so many KiB at `path`, a directory of the queue's home, until the test
 * ends. Null where even root may not mount.
 */
export function mountTinyDisk(queue: Crew, path: string, kib: number): TinyDisk | null {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const options = ['-t', 'tmpfs', '-o', `size=${kib}k,mode=700`, 'tmpfs', path];
  if (spawnSync('mount', options).status !== 0) return null;
  const filler = join(path, 'fill');
  const makeRoom = (): void => rmSync(filler, { force: true });
  queue.cleanup(async () => {
    makeRoom();
    await queue.q(['worker', 'stop', '--now']);
    await until('it is unmounted', () => spawnSync('umount', [path]).status === 0);
  });
  const fill = (): void => {
    for (let size = 65_536; size >= 1; size /= 2) {
      try {
        for (;;) appendFileSync(filler, Buffer.alloc(size));
      } catch {
        // No more of this size.
      }
    }
  };
  return { fill, makeRoom };
}
