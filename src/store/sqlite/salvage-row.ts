// Whether a row that a damaged database gives can be one that was written. SQLite checks
// pages, not what is in them: a pointer that is off by a byte reads a row that never was.

import { isName } from '../../spec.ts';
import { STATES, type State } from '../../job.ts';
import { parseJson } from '../../json.ts';
import { SPEC_VERSION } from './rows.ts';

/** What stands in the table of jobs itself. */
export const BARE_COLUMNS = `key, id, kind, spec_version, command, spec, place, queue, priority, state,
  attempts, last_attempt, max_retries, timeout, tags, created_at, updated_at, run_at,
  octet_length(command) + octet_length(coalesce(spec, '')) + octet_length(coalesce(tags, '')) AS bytes`;

export interface BareRow {
  readonly key: number;
  readonly id: string;
  readonly kind: number;
  readonly spec_version: number;
  readonly command: string;
  readonly spec: string | null;
  readonly place: number;
  readonly queue: number;
  readonly priority: number;
  readonly state: State;
  readonly attempts: number;
  readonly last_attempt: number;
  readonly max_retries: number;
  readonly timeout: number | null;
  readonly tags: string | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly run_at: number | null;
  /** Of its texts, as they are stored. */
  readonly bytes: number;
}

/** 2001 to 5138, ms since 1970: where clocks may be, right or wrong. */
const [EARLIEST, LATEST] = [1e12, 1e14];

export function isSound(row: BareRow): boolean {
  return (
    isName(row.id) &&
    STATES.includes(row.state) &&
    typeof row.command === 'string' &&
    row.command.trim() !== '' &&
    !row.command.includes('\0') &&
    isObject(row.spec) &&
    isObject(row.tags) &&
    // What is no UTF-8 is handed over as something else, of another length.
    Buffer.byteLength(row.command + (row.spec ?? '') + (row.tags ?? '')) === row.bytes &&
    [row.key, row.queue, row.place].every((n) => isWithin(n, 1, Number.MAX_SAFE_INTEGER)) &&
    row.kind === 0 &&
    isWithin(row.spec_version, 1, SPEC_VERSION) &&
    isWithin(row.priority, -1000, 1000) &&
    isWithin(row.attempts, 0, 2 ** 31) &&
    isWithin(row.last_attempt, row.attempts, 2 ** 31) &&
    isWithin(row.max_retries, 0, 1_000_000) &&
    (row.timeout === null || isWithin(row.timeout, 1, Number.MAX_SAFE_INTEGER)) &&
    [row.created_at, row.updated_at].every((at) => isWithin(at, EARLIEST, LATEST)) &&
    (row.run_at === null || isWithin(row.run_at, 0, LATEST))
  );
}

function isWithin(value: unknown, min: number, max: number): boolean {
  return Number.isInteger(value) && Number(value) >= min && Number(value) <= max;
}

function isObject(text: string | null): boolean {
  if (text === null) return true;
  if (typeof text !== 'string') return false;
  try {
    const value: unknown = parseJson(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
