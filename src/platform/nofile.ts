// The soft limit on open files that the user's shell had. Bun and Node raise their own to
// the hard limit as they start, jobs inherit it, and programs that close every possible
// descriptor or use select(2) suffer. Guards: what a runtime does to its own process does
// not show in a job.

import { readFileSync } from 'node:fs';

/** What systemd sets for services it starts, and for itself: 1024 soft, 524288 hard. */
const SYSTEMD_SOFT = 1024;
const SYSTEMD_HARD = 524_288;

/**
 * The soft limit on open files this process was started with, null if nobody can tell.
 * For the process that the user starts, which hands the number on to its workers.
 *
 * Our own value is gone by the time any code runs, so it is taken from whoever started us:
 * a shell has the limit that it gave us. An init process has limits of its own; where it
 * is systemd our hard limit gives that away, and the soft one is then systemd's default.
 */
export function originalNofile(): number | null {
  if (process.platform !== 'linux') return null;
  const parent = process.ppid;
  if (parent > 1 && nameOf(parent) !== 'systemd') return openFiles(parent)?.soft ?? null;
  return openFiles(process.pid)?.hard === SYSTEMD_HARD ? SYSTEMD_SOFT : null;
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
  } catch {
    return '';
  }
}

function openFiles(pid: number): { soft: number; hard: number } | null {
  try {
    const limits = readFileSync(`/proc/${pid}/limits`, 'latin1');
    const [, soft, hard] = /^Max open files +(\d+) +(\d+) /m.exec(limits) ?? [];
    return soft === undefined || hard === undefined ? null : { soft: +soft, hard: +hard };
  } catch {
    return null;
  }
}
