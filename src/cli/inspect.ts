// What `doctor` looks at beside the database: the place, the machine, who works here.

import { lstatSync, readFileSync, type Stats } from 'node:fs';
import { systemEnv } from '../env.ts';
import { messageOf } from '../errors.ts';
import type { Location } from '../location.ts';
import { freeBytes, networkFileSystem } from '../platform/filesystem.ts';
import { isGone } from '../presence.ts';
import { Queue } from '../queue.ts';
import type { Finding } from '../store/inspection.ts';
import { openStore } from '../store/open.ts';
import { NO_FILTER } from '../store/store.ts';
import type { Io } from './io.ts';
import { reasonOf } from './reason.ts';
import { unservedHint } from './serving.ts';
import { bytes, count } from './text.ts';
import { VERSION } from './version.ts';

/** Below the first a bulk enqueue or a busy hour fills the disk, below the second any job. */
const LITTLE_ROOM = 1024 ** 3;
const NO_ROOM = 16 * 1024 ** 2;
/** A clock that was set back: nothing of ours lies further ahead than clocks drift. */
const AHEAD_MS = 60_000;
/** Fewer watches than this and `logs -f` and waiting workers fall back to polling. */
const FEW_WATCHES = 128;
/** Soft limit on open files below which some hundred attempts at a time cannot run. */
const FEW_FILES = 256;

export function* inspectPlace(location: Location): Generator<Finding> {
  yield { check: 'queuectl', level: 'ok', text: `${VERSION} on ${runtime()}` };
  yield* directory('home', location.home);
  for (const path of [location.logs, location.jobLogs, location.workerLogs, location.roster]) {
    yield* directory('directory', path, true);
  }
  const network = networkFileSystem(location.database);
  if (network === null) {
    yield { check: 'file system', level: 'ok', text: 'local' };
  } else {
    yield {
      check: 'file system',
      ...(location.allowNetworkFs
        ? { level: 'warning' as const }
        : { level: 'failure' as const, code: 'unavailable' as const }),
      text: `${location.database} lies on a network file system (${network}), which can damage it`,
      hint: 'move it to a local disk: set QUEUECTL_HOME, or --db',
    };
  }
  yield* room('disk space', location.home);
  yield* room('space for logs', location.jobLogs);
}

function runtime(): string {
  const { bun, node } = process.versions;
  return bun === undefined ? `Node ${node}` : `Bun ${bun}`;
}

function* directory(check: string, path: string, quiet = false): Generator<Finding> {
  const stat = lookAt(path);
  if (typeof stat === 'string') {
    yield { check, level: 'failure', code: 'unavailable', text: `${path}: ${stat}` };
    return;
  }
  if (stat === undefined) {
    if (!quiet) yield { check, level: 'ok', text: `none yet: ${path} is made at first use` };
    return;
  }
  const me = process.geteuid?.();
  if (me !== undefined && stat.uid !== me) {
    const text = `${path} belongs to another user (uid ${stat.uid})`;
    yield { check, level: 'failure', code: 'foreign_owner', text };
  } else if (me !== undefined && stat.isDirectory() && (stat.mode & 0o077) !== 0) {
    const text = `others may look into ${path}: commands and their output can hold secrets`;
    yield { check, level: 'warning', text, hint: `chmod 700 ${path}` };
  } else if (!quiet) {
    yield { check, level: 'ok', text: path };
  }
}

/** Undefined where nothing is; a text where nothing can be looked at. */
function lookAt(path: string): Stats | string | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    return reasonOf(error);
  }
}

function* room(check: string, path: string): Generator<Finding> {
  const free = freeBytes(path);
  if (free === null) return;
  const text = `${bytes(free)} free`;
  if (free < NO_ROOM) {
    yield { check, level: 'failure', code: 'full', text: `only ${text}`, hint: 'free some space' };
  } else if (free < LITTLE_ROOM) {
    const hint = 'free some space; queuectl prune deletes old jobs and their logs';
    yield { check, level: 'warning', text: `only ${text}`, hint };
  } else {
    yield { check, level: 'ok', text };
  }
}

