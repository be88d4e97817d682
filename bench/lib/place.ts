// Where a subject works: a directory of its own on the disk of this checkout (a temporary
// directory may be in memory, where a commit costs nothing), with homes, floor programs
// and whatever is started in it.

import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export const ROOT = resolve(import.meta.dirname, '../..');
export const QUEUECTL = join(ROOT, 'dist/queuectl');

const place = mkdtempSync(join(ROOT, 'dist/.bench-'));
const homes: Home[] = [];

/** Stops what still runs and deletes everything. */
export function clearPlace(): void {
  for (const home of homes.splice(0)) home.queuectl('worker', 'stop', '--now', '--quiet');
  rmSync(place, { recursive: true, force: true });
}

/** A path for a new file in the place. */
export function newPath(name: string): string {
  return join(place, name);
}

/** The environment of a home, and of whoever must not see this shell's. */
export function environment(home: string): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('QUEUECTL_'));
  return { ...Object.fromEntries(kept), QUEUECTL_HOME: home, NO_COLOR: '1' };
}

export class Home {
  readonly path: string;

  constructor(name: string) {
    this.path = newPath(name);
    mkdirSync(this.path, { mode: 0o700 });
    homes.push(this);
    this.queuectl('status', '--quiet');
  }

  /** Runs it to its end; answers stdout. */
  queuectl(...args: string[]): string {
    const options = { env: environment(this.path), encoding: 'utf8' } as const;
    return outputOf(spawnSync(QUEUECTL, args, { ...options, maxBuffer: 2 ** 30 }));
  }

  /** What the database says. */
  query<R extends object>(sql: string): R[] {
    const db = new DatabaseSync(join(this.path, 'queue.db'), { timeout: 5000 });
    try {
      return db.prepare(sql).all() as R[];
    } finally {
      db.close();
    }
  }
}

export function outputOf({ error, status, stdout, stderr }: SpawnSyncReturns<string>): string {
  if (error) throw error;
  if (status !== 0) throw new Error(`exit ${status}: ${stderr}`);
  return stdout;
}
