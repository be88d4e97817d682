// Text that becomes the stdin of a command, under Bun on Linux: a file in memory without a
// name. It needs nobody to write on while the command reads, so a command that never reads
// cannot stop anything, and nothing of it is left wherever it is killed.

import { closeSync, writeSync } from 'node:fs';
import { SpawnError } from './diagnose.ts';
import { openMemfd } from './libc.ts';
import { outOfDescriptors } from './pipe.ts';

/** linux/memfd.h */
const MFD_CLOEXEC = 1;

let memfd: ReturnType<typeof openMemfd> | undefined;

/** Shown as /memfd:stdin in /proc. */
const NAME = new TextEncoder().encode('stdin\0');

/** An open descriptor, at the beginning of the text. The caller closes it. */
export function memoryFile(text: string): number {
  memfd ??= openMemfd();
  if (memfd === null) {
    const message = 'this system cannot keep text for stdin in memory: store it in a file instead';
    throw new SpawnError(message, 126);
  }
  const fd = memfd.memfd_create(NAME, MFD_CLOEXEC);
  if (fd < 0) throw outOfDescriptors();
  try {
    // At a position of its own, so that the command begins at the first byte.
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at, at);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
