// A process, watched through /proc while it runs: how long it takes and how much memory.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { environment } from './place.ts';

export interface Watched {
  /** Ms. */
  readonly wall: number;
  /** CPU time of the process itself, and its memory at the peak: as seen just before its end. */
  readonly cpu: number;
  readonly peak: number;
}

export interface WatchOptions {
  readonly home: string;
  /** A file. */
  readonly stdin?: string;
}

/** Runs it to its end. */
export async function watched(
  [file = '', ...args]: readonly string[],
  options: WatchOptions,
): Promise<Watched> {
  const stdin = openSync(options.stdin ?? '/dev/null', 'r');
  const begun = performance.now();
  const child = spawn(file, args, {
    env: environment(options.home),
    stdio: [stdin, 'ignore', 'ignore'],
  });
  const closed = once(child, 'close').then(() => performance.now() - begun);
  let [cpu, peak] = [0, 0];
  while (child.exitCode === null && child.signalCode === null) {
    cpu = Math.max(cpu, cpuOf(child.pid ?? 0));
    peak = Math.max(peak, peakOf(child.pid ?? 0));
    await sleep(5);
  }
  const wall = await closed;
  closeSync(stdin);
  if (child.exitCode !== 0) {
    throw new Error(`${file} ${args.join(' ')}: exit ${child.exitCode ?? child.signalCode}`);
  }
  return { wall, cpu, peak };
}

/** User and system time of all threads so far, in ms; 0 when it is gone. */
function cpuOf(pid: number): number {
  // The name in parentheses may hold anything; utime and stime are fields 14 and 15.
  const ticks = /\) (?:\S+ ){11}(\d+) (\d+)/;
  return (field(pid, 'stat', ticks, 1) + field(pid, 'stat', ticks, 2)) * MS_PER_TICK;
}

/** USER_HZ is 100 on everything we run on. */
const MS_PER_TICK = 10;

/** The most memory that a process has had so far, in bytes; 0 when it is gone. */
export function peakOf(pid: number): number {
  return field(pid, 'status', /^VmHWM:\s+(\d+) kB$/m) * 1024;
}

/** What is in memory for this process: all of it, and without what others share. */
export function memoryOf(pid: number): { rss: number; own: number } {
  const sum = (name: string): number =>
    field(pid, 'smaps_rollup', new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm')) * 1024;
  return { rss: sum('Rss'), own: sum('Private_Clean') + sum('Private_Dirty') };
}

/** CPU time of all threads so far, in ms, and how often they have gone to sleep. */
export function usageOf(pid: number): { cpu: number; sleeps: number } {
  let cpu = 0;
  let sleeps = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    cpu += field(pid, `task/${thread}/schedstat`, /^(\d+)/) / 1e6;
    sleeps += field(pid, `task/${thread}/status`, /^voluntary_ctxt_switches:\s+(\d+)$/m);
  }
  return { cpu, sleeps };
}

function field(pid: number, file: string, pattern: RegExp, group = 1): number {
  try {
    return Number(pattern.exec(readFileSync(`/proc/${pid}/${file}`, 'latin1'))?.[group] ?? 0);
  } catch {
    return 0;
  }
}
