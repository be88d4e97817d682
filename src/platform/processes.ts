// Finding and ending the processes of attempts, on Linux by what /proc says. Guards
// guarantee 5: when an attempt counts as ended nothing of it runs any more, and nothing
// that was not part of it is ever signalled.
//
// Who belongs to an attempt:
// - whoever carries its marker in the environment it was started with. All descendants
//   do, unless one was given another environment;
// - whoever is in the group or the session of the attempt's leader, its command's own
//   process. `spawn` made both, they are numbered like the leader's pid, and nobody can
//   join them from outside;
// - whoever is in the session of somebody who carries the marker: only a descendant can
//   have made that session.
//
// Numbers are reused, so the leader's number counts only if it was held all the time. The
// kernel gives a number away again when no process, group or session bears it any more:
// - a process with this pid and the leader's start time, zombie or not, holds it;
// - one with another start time proves that it was given away: group and session of this
//   number are a stranger's;
// - no process with this pid: somebody in the group or session must carry the marker, or
//   be `known` from an earlier look, or the leader must have ended just now (`fresh`). If
//   all who are left in the group have cleared their environment and nobody knows them,
//   they might as well be a stranger's daemon, so they are left alone.
// A whole group is signalled at once, so that none escapes by forking meanwhile, and just
// before that one member must still be the process that was seen.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { bootClock, isOver, liveness, readStat } from './identity.ts';
import type { ProcessIdentity, ProcessStat } from './identity.ts';

const windows = process.platform === 'win32';

export type EndSignal = 'SIGTERM' | 'SIGKILL' | 'SIGCONT';

/** A pid that cannot be mistaken: start time in clock ticks since boot. */
export type ProcessRef = Pick<ProcessIdentity, 'pid' | 'startTime'>;

/** What the processes of one attempt can be found by. */
export interface Trace {
  readonly marker: string;
  /** The command's own process; null where it was never written down. */
  readonly leader: ProcessRef | null;
}

export interface LookOptions {
  /** `group`: only the leader's group, without those who left it. Default: `all`. */
  readonly scope?: 'group' | 'all';
  /** Members that an earlier look has found. */
  readonly known?: readonly ProcessRef[];
  /** The leader ended a moment ago: its number cannot have been given away since. */
  readonly fresh?: boolean;
}

/** The variable that every process of an attempt inherits. */
export const MARKER_NAME = 'QUEUECTL_MARKER';

/** Its value: unique among all attempts of all databases. */
export function markerOf(databaseId: string, runToken: number): string {
  return `${databaseId}:${runToken}`;
}

/** The living processes of these attempts; zombies are none. One pass over /proc. */
export function processesOf(traces: readonly Trace[], options: LookOptions = {}): ProcessRef[] {
  return look(traces, options).members;
}

/** Sends these signals once to every group of these attempts; never throws. */
export function signalProcesses(
  traces: readonly Trace[],
  signals: readonly EndSignal[],
  options: LookOptions = {},
): void {
  const seen = look(traces, options);
  for (const signal of signals) signalSeen(seen, signal);
}

export interface KillOptions extends LookOptions {
  /** Waits that many ms; may return early. */
  readonly sleep: (ms: number) => Promise<void>;
}

/** A process that KILL does not end in 5 s hangs in the kernel, on a dead disk say. */
const KILL_BOUND_MS = 5000;
/** KILL takes effect within a millisecond or so; a fork bomb takes some rounds. */
const FIRST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 50;

/**
 * Kills every process of these attempts and looks again until nobody is left. False if
 * somebody is left after 5 s, or may not be signalled by us (a setuid program). Bounded,
 * never throws.
 */
export async function killAndWait(
  traces: readonly Trace[],
  options: KillOptions,
): Promise<boolean> {
  const deadline = bootClock() + KILL_BOUND_MS;
  let known = options.known ?? [];
  let wait = FIRST_WAIT_MS;
  let emptyLooks = 0;
  for (let looks = 1; ; looks += 1) {
    const seen = look(traces, { ...options, known, fresh: looks === 1 && options.fresh === true });
    if (seen.members.length === 0) {
      emptyLooks += 1;
      // One that forks and exits in a loop can slip through a single look.
      if (looks === 1 || emptyLooks === 2) return true;
    } else {
      emptyLooks = 0;
      known = seen.members;
      if (signalSeen(seen, 'SIGKILL') === 'denied' || bootClock() >= deadline) return false;
    }
    await options.sleep(wait);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }
}

export type SignalAnswer = 'sent' | 'gone' | 'denied';

/** Signals a whole group; never throws. On Windows: ends the tree of this process. */
export function signalGroup(group: number, signal: EndSignal | 0): SignalAnswer {
  // kill(-1) is every process there is, kill(0) our own group.
  if (!Number.isSafeInteger(group) || group <= 1) return 'gone';
  if (windows) return signalTree(group, signal);
  return kill(-group, signal);
}

/** Signals one process unless it is gone, or another has its pid by now. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): SignalAnswer {
  return liveness(identity) === 'alive' ? kill(identity.pid, signal) : 'gone';
}

/** Whether this very process runs still. Costs microseconds. */
export function isRunning({ pid, startTime }: ProcessRef): boolean {
  if (process.platform !== 'linux') return kill(pid, 0) !== 'gone';
  const stat = readStat(pid);
  return stat !== null && stat.startTime === startTime && !isOver(stat);
}

