// Who belongs to an attempt, on Linux by what /proc says. Guards guarantee 5: nothing that
// belongs to it is overlooked, and nothing else is ever taken for a part of it.
//
// It belongs to an attempt:
// - whoever carries its marker in the environment it was started with. All descendants
//   do, unless one was given another environment;
// - whoever is in the group or the session of the attempt's leader, its command's own
//   process. `spawn` made both, they are numbered like the leader's pid, and nobody can
//   join them from outside;
// - whoever is in a session whose leader carries the marker: a descendant made it. A
//   session that a carrier merely is in may be a stranger's: somebody's shell that was
//   given the variables of a job to look for an error.
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

import { readdirSync, readFileSync } from 'node:fs';
import { isOver, type ProcessIdentity, type ProcessStat, readStat } from './identity.ts';

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

export interface Seen {
  /** The living; zombies run nothing any more. */
  readonly members: ProcessRef[];
  /** Groups that belong to the attempts as a whole, with the members seen in each. */
  readonly groups: Map<number, ProcessRef[]>;
  /** Members that are not in such a group. */
  readonly singles: ProcessRef[];
  /** In the middle of execve(2), or without environment: nobody can tell yet. */
  readonly undecided: ProcessRef[];
}

/** Looks for everybody who belongs to these attempts. Null where there is no /proc. */
export function lookForMembers(traces: readonly Trace[], options: LookOptions): Seen | null {
  const survey = surveyFor(traces);
  if (survey === null) return null;
  const { stats, carriers, undecided } = survey;
  const held = heldNumbers(traces, survey, options);
  const sessions = new Set(held);
  for (const { pid, session } of carriers) if (pid === session) sessions.add(session);

  const seen: Seen = { members: [], groups: new Map(), singles: [], undecided: [] };
  // A worker that was started from within a job may be in its group: it must not end itself.
  const ownGroup = stats.get(process.pid)?.group;
  for (const stat of stats.values()) {
    if (isOver(stat) || stat.pid === process.pid || stat.pid === 1) continue;
    const inGroup = held.has(stat.group);
    if (options.scope === 'group' && !inGroup) continue;
    const ref = { pid: stat.pid, startTime: stat.startTime };
    const whole = inGroup || sessions.has(stat.session);
    if (!whole && !carriers.has(stat) && !isKnown(stat, options)) {
      if (undecided.has(stat)) seen.undecided.push(ref);
      continue;
    }
    seen.members.push(ref);
    if (!whole || stat.group === ownGroup) {
      seen.singles.push(ref);
      continue;
    }
    const group = seen.groups.get(stat.group);
    if (group === undefined) seen.groups.set(stat.group, [ref]);
    else group.push(ref);
  }
  return seen;
}

/** Pids of leaders that are theirs still, as numbers of groups and sessions. */
function heldNumbers(
  traces: readonly Trace[],
  { stats, carriers }: Survey,
  options: LookOptions,
): Set<number> {
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
      if (carriers.has(stat) || isKnown(stat, options)) held.add(leader.pid);
    }
  }
  return held;
}

function isKnown(stat: ProcessStat, { known = [] }: LookOptions): boolean {
  return known.some((ref) => ref.pid === stat.pid && ref.startTime === stat.startTime);
}

interface Survey {
  /** All processes of this /proc by pid, zombies included. */
  readonly stats: ReadonlyMap<number, ProcessStat>;
  /** Those with a marker that is looked for. */
  readonly carriers: ReadonlySet<ProcessStat>;
  readonly undecided: ReadonlySet<ProcessStat>;
}

/** More rounds only help against a machine that starts processes faster than we can look. */
const LISTINGS = 5;

/**
 * Reads all of /proc, and lists it again until a list has no new pid. Otherwise one that
 * forks and exits while we look could be over when we come to it, and its child not yet
 * listed.
 */
function surveyFor(traces: readonly Trace[]): Survey | null {
  if (process.platform !== 'linux') return null;
  const markers = new Set(traces.map((trace) => trace.marker));
  // A descendant cannot be older than its ancestor: most processes need no closer look.
  const oldest = Math.min(...traces.map(({ leader }) => Number(leader?.startTime ?? 0)));
  const stats = new Map<number, ProcessStat>();
  const carriers = new Set<ProcessStat>();
  const undecided = new Set<ProcessStat>();
  const listed = new Set<string>();
  for (let listings = 0; listings < LISTINGS; listings += 1) {
    const names = pidNames();
    if (names === null) return null;
    const before = listed.size;
    for (const name of names) {
      if (listed.has(name)) continue;
      listed.add(name);
      const stat = readStat(Number(name));
      if (stat === null) continue;
      stats.set(stat.pid, stat);
      // Not told by session 0: whoever a container was entered with bears that as well.
      if (isOver(stat) || stat.kernel || Number(stat.startTime) < oldest) continue;
      const environment = environmentOf(stat.pid);
      const marker = markerIn(environment);
      if (environment === '') undecided.add(stat);
      else if (marker !== null && markers.has(marker)) carriers.add(stat);
    }
    if (listed.size === before) break;
  }
  return { stats, carriers, undecided };
}

function pidNames(): string[] | null {
  try {
    return readdirSync('/proc').filter((name) => /^[1-9]/.test(name));
  } catch {
    return null;
  }
}

/** Of a process that is gone, or that we may not look into, a text without marker. */
function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '\0';
  }
}

const MARKER_ENTRY = new RegExp(`(?:^|\\0)${MARKER_NAME}=([^\\0]+)\\0`);

function markerIn(environment: string): string | null {
  return MARKER_ENTRY.exec(environment)?.[1] ?? null;
}
