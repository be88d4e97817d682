// What the three service commands share: which unit is meant, what is there, and systemd's
// user manager. Invariant: a file that queuectl did not write is never changed or removed.

import { execFile } from 'node:child_process';
import { lstatSync, readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { QueuectlError, systemCode } from '../errors.ts';
import { quote } from '../platform/shell.ts';
import type { Context } from './context.ts';
import type { Io } from './io.ts';
import { locationOf } from './open.ts';
import { reasonOf } from './reason.ts';
import { type KnownUnit, readUnit, unitName } from './service-unit.ts';

export interface Unit {
  readonly name: string;
  readonly file: string;
  readonly database: string;
  /** undefined: there is none; null: there is one that queuectl did not write. */
  readonly found: KnownUnit | null | undefined;
  /** What the file holds now; null where it is none of ours. */
  readonly text: string | null;
}

/** The unit that the call is about. Throws `usage` on a system without systemd. */
export function unitOf(io: Io): Unit {
  refuseOtherSystems(process.platform);
  const { env } = io.context;
  const { database } = locationOf(io);
  const name = unitName(database, io.db !== undefined || Boolean(env['QUEUECTL_DB']));
  const file = join(configHome(io.context), 'systemd', 'user', name);
  const text = readOwn(file);
  if (text === undefined) return { name, file, database, found: undefined, text: null };
  const found = text === null ? null : readUnit(text);
  return { name, file, database, found, text: found === null ? null : text };
}

export function refuseOtherSystems(platform: NodeJS.Platform): void {
  if (platform === 'linux') return;
  const [system, way] =
    platform === 'darwin'
      ? ['macOS', 'a LaunchAgent of launchd']
      : platform === 'win32'
        ? ['Windows', 'a task of the Task Scheduler']
        : [platform, 'your service manager'];
  throw new QueuectlError('usage', `queuectl makes services for systemd, not on ${system}`, {
    hint: `let ${way} run: queuectl worker start --foreground`,
  });
}

/** As the XDG specification has it: a relative path there counts as not set. */
function configHome(context: Context): string {
  const named = context.env['XDG_CONFIG_HOME'];
  if (named !== undefined && isAbsolute(named)) return named;
  const home = context.env['HOME'] || context.homeDirectory();
  return join(home, '.config');
}

/** undefined: nothing there; null: a link (a masked unit is one), a directory, not ours. */
function readOwn(file: string): string | null | undefined {
  try {
    const stat = lstatSync(file, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    return stat.isFile() ? readFileSync(file, 'utf8') : null;
  } catch (error) {
    if (systemCode(error) === 'ENOTDIR') return undefined;
    throw new QueuectlError('unavailable', `cannot read ${file}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** Whether the unit there may be replaced or removed; throws `wrong_state` if not. */
export function mustBeOurs({ file, found, database }: Unit, force: boolean): void {
  if (force || found === undefined) return;
  if (found === null) {
    throw new QueuectlError('wrong_state', `${file} was not written by queuectl`, {
      hint: 'look into it, then move it away, or add --force',
    });
  }
  if (found.database === database) return;
  throw new QueuectlError('wrong_state', `${file} serves another queue: ${found.database}`, {
    hint: `--db ${quote([database])} gives this one a unit of its own; --force takes that one`,
  });
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Longer than any TimeoutStopSec that somebody would wait for at a prompt is not needed. */
const QUICK_MS = 10_000;

/** Runs a command of systemd; 127 where there is none. */
export function runTool(
  [file = '', ...args]: readonly string[],
  { env }: Context,
  timeout = 0,
): Promise<Ran> {
  const { promise, resolve } = Promise.withResolvers<Ran>();
  const options = { env: { ...env, LC_ALL: 'C', SYSTEMD_PAGER: '', SYSTEMD_COLORS: '0' }, timeout };
  execFile(file, args, options, (error, stdout, stderr) => {
    const missing = error !== null && systemCode(error) === 'ENOENT';
    const code = typeof error?.code === 'number' ? error.code : missing ? 127 : 1;
    resolve({ code: error === null ? 0 : code, stdout, stderr: stderr.trim() });
  });
  return promise;
}

export const systemctl = (...args: readonly string[]): string[] => ['systemctl', '--user', ...args];

/** Why the user's systemd cannot be spoken to; null where it can. */
export async function whyNoManager(context: Context): Promise<string | null> {
  const { code, stderr } = await runTool(
    systemctl('show', '--property=Version'),
    context,
    QUICK_MS,
  );
  if (code === 0) return null;
  if (code === 127) return 'systemd is not installed here';
  const [line = ''] = stderr.split('\n', 1);
  return `no systemd of yours runs here${line === '' ? '' : ` (${line})`}`;
}
