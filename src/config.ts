// The stored settings: which there are, what each may be, what holds when it is not set.
// Stored as text under these names; whoever uses one gets it typed from `resolveSettings`.

import type { BackoffPolicy } from './backoff.ts';
import { durationExamples, exactDuration, MAX_DURATION_MS, readDuration } from './duration.ts';
import { closest, grouped, invalid, mustBe, shown } from './invalid.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;
const KIB = 1024;
const MIB = 1024 * KIB;

/** How a kind of value is read and written. Texts in, texts out, ms and bytes between. */
interface Type<T> {
  readonly kind: 'integer' | 'number' | 'duration' | 'bytes';
  /** Completes "must be …". */
  readonly expected: string;
  /** undefined: not such a value. */
  readonly read: (text: string) => T | undefined;
  /** What `read` reads back as the same value, and `config get` prints. */
  readonly write: (value: T) => string;
  /** As in JSON: durations in seconds, none as null. */
  readonly json: (value: T) => number | null;
}

export interface Setting<T> {
  readonly kind: Type<T>['kind'];
  readonly expected: string;
  /** One line, without a full stop. */
  readonly help: string;
  readonly fallback: T;
  readonly fallbackText: string;
  /** undefined: refused. */
  readonly parse: (text: string) => T | undefined;
  /** The one way of writing that value: `90s` → `1m30s`; undefined: refused. */
  readonly normalize: (text: string) => string | undefined;
  readonly toJson: (text: string) => number | null | undefined;
}

/** Texts are made when they are asked for: `enqueue`, which needs none, has no time for them. */
function setting<T>(type: Type<T>, fallback: T, help: string): Setting<T> {
  const { read, write, json } = type;
  const map = <R>(text: string, use: (value: T) => R): R | undefined => {
    const value = read(text.trim());
    return value === undefined ? undefined : use(value);
  };
  return {
    kind: type.kind,
    get expected() {
      return type.expected;
    },
    help,
    fallback,
    get fallbackText() {
      return write(fallback);
    },
    parse: (text) => map(text, (value) => value),
    normalize: (text) => map(text, write),
    toJson: (text) => map(text, json),
  };
}

function within(min: number, max: number, value: number | undefined): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined;
}

function integer(min: number, max: number): Type<number> {
  return {
    kind: 'integer',
    get expected() {
      return `a whole number from ${grouped(min)} to ${grouped(max)}`;
    },
    read: (text) => (/^\d{1,15}$/.test(text) ? within(min, max, Number(text)) : undefined),
    write: String,
    json: (value) => value,
  };
}

function number(min: number, max: number): Type<number> {
  return {
    kind: 'number',
    get expected() {
      return `a number from ${grouped(min)} to ${grouped(max)}`;
    },
    read: (text) =>
      /^\d{1,15}(\.\d{1,15})?$/.test(text) ? within(min, max, Number(text)) : undefined,
    write: String,
    json: (value) => value,
  };
}

function duration(min: number, max: number): Type<number> {
  return {
    kind: 'duration',
    get expected() {
      return `a duration from ${exactDuration(min)} to ${exactDuration(max)}, such as ${durationExamples(min, max)}`;
    },
    read: (text) => within(min, max, readDuration(text)),
    write: exactDuration,
    json: (ms) => ms / SECOND,
  };
}

/** A duration or `none`; 0 is none. */
const durationOrNone: Type<number | null> = {
  kind: 'duration',
  get expected() {
    return `none, or a duration such as ${durationExamples()}`;
  },
  read: (text) => (text === 'none' || readDuration(text) === 0 ? null : readDuration(text)),
  write: (ms) => (ms === null ? 'none' : exactDuration(ms)),
  json: (ms) => (ms === null ? null : ms / SECOND),
};

const BYTE_UNITS = ['', 'K', 'M', 'G', 'T'];

