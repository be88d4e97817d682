// Where a queue lives: its database, and the home beside it with logs and wake file. Paths
// are made absolute here, at once: whoever changes directory later (workers, jobs) still
// speaks of the same queue. A home is ours alone, or it is refused; nothing is repaired
// that might be somebody else's.

import {
  accessSync,
  chmodSync,
  constants,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  statSync,
  type Stats,
} from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { messageOf, QueuectlError, systemCode } from './errors.ts';
import { invalid, mustBe } from './invalid.ts';

export interface Location {
  readonly kind: 'sqlite';
  /** All paths are absolute. */
  readonly database: string;
  /** Directory (0700) of everything else. */
  readonly home: string;
  /** Whether directories above the home are made too: only above one that somebody named. */
  readonly makeParents: boolean;
  readonly logs: string;
  readonly workerLogs: string;
  readonly jobLogs: string;
  /** Touched after each commit that others may wait for. */
  readonly wakeFile: string;
  /** Who of this machine works here. */
  readonly roster: string;
  /** What a job must see, so that a `queuectl` in it finds this queue. */
  readonly jobEnvironment: Readonly<Record<string, string>>;
  /** Whoever names the place takes it upon themselves that the database may get damaged. */
  readonly allowNetworkFs: boolean;
}

export interface LocationInput {
  /** `--db`. */
  readonly db?: string | undefined;
  /** `--allow-network-fs`; QUEUECTL_ALLOW_NETWORK_FS=1 says the same. */
  readonly allowNetworkFs?: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The password file's answer, for when HOME is not set; may throw. */
  readonly homeDirectory: () => string;
  /** Asked only where a path is relative; may throw. */
  readonly cwd?: () => string;
}

/**
 * `--db`, else QUEUECTL_DB, else `queue.db` in QUEUECTL_HOME, else in `~/.queuectl`. An
 * empty variable counts as not set. Throws `invalid` for what is no path, `unavailable`
 * for PostgreSQL, a directory, or where there is no home.
 */
export function resolveLocation(input: LocationInput): Location {
  const location = locationFrom(input);
  const { allowNetworkFs = false, environment } = input;
  if (!allowNetworkFs && environment[ALLOW_NETWORK_FS] !== '1') return location;
  const jobEnvironment = { ...location.jobEnvironment, [ALLOW_NETWORK_FS]: '1' };
  return { ...location, jobEnvironment, allowNetworkFs: true };
}

const ALLOW_NETWORK_FS = 'QUEUECTL_ALLOW_NETWORK_FS';

function locationFrom(input: LocationInput): Location {
  const { environment } = input;
  const named = environment['QUEUECTL_HOME'] || undefined;
  const db = input.db ?? (environment['QUEUECTL_DB'] || undefined);
  if (db === undefined) {
    const home = named === undefined ? defaultHome(input) : absolute(named, 'QUEUECTL_HOME', input);
    return locationIn(home, named !== undefined, join(home, 'queue.db'), { QUEUECTL_HOME: home });
  }
  const option = input.db === undefined ? 'QUEUECTL_DB' : '--db';
  const database = databaseFile(absolute(db, option, input), option);
  const home = namedOrDefault(named, input);
  return locationIn(`${database}.d`, false, database, {
    ...(home !== undefined && { QUEUECTL_HOME: home }),
    QUEUECTL_DB: database,
  });
}

function locationIn(
  home: string,
  makeParents: boolean,
  database: string,
  jobEnvironment: Readonly<Record<string, string>>,
): Location {
  const logs = join(home, 'logs');
  return {
    kind: 'sqlite',
    database,
    home,
    makeParents,
    logs,
    workerLogs: join(logs, 'workers'),
    jobLogs: join(logs, 'jobs'),
    wakeFile: join(home, 'wake'),
    roster: join(home, 'run'),
    jobEnvironment,
    allowNetworkFs: false,
  };
}

const OWN_PLACE = 'choose a place of your own with QUEUECTL_HOME or --db';

