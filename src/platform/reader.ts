// Whether somebody still reads what we write, asked without writing: who follows a silent job
// would otherwise notice only at its next byte that `| head -1` has long had its line.

import { openPoll } from './libc.ts';

/** poll.h: nobody reads this pipe; the other side has hung up. */
const POLLERR = 0x08;
const POLLHUP = 0x10;

/** struct pollfd on little-endian machines: fd, then events (low half) and revents. */
const request = new Int32Array(2);

let libc: ReturnType<typeof openPoll> | undefined;

/** False only where it is certain. Elsewhere than under Bun on Linux nobody can tell. */
export function hasReader(descriptor: number): boolean {
  libc ??= openPoll();
  if (libc === null) return true;
  request[0] = descriptor;
  request[1] = 0; // these two are reported whatever is asked for
  if (libc.poll(request, 1, 0) !== 1) return true;
  return (((request[1] ?? 0) >> 16) & (POLLERR | POLLHUP)) === 0;
}