/** `usable`: the database may be opened for work. */
export async function inspectMachine(
  location: Location,
  usable: boolean,
  io: Io,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const there = typeof lookAt(location.database) === 'object';
  if (usable && there) {
    try {
      findings.push(...(await inspectQueue(location, io)));
    } catch (error) {
      const text = messageOf(error);
      findings.push({ check: 'queue', level: 'failure', code: 'unavailable', text });
    }
  }
  return [...findings, ...inspectLimits()];
}

/** How long doctor waits for a lock: it is there to say so, not to wait. */
const PATIENCE_MS = 5000;

async function inspectQueue(location: Location, io: Io): Promise<Finding[]> {
  const store = await openStore(location, { env: systemEnv, patience: PATIENCE_MS });
  try {
    const queue = new Queue(store, systemEnv);
    const workers = await queue.workers();
    const gone = (await store.workers()).filter(({ identity }) =>
      isGone(store, systemEnv, identity),
    );
    const { counts } = await queue.stats();
    const findings: Finding[] = [];
    const waiting = counts.filter(({ state }) => state === 'pending' || state === 'failed');
    const unserved = unservedHint(
      workers,
      waiting.map((row) => row.queue),
    );
    const text = workers.length === 0 ? 'none runs' : `${count(workers.length, 'worker')} alive`;
    if (unserved !== null) {
      findings.push({
        check: 'workers',
        level: 'warning',
        text: `${text}, and jobs wait`,
        hint: unserved,
      });
    } else {
      findings.push({ check: 'workers', level: 'ok', text });
    }
    if (gone.length > 0 && workers.length === 0) {
      findings.push({
        check: 'dead workers',
        level: 'warning',
        text: `${count(gone.length, 'worker')} died and nobody has recovered what they ran`,
        hint: 'any worker does: queuectl worker start',
      });
    }
    const [newest] = (await queue.list({ ...NO_FILTER, sort: 'updated', limit: 1, cursor: null }))
      .jobs;
    const ahead = (newest?.updatedAt ?? 0) - io.now();
    findings.push(
      ahead > AHEAD_MS
        ? {
            check: 'clock',
            level: 'warning',
            text: `a job was changed ${Math.round(ahead / 1000)} s from now: the clock was set back`,
            hint: 'jobs with a run_at wait by this clock: set it right, for instance with timedatectl',
          }
        : { check: 'clock', level: 'ok', text: 'not behind the newest change' },
    );
    return findings;
  } finally {
    await store.close();
  }
}

function* inspectLimits(): Generator<Finding> {
  if (process.platform !== 'linux') return;
  const watches = numberIn('/proc/sys/fs/inotify/max_user_watches');
  if (watches !== null && watches < FEW_WATCHES) {
    const text = `only ${watches} inotify watches: waiting is done by polling, up to 1 s late`;
    const hint = 'sysctl fs.inotify.max_user_watches=65536';
    yield { check: 'limits', level: 'warning', text, hint };
  }
  const [, soft] = /^Max open files +(\d+)/m.exec(contentOf('/proc/self/limits')) ?? [];
  if (soft !== undefined && Number(soft) < FEW_FILES) {
    const told = `only ${soft} open files: each attempt needs four`;
    yield { check: 'limits', level: 'warning', text: told, hint: 'ulimit -n 4096' };
  } else {
    yield { check: 'limits', level: 'ok', text: `${soft ?? '?'} open files` };
  }
  if (isAloneInContainer()) {
    const told = 'process 1 here reaps no orphans: processes that jobs leave behind stay zombies';
    const hint = 'give the container an init: docker run --init';
    yield { check: 'container', level: 'warning', text: told, hint };
  }
}

/** Whether process 1 is a queuectl, which like Bun and Node reaps only its own children. */
function isAloneInContainer(): boolean {
  return contentOf('/proc/1/cmdline').split('\0', 1).join().endsWith('queuectl');
}

function numberIn(path: string): number | null {
  const value = Number.parseInt(contentOf(path), 10);
  return Number.isNaN(value) ? null : value;
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