function defaultHome(input: LocationInput): string {
  const user = input.environment['HOME'] || passwordFileHome(input);
  if (user === undefined) {
    const message = 'there is no home directory: HOME is not set and no password entry names one';
    throw new QueuectlError('unavailable', message, { hint: OWN_PLACE });
  }
  return join(absolute(user, 'HOME', input), '.queuectl');
}

function passwordFileHome(input: LocationInput): string | undefined {
  try {
    return input.homeDirectory() || undefined;
  } catch {
    return undefined;
  }
}

/** With a database named, a home is passed on to jobs if there is one, and not needed. */
function namedOrDefault(named: string | undefined, input: LocationInput): string | undefined {
  if (named !== undefined) return absolute(named, 'QUEUECTL_HOME', input);
  try {
    return defaultHome(input);
  } catch {
    return undefined;
  }
}

function absolute(path: string, option: string, input: LocationInput): string {
  if (path.includes(':')) refuseAddress(path, option);
  if (path.trim() === '' || path.includes('\0')) throw mustBe(option, 'a path', path);
  if (path === '~' || path.startsWith('~/')) {
    // Neither `--db=~/q` nor a service file is expanded; a directory called ~ helps nobody.
    throw mustBe(option, 'a path in full', path, 'the shell did not expand ~: write $HOME');
  }
  if (isAbsolute(path)) return resolve(path);
  let cwd: string;
  try {
    cwd = input.cwd?.() ?? process.cwd();
  } catch (cause) {
    const hint = `go to one that does, or give ${option} in full`;
    const message = 'the current directory does not exist any more';
    throw new QueuectlError('unavailable', message, { hint, cause });
  }
  return resolve(cwd, path);
}

/** Addresses are not repeated in full: they may hold a password. */
function refuseAddress(path: string, option: string): void {
  if (/^postgres(ql)?:/i.test(path)) {
    throw new QueuectlError('unavailable', 'this version of queuectl does not speak PostgreSQL', {
      hint: `give a file in ${option}, or leave it out`,
    });
  }
  const [scheme] = /^(?:[a-z][a-z0-9+.-]+:\/\/|file:)/i.exec(path) ?? [];
  if (scheme !== undefined) throw invalid(`${option} must be a path, not a ${scheme} address`);
  if (path === ':memory:') {
    throw mustBe(option, 'a file', path, 'workers are other processes and share no memory');
  }
}

/** The file itself behind a link to it: one queue must not have two homes. */
function databaseFile(path: string, option: string): string {
  const stats = lookAt(path);
  if (stats?.isDirectory()) {
    throw new QueuectlError('unavailable', `${path} is a directory`, {
      hint: `give a file in it: ${option}${option === '--db' ? ' ' : '='}${join(path, 'queue.db')}`,
    });
  }
  if (!stats?.isSymbolicLink()) return path;
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/**
 * Makes the home and its directories, 0700 whatever the umask is, or checks that those
 * there are ours. Throws `foreign_owner`, `read_only`, `full` or `unavailable`.
 */
export function ensureHome(location: Location): void {
  if (lookAt(location.home) === undefined) make(location.home, location.makeParents);
  for (const directory of missing(location)) {
    make(directory, false);
    writable(directory, check(directory, lookAt(directory)));
  }
}

/** Checks what there is of a home as `ensureHome` does; true where nothing is missing. */
export function isHomeComplete(location: Location): boolean {
  return lookAt(location.home) !== undefined && missing(location).length === 0;
}

/** Which directories of a home are to be made; checks the home and those that are there. */
function missing(location: Location): string[] {
  const { home, logs, workerLogs, jobLogs, roster } = location;
  const stats = check(home, followed(home, lookAt(home)));
  tighten(location, stats);
  writable(home, stats);
  return [logs, workerLogs, jobLogs, roster].filter((directory) => {
    const there = lookAt(directory);
    // A link in here is followed by nobody: the log of a job must not land elsewhere.
    if (there !== undefined) writable(directory, check(directory, there));
    return there === undefined;
  });
}

/** undefined where nothing is, or where nothing can be looked at. */
function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    // A directory above that may not be searched: `make` says so in our words.
    if (systemCode(error) !== undefined) return undefined;
    throw error;
  }
}

