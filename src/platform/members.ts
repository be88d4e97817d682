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
//   be `known` from an earlier look, or be older than the end of the leader, which was seen
//   just now (`endedAt`). If all who are left in the group have cleared their environment
//   and nobody knows them, they might as well be a stranger's daemon, so they are left alone.

import { isOver, type ProcessIdentity, type ProcessStat } from './identity.ts';
import { nextSurvey, type Survey } from './survey.ts';

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
  /**
   * Boot clock, ms, when the leader was seen to have ended a moment ago. Who bears its
   * number since before that has it from the leader.
   */
  readonly endedAt?: number;
}

/** The value of MARKER_NAME in an attempt: unique among all attempts of all databases. */
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
  /** False: some may have been overlooked, so that nobody seen does not mean nobody there. */
  readonly complete: boolean;
}

/**
 * Looks for everybody who belongs to these attempts, in a pass over /proc that all share who
 * ask before it begins. Null where there is no /proc.
 */
export async function lookForMembers(
  traces: readonly Trace[],
  options: LookOptions,
): Promise<Seen | null> {
  const survey = await nextSurvey(oldestOf(traces));
  return survey && membersIn(survey, traces, options);
}

/** A descendant cannot be older than its ancestor: most processes need no closer look. */
function oldestOf(traces: readonly Trace[]): number {
  return Math.min(...traces.map(({ leader }) => Number(leader?.startTime ?? 0)));
}

/** Costs what belongs to these attempts, however many processes there are. */
function membersIn(survey: Survey, traces: readonly Trace[], options: LookOptions): Seen {
  const { stats, groups, sessions, complete } = survey;
  const carriers = new Set(traces.flatMap(({ marker }) => survey.carriers.get(marker) ?? []));
  const known = new Set((options.known ?? []).flatMap((ref) => sameProcess(survey, ref) ?? []));
  const held = heldNumbers(traces, survey, new Set([...carriers, ...known]), options);
  const ours = new Set(held);
  for (const { pid, session } of carriers) if (pid === session) ours.add(session);

  const everywhere = options.scope !== 'group';
  const whole = new Set([...held].flatMap((number) => groups.get(number) ?? []));
  if (everywhere) for (const number of ours) sessions.get(number)?.forEach((one) => whole.add(one));
  const all = everywhere ? new Set([...whole, ...carriers, ...known]) : whole;

  const seen: Seen = { members: [], groups: new Map(), singles: [], undecided: [], complete };
  // A worker that was started from within a job may be in its group: it must not end itself.
  const ownGroup = stats.get(process.pid)?.group;
  for (const stat of all) {
    if (!isSomebody(stat)) continue;
    const ref = refOf(stat);
    seen.members.push(ref);
    const group = seen.groups.get(stat.group);
    if (!whole.has(stat) || stat.group === ownGroup) seen.singles.push(ref);
    else if (group === undefined) seen.groups.set(stat.group, [ref]);
    else group.push(ref);
  }
  if (everywhere) {
    const oldest = oldestOf(traces);
    for (const stat of survey.undecided) {
      const mayBe = isSomebody(stat) && !all.has(stat) && Number(stat.startTime) >= oldest;
      if (mayBe) seen.undecided.push(refOf(stat));
    }
  }
  return seen;
}

function isSomebody(stat: ProcessStat): boolean {
  return !isOver(stat) && stat.pid !== process.pid && stat.pid !== 1;
}

function refOf({ pid, startTime }: ProcessStat): ProcessRef {
  return { pid, startTime };
}

function sameProcess({ stats }: Survey, { pid, startTime }: ProcessRef): ProcessStat | null {
  const stat = stats.get(pid);
  return stat?.startTime === startTime ? stat : null;
}

/** USER_HZ is 100 wherever we run. */
const MS_PER_TICK = 10;

/** Pids of leaders that are theirs still, as numbers of groups and sessions. */
function heldNumbers(
  traces: readonly Trace[],
  { stats, groups, sessions }: Survey,
  proof: ReadonlySet<ProcessStat>,
  { endedAt = Number.NEGATIVE_INFINITY }: LookOptions,
): Set<number> {
  const held = new Set<number>();
  for (const { leader } of traces) {
    if (leader === null) continue;
    const owner = stats.get(leader.pid);
    if (owner !== undefined) {
      if (owner.startTime === leader.startTime) held.add(leader.pid);
      continue;
    }
    const bearers = [...(groups.get(leader.pid) ?? []), ...(sessions.get(leader.pid) ?? [])];
    const isProof = (stat: ProcessStat): boolean =>
      proof.has(stat) || Number(stat.startTime) <= endedAt / MS_PER_TICK;
    if (bearers.some(isProof)) held.add(leader.pid);
  }
  return held;
}