/** Powers of 1024: `64K`, `64k`, `64KB` and `64KiB` are 65,536. */
function bytes(min: number, max: number): Type<number> {
  const write = (value: number): string => {
    let unit = 0;
    let n = value;
    for (; n >= KIB && n % KIB === 0 && unit < BYTE_UNITS.length - 1; unit++) n /= KIB;
    return `${n}${BYTE_UNITS[unit] ?? ''}`;
  };
  return {
    kind: 'bytes',
    get expected() {
      return `a number of bytes from ${write(min)} to ${write(max)}, such as 64K, 10M or 1G`;
    },
    read: (text) => {
      const [, digits, unit = ''] = /^(\d{1,15})(?:([KMGT])(?:i?B)?)?$/i.exec(text) ?? [];
      if (digits === undefined) return undefined;
      return within(min, max, Number(digits) * KIB ** BYTE_UNITS.indexOf(unit.toUpperCase()));
    },
    write,
    json: (value) => value,
  };
}

/** Such a value, or `none`. */
function orNone<T>(type: Type<T>): Type<T | null> {
  return {
    kind: type.kind,
    get expected() {
      return `none, or ${type.expected}`;
    },
    read: (text) => (text === 'none' ? null : type.read(text)),
    write: (value) => (value === null ? 'none' : type.write(value)),
    json: (value) => (value === null ? null : type.json(value)),
  };
}

/** Every key of `config`, in the order in which `config list` shows them. */
export const SETTINGS = {
  max_retries: setting(
    integer(0, 1_000_000),
    3,
    'retries after the first attempt, for jobs that do not say',
  ),
  backoff_base: setting(
    // Below 1 the delays would shrink. Over 1,000 the first retry meets any cap at once.
    number(1, 1000),
    2,
    'after failed attempt n a job waits this number to the power of n, in seconds',
  ),
  backoff_max: setting(duration(0, MAX_DURATION_MS), HOUR, 'longest wait between two attempts'),
  timeout: setting(durationOrNone, null, 'how long an attempt may run, for jobs that do not say'),
  // At least 1 s, so that renewals at a third of it outlast a slow disk; over a day nobody
  // waits for a dead worker's jobs.
  lease: setting(
    duration(SECOND, DAY),
    30 * SECOND,
    'how long a worker may be silent before it counts as dead',
  ),
  // The upper bounds of these two fit a timer: 2^31 ms are 24.8 days.
  grace: setting(
    duration(0, 7 * DAY),
    30 * SECOND,
    'how long attempts may go on after SIGTERM to their worker',
  ),
  kill_after: setting(
    duration(0, DAY),
    5 * SECOND,
    'how long an attempt may live between TERM and KILL',
  ),
  // 4 KiB hold a head and a tail worth reading; 1 TiB is beyond any log.
  log_max_bytes: setting(
    bytes(4 * KIB, KIB * KIB * MIB),
    10 * MIB,
    'output kept of each attempt, head and tail',
  ),
  // A minute at least: whoever waits for a job must have seen its end before it goes.
  retention: setting(
    orNone(duration(MINUTE, MAX_DURATION_MS)),
    7 * DAY,
    'how long completed and cancelled jobs are kept, with their logs',
  ),
  retention_dead: setting(
    orNone(duration(MINUTE, MAX_DURATION_MS)),
    null,
    'how long dead jobs are kept',
  ),
  retention_jobs: setting(
    orNone(integer(0, 1_000_000_000)),
    null,
    'how many completed and cancelled jobs are kept in each queue',
  ),
  retention_log_bytes: setting(
    orNone(bytes(0, KIB * KIB * KIB * MIB)),
    null,
    'how much output of jobs is kept in each queue; completed and cancelled ones go',
  ),
};

/** What a queue may have a value of its own for. */
export const QUEUE_SETTINGS: readonly SettingName[] = [
  'retention',
  'retention_dead',
  'retention_jobs',
  'retention_log_bytes',
];

export type SettingName = keyof typeof SETTINGS;

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];

