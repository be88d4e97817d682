// Signalling and ending the processes of attempts. Guards guarantee 5: when an attempt
// counts as ended nothing of it runs any more; and fault 39: no stranger is signalled,
// whatever pid it has. members.ts finds out who belongs to an attempt.
//
// Where a whole group belongs to the attempt it is signalled at once, so that none escapes
// by forking meanwhile. Just before that one member must still be who was seen.

import { spawnSync } from 'node:child_process';
import {
  bootClock,
  isOver,
  liveness,
  livenessHere,
  type ProcessIdentity,
  readStat,
} from './identity.ts';
import {
  lookForMembers,
  type LookOptions,
  type ProcessRef,
  type Seen,
  type Trace,
} from './members.ts';

export { markerOf } from './members.ts';
export type { ProcessRef, Trace } from './members.ts';
export { MARKER_NAME } from './survey.ts';

const windows = process.platform === 'win32';

export type EndSignal = 'SIGTERM' | 'SIGKILL' | 'SIGCONT';

/**
 * The living processes of these attempts, found by a pass over /proc that begins after this
 * call and is shared by all who ask until then. Null: nobody can say, as descriptors or
 * memory are lacking; ask again later.
 */
export async function processesOf(
  traces: readonly Trace[],
  options: LookOptions = {},
): Promise<ProcessRef[] | null> {
  const seen = await look(traces, options);
  return seen.complete ? seen.members : null;
}

/** Those of them that were outside this group when they were seen: they may be gone by now. */
export async function processesOutside(
  group: number,
  traces: readonly Trace[],
): Promise<ProcessRef[]> {
  const { groups, singles } = await look(traces, {});
  const others = [...groups].flatMap(([number, members]) => (number === group ? [] : members));
  return [...others, ...singles];
}

export interface SignalOptions extends LookOptions {
  /** A group that has had these signals. */
  readonly except?: number;
}

/** Sends these signals, a moment later, once to all processes of these attempts. */
export async function signalProcesses(
  traces: readonly Trace[],
  signals: readonly EndSignal[],
  options: SignalOptions = {},
): Promise<void> {
  const seen = await look(traces, options);
  if (options.except !== undefined) seen.groups.delete(options.except);
  for (const signal of signals) signalSeen(seen, signal);
}

export interface KillOptions extends Omit<LookOptions, 'endedAt'> {
  /** Waits that many ms; may return early. */
  readonly sleep: (ms: number) => Promise<void>;
}

/** A process that KILL does not end in 5 s hangs in the kernel, on a dead disk say. */
const KILL_BOUND_MS = 5000;
/** KILL takes effect within a millisecond or so; a fork bomb takes some rounds. */
const FIRST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 50;
/** execve(2) takes less, so who has no environment for longer was started without. */
const UNDECIDED_MS = 50;

/**
 * Kills every process of these attempts and looks again until nobody is left. False if
 * somebody is left after 5 s, or may not be signalled by us (a setuid program), or if for
 * lack of descriptors nobody could look. Bounded, never throws.
 */
export async function killAndWait(
  traces: readonly Trace[],
  options: KillOptions,
): Promise<boolean> {
  const start = bootClock();
  const undecidedSince = new Map<string, number>();
  let known = options.known ?? [];
  let wait = FIRST_WAIT_MS;
  for (;;) {
    const seen = await look(traces, { ...options, known });
    const now = bootClock();
    const open = seen.undecided.filter(({ pid, startTime }) => {
      const key = `${pid} ${startTime}`;
      const since = undecidedSince.get(key) ?? now;
      undecidedSince.set(key, since);
      return now - since < UNDECIDED_MS;
    });
    if (seen.complete && seen.members.length === 0 && open.length === 0) return true;
    if (seen.members.length > 0) {
      known = seen.members;
      if (signalSeen(seen, 'SIGKILL') === 'denied') return false;
    }
    if (now - start >= KILL_BOUND_MS) return seen.complete && seen.members.length === 0;
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

/**
 * Whether this very process runs still. Costs microseconds. Where we lack the descriptor to
 * look, whoever has its pid is taken for it: to wait for it, not to signal it.
 */
export function isRunning(process: ProcessRef): boolean {
  const answer = livenessHere(process);
  return answer === 'unknown' ? kill(process.pid, 0) !== 'gone' : answer === 'alive';
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

/** `denied`: not one signal was allowed. */
function signalSeen(seen: Seen, signal: EndSignal): SignalAnswer {
  const answers: SignalAnswer[] = [];
  for (const [group, members] of seen.groups) {
    if (members.some((member) => isThere(member, group))) answers.push(signalGroup(group, signal));
  }
  for (const member of seen.singles) {
    if (isThere(member)) answers.push(kill(member.pid, signal));
  }
  if (answers.includes('sent')) return 'sent';
  return answers.includes('denied') ? 'denied' : 'gone';
}

/** In this group where one is given. False also where we lack the descriptor to look. */
function isThere(member: ProcessRef, group?: number): boolean {
  // Seen without /proc: there is nothing more to check.
  if (member.startTime === '') return true;
  const stat = readStat(member.pid);
  if (stat === null || stat.startTime !== member.startTime || isOver(stat)) return false;
  return group === undefined || stat.group === group;
}

async function look(traces: readonly Trace[], options: LookOptions): Promise<Seen> {
  // In the usual case their groups are gone, and one system call each says so.
  if (options.scope === 'group' && traces.every(isGroupGone)) return nobody();
  return (await lookForMembers(traces, options)) ?? lookWithoutProc(traces);
}

function isGroupGone({ leader }: Trace): boolean {
  return leader !== null && signalGroup(leader.pid, 0) === 'gone';
}

function nobody(): Seen {
  return { members: [], groups: new Map(), singles: [], undecided: [], complete: true };
}

/** Elsewhere a group can be asked for and signalled, but not looked into. */
function lookWithoutProc(traces: readonly Trace[]): Seen {
  const seen = nobody();
  for (const { leader } of traces) {
    if (leader === null || signalGroup(leader.pid, 0) === 'gone') continue;
    const ref = { pid: leader.pid, startTime: '' };
    seen.members.push(ref);
    seen.groups.set(leader.pid, [ref]);
  }
  return seen;
}
