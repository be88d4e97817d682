// The systemd unit that `service install` writes: its name, its text, and how to know it
// again. Invariant: every path and name reaches the program as it is, whatever systemd would
// make of `%`, `$`, quotes and backslashes.

import { createHash } from 'node:crypto';
import { invalid, shown } from '../invalid.ts';
import { visible } from './text.ts';

export interface UnitOptions {
  /** Of the program and its first arguments; the first one absolute. */
  readonly program: readonly string[];
  /** Of `worker start --foreground`. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly database: string;
  /** Ms between TERM to the supervisor and the last attempt's end. */
  readonly stopWithin: number;
}

const MARK = '# Written by `queuectl service install`, which replaces it when called again.';
const DATABASE = '# Database: ';
const WORKERS = '# Workers: ';
const STOP = 'TimeoutStopSec=';
/** For what has to be recorded after the last attempt has ended. */
const ROOM_MS = 10_000;

export function unitText(options: UnitOptions): string {
  const program = runnable(options.program);
  const words = [...program, 'worker', 'start', '--foreground', ...options.arguments];
  const command = words.map((word, i) => quoted(word, i > 0)).join(' ');
  const environment = Object.entries(options.environment).map(
    ([name, value]) => `Environment=${quoted(`${name}=${value}`, false)}`,
  );
  return [
    MARK,
    DATABASE + JSON.stringify(options.database),
    WORKERS + JSON.stringify(options.arguments),
    '[Unit]',
    // Behind the path a bracket: a backslash at the end would go on in the next line.
    `Description=queuectl workers (${visible(options.database).replaceAll('%', '%%')})`,
    'After=basic.target',
    '',
    '[Service]',
    'Type=exec',
    `ExecStart=${command}`,
    ...environment,
    '# Not after a mistake that is there again the next time, nor with a damaged database.',
    'Restart=on-failure',
    'RestartSec=5',
    'RestartPreventExitStatus=2 3 4 6',
    '# TERM goes to the supervisor alone: what runs may finish. What is left is killed.',
    'KillMode=mixed',
    '# The settings grace and kill_after as they were, and some room.',
    `${STOP}${Math.ceil((options.stopWithin + ROOM_MS) / 1000)}`,
    '# A job that takes too much memory must not end the workers.',
    'OOMPolicy=continue',
    '',
    '[Install]',
    'WantedBy=default.target',
    '',
  ].join('\n');
}

/** systemd takes no program with a quote or a backslash in its name, however it is written. */
function runnable(program: readonly string[]): readonly string[] {
  const isTaken = !/["'\\]/.test(program[0] ?? '');
  return isTaken ? program : ['/bin/sh', '-c', 'exec "$0" "$@"', ...program];
}

/** In double quotes, whatever it is. In arguments, though not in the program, `$x` is read. */
function quoted(text: string, expandsVariables: boolean): string {
  if (/[^\P{Cc}\t\n]/u.test(text)) {
    throw invalid(`a service cannot carry the control character in ${shown(text)}`);
  }
  const escaped = text
    .replaceAll(/[\\"]/g, '\\$&')
    .replaceAll('\n', '\\n')
    .replaceAll('\t', '\\t')
    .replaceAll('%', '%%');
  return `"${expandsVariables ? escaped.replaceAll('$', '$$$$') : escaped}"`;
}

export interface KnownUnit {
  readonly database: string;
  /** Of its `worker start --foreground`. */
  readonly arguments: readonly string[];
  /** Ms that it leaves for attempts to end; null: it does not say. */
  readonly stopWithin: number | null;
}

/** What a unit of ours says about itself; null for one that somebody else wrote. */
export function readUnit(text: string): KnownUnit | null {
  const [mark, database = '', workers = ''] = text.split('\n', 3);
  if (mark !== MARK || !database.startsWith(DATABASE)) return null;
  const seconds = Number(new RegExp(`^${STOP}(\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  return {
    database: String(jsonBehind(DATABASE, database)),
    arguments: [jsonBehind(WORKERS, workers)].flat().map(String),
    stopWithin: Number.isNaN(seconds) ? null : seconds * 1000 - ROOM_MS,
  };
}

/** What somebody has edited is no longer known: an empty text. */
function jsonBehind(label: string, line: string): unknown {
  try {
    return JSON.parse(line.slice(label.length));
  } catch {
    return '';
  }
}

/** What file systems take for a name is 255 bytes. */
const LONGEST_NAME = 200;

/** `named`: a database that --db or QUEUECTL_DB names has a unit of its own. */
export function unitName(database: string, named: boolean): string {
  if (!named) return 'queuectl.service';
  const escaped = escapePath(database);
  const short =
    escaped.length <= LONGEST_NAME
      ? escaped
      : createHash('sha256').update(database).digest('hex').slice(0, 32);
  return `queuectl-${short}.service`;
}

/** As `systemd-escape --path` does. */
function escapePath(path: string): string {
  const inner = path.replaceAll(/\/+/g, '/').replace(/^\//, '');
  return Array.from(new TextEncoder().encode(inner), (byte, i) => {
    const c = String.fromCodePoint(byte);
    if (c === '/') return '-';
    const isPlain = /[A-Za-z0-9:_.]/.test(c) && !(i === 0 && c === '.');
    return isPlain ? c : `\\x${byte.toString(16).padStart(2, '0')}`;
  }).join('');
}
