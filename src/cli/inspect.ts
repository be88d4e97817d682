// What `doctor` looks at beside the database: the place, the machine, who works here.

import { accessSync, constants, lstatSync, readFileSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { systemEnv } from '../env.ts';
import type { Location } from '../location.ts';
import { freeBytes, networkFileSystem } from '../platform/filesystem.ts';
import { isGone, isWorkerGone } from '../presence.ts';
import type { Finding, QueueRecords } from '../store/inspection.ts';
import type { Io } from './io.ts';
import { reasonOf } from './reason.ts';
import { unservedHint } from './serving.ts';
import { bytes, count, enumerate } from './text.ts';
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
  const home = [...directory('home', location.home)];
  yield* home;
  // What is wrong with the home is wrong with what is in it.
  if (home.every(({ level }) => level !== 'failure')) {
    for (const path of [location.logs, location.jobLogs, location.workerLogs, location.roster]) {
      yield* directory('directory', path, true);
    }
  }
  const beside = dirname(location.database);
  if (beside !== location.home && typeof lookAt(beside) === 'object' && !mayWrite(beside)) {
    yield unwritable('directory', beside);
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
  yield* room('disk space', typeof lookAt(location.home) === 'object' ? location.home : beside);
  yield* room('space for logs', location.jobLogs);
}

function runtime(): string {
  const { bun, node } = process.versions;
  return bun === undefined ? `Node ${node}` : `Bun ${bun}`;
}

function* directory(check: string, path: string, quiet = false): Generator<Finding> {
  const stat = lookAt(path);
  if (typeof stat === 'string') {
    const hint = 'look at the owner and the mode of the directories above it';
    yield { check, level: 'failure', code: 'unavailable', text: `${path}: ${stat}`, hint };
    return;
  }
  if (stat === undefined) {
    if (!quiet) yield { check, level: 'ok', text: `none yet: ${path} is made at first use` };
    return;
  }
  const me = process.geteuid?.();
  if (me !== undefined && stat.uid !== me) {
    const text = `${path} belongs to another user (uid ${stat.uid}, you are ${me})`;
    const hint = 'run queuectl as that user, or choose a place of your own with QUEUECTL_HOME';
    yield { check, level: 'failure', code: 'foreign_owner', text, hint };
  } else if (stat.isDirectory() && !mayWrite(path)) {
    yield unwritable(check, path);
  } else if (me !== undefined && stat.isDirectory() && (stat.mode & 0o077) !== 0) {
    const text = `others may look into ${path}: commands and their output can hold secrets`;
    yield { check, level: 'warning', text, hint: `chmod 700 ${path}` };
  } else if (!quiet) {
    yield { check, level: 'ok', text: path };
  }
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function unwritable(check: string, path: string): Finding {
  const text = `nothing can be written in ${path}, so nothing can be enqueued and no worker starts`;
  const hint = `chmod 700 ${path}, or mount its file system for writing`;
  return { check, level: 'failure', code: 'read_only', text, hint };
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

/** `records` null: there is no queue that could be read. */
export function* inspectMachine(records: QueueRecords | null, io: Io): Generator<Finding> {
  if (records !== null) yield* inspectQueue(records, io);
  yield* inspectLimits();
}

function* inspectQueue(records: QueueRecords, io: Io): Generator<Finding> {
  const alive = records.workers.filter((worker) => !isWorkerGone(records, systemEnv, worker));
  const gone = records.workers.filter(({ identity }) => isGone(records, systemEnv, identity));
  const check = 'workers';
  const text = alive.length === 0 ? 'none runs' : `${count(alive.length, 'worker')} alive`;
  const hint = unservedHint(alive, records.waiting);
  if (hint === null) yield { check, level: 'ok', text };
  else yield { check, level: 'warning', text: `${text}, and jobs wait`, hint };
  const silent = alive.filter(({ leaseUntil }) => leaseUntil < systemEnv.boot());
  if (records.oneMachine && silent.length > 0) {
    const names = silent.map(({ name, identity }) => `${name} (pid ${identity.pid})`);
    yield {
      check: 'silent workers',
      level: 'warning',
      text: `no lease has been renewed in time by ${enumerate(names)}: stopped, or stuck`,
      hint: 'look at what it does; kill -CONT PID wakes one that was stopped',
    };
  }
  if (gone.length > 0 && alive.length === 0) {
    yield {
      check: 'dead workers',
      level: 'warning',
      text: `${count(gone.length, 'worker')} died and nobody has recovered what they ran`,
      hint: 'any worker does: queuectl worker start',
    };
  }
  const ahead = (records.newestChange ?? 0) - io.now();
  if (ahead > AHEAD_MS) {
    yield {
      check: 'clock',
      level: 'warning',
      text: `a job was changed ${Math.round(ahead / 1000)} s from now: the clock was set back`,
      hint: 'jobs with a run_at wait by this clock: set it right, for instance with timedatectl',
    };
  } else {
    yield { check: 'clock', level: 'ok', text: 'not behind the newest change' };
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
