// Who a process is, and whether it still lives. Guards guarantee 5: a process is known by
// host, boot, pid namespace, pid and start time, never by its pid alone, so that a reused
// pid is never taken for the process that had it before. Costs microseconds per question:
// every worker asks twice a second about every other one.

import { openSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { systemCode } from '../errors.ts';

/** What tells one process from every other there has been: never a pid alone. */
export interface ProcessIdentity {
  readonly host: string;
  /** Changes at every boot. */
  readonly bootId: string;
  /** The pid namespace: in another one the same pid is another process. */
  readonly pidNamespace: string;
  readonly pid: number;
  /** When it started, in the kernel's clock ticks since boot. */
  readonly startTime: string;
}

const linux = process.platform === 'linux';

/**
 * Ms since this machine booted, time asleep included; resolution 10 ms. Linux: the boot
 * clock. macOS: in whole seconds, and it follows the wall clock when that is set.
 */
export function bootClock(): number {
  if (!linux) return Math.round(process.getBuiltinModule('node:os').uptime() * 1000);
  // Kept open: a worker that has no descriptor left must still renew its leases.
  uptimeFile ??= openSync('/proc/uptime', 'r');
  const size = readSync(uptimeFile, uptimeText, 0, uptimeText.length, 0);
  return Math.round(Number.parseFloat(uptimeText.toString('latin1', 0, size)) * 1000);
}

let uptimeFile: number | undefined;
const uptimeText = Buffer.alloc(64);

/** What the kernel tells about a process, as far as we need it. */
export interface ProcessStat {
  readonly pid: number;
  /** One letter: R, S, D, T, Z (zombie), X (dead) … */
  readonly state: string;
  readonly group: number;
  readonly session: number;
  /** A thread of the kernel's own: it runs no program and never has an environment. */
  readonly kernel: boolean;
  /** Clock ticks since boot, as the kernel prints it. */
  readonly startTime: string;
}

/** `/proc/<pid>/stat`, or null if there is no such process, or no /proc. */
export function readStat(pid: number): ProcessStat | null {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    // ENOENT, or ESRCH where it went away between open and read.
    return null;
  }
}

/**
 * Parses `pid (name) state ppid group session …`, see proc(5). The name is whatever the
 * process calls itself, spaces and parentheses included, so it ends at the last `)`.
 */
export function parseStat(line: string): ProcessStat | null {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ', START_TIME_FIELD + 1);
  const [state, , group, session] = fields;
  const startTime = fields[START_TIME_FIELD];
  const kernel = (Number(fields[FLAGS_FIELD]) & PF_KTHREAD) !== 0;
  if (state === undefined || group === undefined || session === undefined) return null;
  if (startTime === undefined || startTime === '') return null;
  const pid = Number.parseInt(line, 10);
  return { pid, state, group: Number(group), session: Number(session), kernel, startTime };
}

/** Fields 9 and 22 of the line; the fields counted here begin with the third, `state`. */
const FLAGS_FIELD = 9 - 3;
const START_TIME_FIELD = 22 - 3;

/** From include/linux/sched.h, as proc(5) says; the same since Linux 2.6.27. */
const PF_KTHREAD = 0x0020_0000;

/** Zombies and the dead: they run nothing any more, whoever forgot to reap them. */
export function isOver(stat: ProcessStat): boolean {
  return stat.state === 'Z' || stat.state === 'X' || stat.state === 'x';
}

/** ESRCH where it went away between open and read. */
const NO_SUCH_PROCESS = new Set(['ENOENT', 'ESRCH']);

interface Machine {
  readonly host: string;
  readonly bootId: string;
  readonly pidNamespace: string;
}

let machine: Machine | undefined;

/** Read once: a process keeps its boot and its namespace for life. */
function thisMachine(): Machine {
  // node:os is loaded by who needs it: not by an `enqueue` that finds no worker.
  machine ??= {
    host: process.getBuiltinModule('node:os').hostname(),
    bootId: linux ? textOf(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1')) : '',
    pidNamespace: linux ? textOf(() => readlinkSync('/proc/self/ns/pid')) : '',
  };
  return machine;
}

function textOf(read: () => string): string {
  try {
    return read().trim();
  } catch {
    return '';
  }
}

/** This process. */
export function selfIdentity(): ProcessIdentity {
  const { pid } = process;
  return { ...thisMachine(), pid, startTime: readStat(pid)?.startTime ?? '' };
}

/** The process that has this pid in our namespace now, or null if there is none alive. */
export function identityOf(pid: number): ProcessIdentity | null {
  if (!linux) return exists(pid) ? { ...thisMachine(), pid, startTime: '' } : null;
  const stat = readStat(pid);
  if (stat === null || isOver(stat)) return null;
  return { ...thisMachine(), pid, startTime: stat.startTime };
}

export type Liveness = 'alive' | 'gone' | 'unknown';

/**
 * `unknown` where we cannot see it: on another host, or in another pid namespace of the
 * same boot (another container). `gone` is certain: this host has booted since, no such
 * pid, a zombie, or the pid belongs to a process that started at another time.
 */
export function liveness(identity: ProcessIdentity): Liveness {
  const here = thisMachine();
  // Before the boot id: another machine has another boot id, and is not gone for that.
  if (identity.host !== here.host) return 'unknown';
  if (identity.bootId !== here.bootId) return 'gone';
  if (identity.pidNamespace !== here.pidNamespace) return 'unknown';
  return livenessHere(identity);
}

/** Of a process of this boot and pid namespace. `unknown`: we lack the descriptor to look. */
export function livenessHere(identity: Pick<ProcessIdentity, 'pid' | 'startTime'>): Liveness {
  const { pid, startTime } = identity;
  if (!linux) return exists(pid) ? 'alive' : 'gone';
  let line: string;
  try {
    line = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    // Without a descriptor left nobody can be seen, which makes nobody dead.
    const gone = NO_SUCH_PROCESS.has(systemCode(error) ?? '');
    return gone ? 'gone' : 'unknown';
  }
  const stat = parseStat(line);
  if (stat === null || isOver(stat)) return 'gone';
  return stat.startTime === startTime ? 'alive' : 'gone';
}

/** Without /proc a pid is all there is to ask about. */
function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there and belongs to somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
