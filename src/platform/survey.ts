// One pass over /proc: all processes by pid, group, session and marker. Guards guarantee 5:
// nobody who is there is overlooked, and where somebody may have been, the survey says so.
//
// It also guards guarantee 10 where hundreds of attempts end at the same moment. A pass
// costs some milliseconds, so that one for each would take longer than they may: all who
// ask before a pass begins share it, and at most half of the time is spent on passes.

import { readdirSync, readFileSync } from 'node:fs';
import { systemCode } from '../errors.ts';
import { isTransient } from './diagnose.ts';
import { isOver, parseStat, type ProcessStat } from './identity.ts';

/** The variable that every process of an attempt inherits. */
export const MARKER_NAME = 'QUEUECTL_MARKER';

export interface Survey {
  /** All processes of this /proc, zombies included. */
  readonly stats: ReadonlyMap<number, ProcessStat>;
  readonly groups: ReadonlyMap<number, readonly ProcessStat[]>;
  readonly sessions: ReadonlyMap<number, readonly ProcessStat[]>;
  /** Who carries which marker, of the living that are as young as was asked for. */
  readonly carriers: ReadonlyMap<string, readonly ProcessStat[]>;
  /** In the middle of execve(2), or without environment: nobody can tell yet. */
  readonly undecided: readonly ProcessStat[];
  /** False: descriptors or memory were lacking, so that some may have been overlooked. */
  readonly complete: boolean;
}

/** More rounds only help against a machine that starts processes faster than we can look. */
const LISTINGS = 5;

/**
 * Reads all of /proc, and lists it again until a list has no new pid. Otherwise one that
 * forks and exits while we look could be over when we come to it, and its child not yet
 * listed. Who started before `oldest` (clock ticks since boot) is not asked for a marker.
 * Null where there is no /proc.
 */
export function surveyNow(oldest: number): Survey | null {
  if (process.platform !== 'linux') return null;
  const stats = new Map<number, ProcessStat>();
  const groups = new Map<number, ProcessStat[]>();
  const sessions = new Map<number, ProcessStat[]>();
  const carriers = new Map<string, ProcessStat[]>();
  const undecided: ProcessStat[] = [];
  const listed = new Set<string>();
  let complete = true;
  const read = (path: string): string | null => {
    try {
      return readFileSync(path, 'latin1');
    } catch (error) {
      // Otherwise it is gone, or we may not look into it.
      if (isTransient(error)) complete = false;
      return null;
    }
  };
  for (let listings = 0; listings < LISTINGS; listings += 1) {
    const names = pidNames();
    if (names === 'none') return null;
    if (names === 'unreadable') complete = false;
    const before = listed.size;
    for (const name of names === 'unreadable' ? [] : names) {
      if (listed.has(name)) continue;
      listed.add(name);
      const stat = parseStat(read(`/proc/${name}/stat`) ?? '');
      if (stat === null) continue;
      stats.set(stat.pid, stat);
      append(groups, stat.group, stat);
      append(sessions, stat.session, stat);
      // Not told by session 0: whoever a container was entered with bears that as well.
      if (isOver(stat) || stat.kernel || Number(stat.startTime) < oldest) continue;
      const environment = read(`/proc/${name}/environ`);
      const marker = environment === null ? null : markerIn(environment);
      if (environment === '') undecided.push(stat);
      else if (marker !== null) append(carriers, marker, stat);
    }
    if (listed.size === before) break;
  }
  return { stats, groups, sessions, carriers, undecided, complete };
}

function append<Key>(to: Map<Key, ProcessStat[]>, key: Key, stat: ProcessStat): void {
  const others = to.get(key);
  if (others === undefined) to.set(key, [stat]);
  else others.push(stat);
}

function pidNames(): readonly string[] | 'none' | 'unreadable' {
  try {
    return readdirSync('/proc').filter((name) => /^[1-9]/.test(name));
  } catch (error) {
    return systemCode(error) === 'ENOENT' ? 'none' : 'unreadable';
  }
}

const MARKER_ENTRY = new RegExp(`(?:^|\\0)${MARKER_NAME}=([^\\0]+)\\0`);

function markerIn(environment: string): string | null {
  return MARKER_ENTRY.exec(environment)?.[1] ?? null;
}

/** The pass that has not begun yet. */
let coming: { oldest: number; readonly survey: Promise<Survey | null> } | null = null;
/** Not before this moment: passes rest for as long as the last one took. */
let restedAt = 0;
/** A pass that takes longer was held up, by SIGSTOP say, and nobody shall wait for that. */
const LONGEST_REST_MS = 200;

/** A survey that begins after this call, shared by all who ask until then. Never rejects. */
export function nextSurvey(oldest: number): Promise<Survey | null> {
  if (coming === null) coming = { oldest, survey: comingSurvey() };
  else coming.oldest = Math.min(coming.oldest, oldest);
  return coming.survey;
}

async function comingSurvey(): Promise<Survey | null> {
  await new Promise<void>((resolve) => {
    const rest = restedAt - performance.now();
    // Even without a rest: many ask in one turn of the event loop.
    if (rest > 0) setTimeout(resolve, rest);
    else setImmediate(resolve);
  });
  const oldest = coming?.oldest ?? 0;
  coming = null;
  const begun = performance.now();
  const survey = surveyNow(oldest);
  const ended = performance.now();
  restedAt = ended + Math.min(ended - begun, LONGEST_REST_MS);
  return survey;
}
