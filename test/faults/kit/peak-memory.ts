// The most memory that a process has had in RAM so far, as the kernel counts it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** MiB. */
export function peakMemory(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? assert.fail(status);
  return Math.round(Number(kibibytes) / 1024);
}
