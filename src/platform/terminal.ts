// Reading from the terminal so that it can be given up: a plain read of one blocks a thread
// until a line comes, and keeps the process from ending all that time.

import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { systemCode } from '../errors.ts';

/** People take it for at once, and nobody notices what it costs. */
const POLL_MS = 20;

/** A terminal hands over a line at a time, and no longer ones than this. */
const LONGEST_LINE = 4096;

/**
 * The terminal, opened anew without blocking; null where it cannot be. Not the descriptor we
 * were given: its flags are shared with the shell that we return to.
 */
export function openTerminal(): number | null {
  const { O_RDONLY, O_NONBLOCK, O_NOCTTY } = constants;
  // Windows knows no such flags, nor the file.
  if (O_NONBLOCK === undefined) return null;
  try {
    return openSync('/dev/tty', O_RDONLY | O_NONBLOCK | (O_NOCTTY ?? 0));
  } catch {
    return null;
  }
}

/**
 * The next bytes typed; null at the end of input, and at once in the background, where the
 * system would stop whoever reads. Rejects when `signal` aborts. Closes the descriptor.
 */
export async function readTerminal(fd: number, signal: AbortSignal): Promise<Uint8Array | null> {
  const buffer = new Uint8Array(LONGEST_LINE);
  try {
    for (;;) {
      signal.throwIfAborted();
      if (!isForeground()) return null;
      try {
        const size = readSync(fd, buffer, 0, buffer.length, null);
        return size === 0 ? null : buffer.subarray(0, size);
      } catch (error) {
        // EIO: nobody is at the other end any more.
        if (systemCode(error) === 'EIO') return null;
        if (systemCode(error) !== 'EAGAIN') throw error;
      }
      await delay(POLL_MS, undefined, { signal }).catch(() => {
        // Aborted: said at the top of the loop, with its reason.
      });
    }
  } finally {
    closeSync(fd);
  }
}

/** Whether our process group is the one that the terminal talks to; true where nobody tells. */
function isForeground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8');
    // After the name, which may hold anything: state, parent, group, session, terminal, its group.
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return group === foreground;
  } catch {
    return true;
  }
}