/** The key that is meant, `-` and `_` alike. Throws `invalid` for one that is not there. */
export function settingName(given: string): SettingName {
  const name = SETTING_NAMES.find((candidate) => candidate === given.replaceAll('-', '_'));
  if (name !== undefined) return name;
  const near = closest(given, SETTING_NAMES);
  const known = 'queuectl config list shows every setting';
  throw invalid(
    `there is no setting ${shown(given)}`,
    near === undefined ? known : `did you mean ${near}? ${known}`,
  );
}

/** Under which name the value of a setting is stored; `queue` null: for all queues. */
export function storedName(name: SettingName, queue: string | null): string {
  if (queue === null) return name;
  if (!QUEUE_SETTINGS.includes(name)) {
    throw invalid(`${name} is the same for all queues`, `of a queue: ${QUEUE_SETTINGS.join(', ')}`);
  }
  // Names of queues may hold an @, names of settings never do.
  return `${name}@${queue}`;
}

/** The queues that have a value of their own for this setting. */
export function queuesWith(name: SettingName, stored: ReadonlyMap<string, string>): string[] {
  const prefix = `${name}@`;
  return [...stored.keys()]
    .filter((key) => key.startsWith(prefix))
    .map((key) => key.slice(prefix.length));
}

/** The text to store for a value that somebody typed. Throws `invalid`. */
export function normalizeSetting(name: SettingName, text: string): string {
  const normal = SETTINGS[name].normalize(text);
  if (normal === undefined) throw mustBe(name, SETTINGS[name].expected, text);
  return normal;
}

/** All settings, typed. Durations in ms. */
export interface Settings {
  readonly maxRetries: number;
  readonly backoff: BackoffPolicy;
  /** null: none. */
  readonly timeout: number | null;
  readonly lease: number;
  readonly grace: number;
  readonly killAfter: number;
  readonly logMaxBytes: number;
}

/** What is kept of one queue; null: all. Durations in ms. */
export interface Retention {
  readonly finished: number | null;
  readonly dead: number | null;
  readonly jobs: number | null;
  readonly logBytes: number | null;
}

/** The retention of a queue: its own values over those for all queues. */
export function resolveRetention(stored: ReadonlyMap<string, string>, queue: string): Retention {
  const value = <T>(name: SettingName, { parse, fallback }: Setting<T | null>): T | null => {
    for (const text of [stored.get(`${name}@${queue}`), stored.get(name)]) {
      const parsed = text === undefined ? undefined : parse(text);
      if (parsed !== undefined) return parsed;
    }
    return fallback;
  };
  return {
    finished: value('retention', SETTINGS.retention),
    dead: value('retention_dead', SETTINGS.retention_dead),
    jobs: value('retention_jobs', SETTINGS.retention_jobs),
    logBytes: value('retention_log_bytes', SETTINGS.retention_log_bytes),
  };
}

/**
 * What is stored over what is built in. A stored value that cannot be read (another
 * version or another hand wrote it) counts as not set, because a worker must not stop over
 * a setting; `onUnreadable` gets its name and text, to say so. Unknown names are ignored.
 */
export function resolveSettings(
  stored: ReadonlyMap<string, string>,
  onUnreadable?: (name: SettingName, text: string) => void,
): Settings {
  const value = <T>(name: SettingName, { parse, fallback }: Setting<T>): T => {
    const text = stored.get(name);
    if (text === undefined) return fallback;
    const parsed = parse(text);
    if (parsed === undefined) onUnreadable?.(name, text);
    return parsed === undefined ? fallback : parsed;
  };
  return {
    maxRetries: value('max_retries', SETTINGS.max_retries),
    backoff: {
      base: value('backoff_base', SETTINGS.backoff_base),
      max: value('backoff_max', SETTINGS.backoff_max),
    },
    timeout: value('timeout', SETTINGS.timeout),
    lease: value('lease', SETTINGS.lease),
    grace: value('grace', SETTINGS.grace),
    killAfter: value('kill_after', SETTINGS.kill_after),
    logMaxBytes: value('log_max_bytes', SETTINGS.log_max_bytes),
  };
}