/** A home may be a link to another disk if we made the link: what it points to is checked. */
function followed(path: string, stats: Stats | undefined): Stats | undefined {
  if (stats?.isSymbolicLink() !== true) return stats;
  own(path, stats);
  return statSync(path, { throwIfNoEntry: false });
}

function check(path: string, stats: Stats | undefined): Stats {
  if (stats?.isDirectory() === true) {
    own(path, stats);
    return stats;
  }
  const what = stats?.isFile() === true ? 'is a file' : 'is a link or something else';
  throw new QueuectlError('unavailable', `${path} ${what}, where a directory should be`, {
    hint: `move it away, or ${OWN_PLACE}`,
  });
}

/** Also for root, whose files would lock the owner out. Windows has no such owners. */
function own(path: string, stats: Stats): void {
  const me = process.geteuid?.();
  if (me === undefined || stats.uid === me) return;
  const message = `${path} belongs to another user (uid ${stats.uid}, you are ${me})`;
  throw new QueuectlError('foreign_owner', message, { hint: OWN_PLACE });
}

/**
 * Closes a home that others can look into, if it is for a queue alone: a QUEUECTL_HOME of
 * / or /tmp must not become 0700. One in which others could replace the database is refused.
 */
function tighten({ home, database }: Location, { mode }: Stats): void {
  if (process.geteuid === undefined || (mode & 0o077) === 0) return;
  const sticky = (mode & 0o1000) !== 0;
  if (!sticky && (home === `${database}.d` || holdsOnlyAQueue(home, database))) {
    chmodSync(home, 0o700);
  } else if ((mode & 0o022) !== 0) {
    throw new QueuectlError('unavailable', `others can write to ${home}`, { hint: OWN_PLACE });
  }
}

function holdsOnlyAQueue(home: string, database: string): boolean {
  const entries = readdirSync(home);
  return entries.length === 0 || entries.includes(basename(database));
}

/** The mode answers for our own directory; access, for the real user, read-only disks too. */
function writable(home: string, { mode }: Stats): void {
  const what = `cannot write to ${home}`;
  const asRoot = (process.geteuid?.() ?? 0) === 0;
  if (!asRoot && (mode & 0o300) !== 0o300) throw failure(what, 'EACCES');
  try {
    accessSync(home, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw failure(what, systemCode(cause), cause);
  }
}

/** mkdir obeys the umask, which may take too much; the umask itself is the jobs'. */
function make(path: string, parents: boolean): void {
  try {
    mkdirSync(path, 0o700);
    chmodSync(path, 0o700);
  } catch (error) {
    const code = systemCode(error);
    // Another process was faster; what it made is checked by the caller.
    if (code === 'EEXIST') return;
    const above = dirname(path);
    if (code !== 'ENOENT' || !parents || above === path) {
      throw failure(`cannot make the directory ${path}`, code, error);
    }
    make(above, true);
    make(path, false);
  }
}

const REASONS: Readonly<Record<string, readonly [QueuectlError['code'], string]>> = {
  EACCES: ['read_only', 'permission denied'],
  EPERM: ['read_only', 'not permitted'],
  EROFS: ['read_only', 'the file system is read-only'],
  ENOSPC: ['full', 'the disk is full'],
  EDQUOT: ['full', 'the disk quota is used up'],
  ENOENT: ['unavailable', 'the directory above it does not exist'],
  ENOTDIR: ['unavailable', 'a part of its path is not a directory'],
  ENAMETOOLONG: ['unavailable', 'its name is too long'],
};

function failure(what: string, system = '', cause?: unknown): QueuectlError {
  const [code, reason] = REASONS[system] ?? ['unavailable', messageOf(cause)];
  return new QueuectlError(code, `${what}: ${reason}`, { hint: OWN_PLACE, cause });
}
