// Keeping the folder of logs small: what ended is compressed, what belongs to nobody goes.
// Guards guarantee 11: at every moment, also after a crash at any line, a log is there whole,
// plain or compressed, and one that is being written is left alone.

import { constants, readdirSync, statSync } from 'node:fs';
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemCode } from '../errors.ts';
import {
  COMPRESSED,
  isMissing,
  KEYS_PER_DIRECTORY,
  listLogFiles,
  type LogFileName,
  removeIfEmpty,
  removeIfThere,
  unlinkIfThere,
} from './log-format.ts';
import type { LogOwners } from './output.ts';

/** A file takes whole blocks of 4 KiB: below two there is nothing to gain. */
const LEAST_BYTES = 8192;
/** Read back whole: more than a person looks at, less than hurts. */
const MOST_BYTES = 64 * 1024 * 1024;
/** Of a draft that somebody has left behind when it died. */
const STALE_MS = 10 * 60_000;
const DRAFT = `${COMPRESSED}.new`;

/** `LogStore.sweep` for logs under `root`. */
export async function sweepLogs(root: string, owners: LogOwners): Promise<void> {
  for (const { number } of directoriesIn(root)) {
    await removeOrphans(join(root, String(number)), number, owners);
    if (!(await owners.pause())) return;
  }
}

/** `LogStore.tidy` for logs under `root`. */
export function tidier(root: string): (owners: LogOwners, all: boolean) => Promise<void> {
  /** Of the newest directory seen, ms since 1970; changes in the same ms are seen twice. */
  let seen = 0;
  return async (owners, all) => {
    const since = all ? 0 : seen;
    for (const { number, changed } of directoriesIn(root)) {
      if (changed < since) continue;
      await tidyDirectory(join(root, String(number)), number, owners);
      seen = Math.max(seen, changed);
      if (!(await owners.pause())) return;
    }
  };
}

interface LogDirectory {
  readonly number: number;
  /** When a file in it last came or went, ms since 1970. */
  readonly changed: number;
}

function directoriesIn(root: string): LogDirectory[] {
  let names: string[];
  try {
    names = readdirSync(root);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  return names
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = statSync(join(root, name), { throwIfNoEntry: false });
      return stat === undefined ? [] : [{ number: Number(name), changed: stat.mtimeMs }];
    });
}

async function tidyDirectory(path: string, number: number, owners: LogOwners): Promise<void> {
  const files = await removeOrphans(path, number, owners);
  const running = await owners.running();
  for (const file of files) {
    if (file.compressed || running.has(`${file.key}.${file.attempt}`)) continue;
    if (await compress(path, file, owners.now())) {
      if (!(await owners.pause())) return;
    }
  }
}

/** Removes the logs of jobs that are gone; answers the other ones. */
async function removeOrphans(
  path: string,
  number: number,
  owners: LogOwners,
): Promise<LogFileName[]> {
  // First the files: whose job is gone or whose attempt has ended by then stays so.
  const files = listLogFiles(path);
  if (files.length === 0) return [];
  const first = number * KEYS_PER_DIRECTORY;
  const existing = await owners.existing(first, first + KEYS_PER_DIRECTORY - 1);
  const kept = files.filter(({ key }) => existing.has(key));
  for (const { key, name } of files) if (!existing.has(key)) await removeIfThere(join(path, name));
  if (kept.length === 0) removeIfEmpty(path);
  return kept;
}

/** False where it was left as it is. Errors of the disk are no reason to stop anything. */
async function compress(directory: string, { name }: LogFileName, now: number): Promise<boolean> {
  const path = join(directory, name);
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size < LEAST_BYTES || size > MOST_BYTES) return false;
  const draft = path + DRAFT;
  try {
    // O_EXCL: of all workers that come along one does it, and no planted link is followed.
    const file = await open(draft, 'wx', 0o600);
    try {
      const plain = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
      let bytes: Uint8Array;
      try {
        bytes = await readFile(plain);
      } finally {
        await plain.close();
      }
      // Loaded here: a worker that never compresses pays nothing for it.
      const { zstdCompress } = await import('node:zlib');
      await file.writeFile(await promisify(zstdCompress)(bytes));
      // Before the plain one goes: a power cut must not take both.
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path + COMPRESSED);
    unlinkIfThere(path);
    return true;
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') unlinkIfThere(draft);
    else removeStale(draft, now);
    return false;
  }
}

function removeStale(draft: string, now: number): void {
  const stat = statSync(draft, { throwIfNoEntry: false });
  if (stat !== undefined && now - stat.mtimeMs > STALE_MS) unlinkIfThere(draft);
}