function kill(pid: number, signal: NodeJS.Signals | 0): SignalAnswer {
  try {
    process.kill(pid, signal);
    return 'sent';
  } catch (error) {
    const denied = error instanceof Error && 'code' in error && error.code === 'EPERM';
    return denied ? 'denied' : 'gone';
  }
}

/** Windows has neither groups nor TERM: the tree is ended at once. */
function signalTree(pid: number, signal: EndSignal | 0): SignalAnswer {
  if (signal === 0 || signal === 'SIGCONT') return kill(pid, 0);
  const { status } = spawnSync('taskkill', ['/pid', String(pid), '/t', '/f'], {
    stdio: 'ignore',
    timeout: KILL_BOUND_MS,
  });
  return status === 0 ? 'sent' : 'gone';
}

interface Seen {
  readonly members: ProcessRef[];
  /** Every group with the members seen in it; all of such a group belongs to the attempt. */
  readonly groups: Map<number, ProcessRef[]>;
}

/** `denied`: not one signal was allowed. */
function signalSeen(seen: Seen, signal: EndSignal): SignalAnswer {
  let answer: SignalAnswer = 'gone';
  for (const [group, members] of seen.groups) {
    if (!members.some((member) => isStillIn(group, member))) continue;
    const one = signalGroup(group, signal);
    if (one === 'sent' || answer === 'gone') answer = one;
  }
  return answer;
}

function isStillIn(group: number, member: ProcessRef): boolean {
  // Seen without /proc: there is nothing more to check.
  if (member.startTime === '') return true;
  const stat = readStat(member.pid);
  return stat?.startTime === member.startTime && stat.group === group;
}

function look(traces: readonly Trace[], options: LookOptions): Seen {
  const stats = allStats();
  if (stats === null) return lookWithoutProc(traces);
  const carriers = carriersOf(traces, stats);
  const isKnown = (stat: ProcessStat): boolean =>
    options.known?.some((ref) => ref.pid === stat.pid && ref.startTime === stat.startTime) ?? false;

  const held = new Set<number>();
  for (const { leader } of traces) {
    if (leader === null) continue;
    const owner = stats.get(leader.pid);
    if (owner !== undefined) {
      if (owner.startTime === leader.startTime) held.add(leader.pid);
      continue;
    }
    if (options.fresh === true) {
      held.add(leader.pid);
      continue;
    }
    for (const stat of stats.values()) {
      if (stat.group !== leader.pid && stat.session !== leader.pid) continue;
      if (carriers.has(stat) || isKnown(stat)) held.add(leader.pid);
    }
  }

  const sessions = new Set(held);
  for (const { session } of carriers) if (session > 1) sessions.add(session);

  const seen: Seen = { members: [], groups: new Map() };
  for (const stat of stats.values()) {
    if (isOver(stat) || stat.pid === process.pid || stat.group <= 1) continue;
    const inGroup = held.has(stat.group);
    if (options.scope === 'group' && !inGroup) continue;
    const ours = inGroup || sessions.has(stat.session) || carriers.has(stat) || isKnown(stat);
    if (!ours) continue;
    const ref = { pid: stat.pid, startTime: stat.startTime };
    seen.members.push(ref);
    const group = seen.groups.get(stat.group);
    if (group === undefined) seen.groups.set(stat.group, [ref]);
    else group.push(ref);
  }
  return seen;
}

/** All processes that this /proc shows, zombies included; null without /proc. */
function allStats(): Map<number, ProcessStat> | null {
  if (process.platform !== 'linux') return null;
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return null;
  }
  const stats = new Map<number, ProcessStat>();
  for (const name of names) {
    const first = name.charCodeAt(0);
    if (first < 0x31 || first > 0x39) continue; // not a digit from 1 to 9
    const stat = readStat(Number(name));
    if (stat !== null) stats.set(stat.pid, stat);
  }
  return stats;
}

/** Those of `stats` that carry a marker of these attempts. */
function carriersOf(
  traces: readonly Trace[],
  stats: ReadonlyMap<number, ProcessStat>,
): Set<ProcessStat> {
  const markers = new Set(traces.map((trace) => trace.marker));
  // A descendant cannot be older than its ancestor: most processes need no closer look.
  const oldest = Math.min(...traces.map(({ leader }) => Number(leader?.startTime ?? 0)));
  const carriers = new Set<ProcessStat>();
  for (const stat of stats.values()) {
    if (isOver(stat) || Number(stat.startTime) < oldest) continue;
    const marker = markerIn(environmentOf(stat.pid));
    if (marker !== null && markers.has(marker)) carriers.add(stat);
  }
  return carriers;
}

/** Empty where we may not read it: a process of somebody else, a kernel thread. */
function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}

const MARKER_ENTRY = new RegExp(`(?:^|\\0)${MARKER_NAME}=([^\\0]*)\\0`);

function markerIn(environment: string): string | null {
  return MARKER_ENTRY.exec(environment)?.[1] ?? null;
}

/** Elsewhere a group can be asked for and signalled, but not looked into. */
function lookWithoutProc(traces: readonly Trace[]): Seen {
  const seen: Seen = { members: [], groups: new Map() };
  for (const { leader } of traces) {
    if (leader === null || signalGroup(leader.pid, 0) === 'gone') continue;
    const ref = { pid: leader.pid, startTime: '' };
    seen.members.push(ref);
    seen.groups.set(leader.pid, [ref]);
  }
  return seen;
}
