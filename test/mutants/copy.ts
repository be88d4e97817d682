// Copies of the tree to break, and what runs in them. Guards that nothing is left, neither
// files nor processes, also those that a broken queue has forgotten; and that a broken kill
// hits nobody else: as root everything runs in a pid namespace of its own.

import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');
const PARTS = ['src', 'test', 'scripts', 'package.json', 'tsconfig.json', 'docs'];
/** Of its output, which says why something failed. */
const KEEP_BYTES = 10_000;

const UNSHARE = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
/**
 * A shell is pid 1 there: it reaps whom nobody waits for. What simulations keep in memory
 * goes with it, however it ends.
 */
const SHELL = '[ ! -d /dev/shm ] || mount -t tmpfs tmpfs /dev/shm; "$@"; exit $?';
const NAMESPACE = [...UNSHARE, 'sh', '-c', SHELL, 'sh'];

function hasNamespaces(): boolean {
  const [unshare = '', ...flags] = UNSHARE;
  return process.getuid?.() === 0 && spawnSync(unshare, [...flags, 'true']).status === 0;
}

export interface Copy {
  readonly directory: string;
  clone(): Copy;
  /** Runs Node with these arguments; answers the end of what it wrote. Ended after `limit` ms. */
  run(args: readonly string[], limit: number): Promise<string>;
  remove(): void;
}

export interface Work {
  copyTree(name: string): Copy;
  /** Ends all that runs and deletes all copies. */
  remove(): void;
}

export function createWork(): Work {
  const directory = mkdtempSync(join(tmpdir(), 'queuectl-mutants-'));
  // Some checks try what another user may do.
  chmodSync(directory, 0o755);
  const within = hasNamespaces() ? NAMESPACE : [];
  let clones = 0;
  let runs = 0;

  const copyFrom = (source: string, name: string): Copy => {
    const copy = join(directory, name);
    mkdirSync(copy);
    for (const part of PARTS) cpSync(join(source, part), join(copy, part), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    return {
      directory: copy,
      clone: () => copyFrom(copy, `mutant-${(clones += 1)}`),
      run: (args, limit) => {
        const command = [...within, process.execPath, ...args];
        const temporary = join(copy, `run-${(runs += 1)}`);
        return run(command, { cwd: copy, temporary, limit });
      },
      remove: () => {
        endAllIn(copy);
        rmSync(copy, { recursive: true, force: true, maxRetries: 5 });
      },
    };
  };

  return {
    copyTree: (name) => copyFrom(ROOT, name),
    remove: () => {
      endAllIn(directory);
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

interface RunOptions {
  readonly cwd: string;
  readonly temporary: string;
  readonly limit: number;
}

async function run(
  [file = '', ...args]: readonly string[],
  { cwd, temporary, limit }: RunOptions,
): Promise<string> {
  mkdirSync(temporary);
  const child = spawn(file, args, {
    cwd,
    // In a group of its own: who signals its own group must not reach us.
    detached: true,
    env: { ...process.env, TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-KEEP_BYTES);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const tooLong = setTimeout(() => {
    keep(Buffer.from(`ended after ${limit / 1000} s\n`));
    child.kill('SIGKILL');
  }, limit);
  // Not `close`: what a broken queue leaves behind may hold the pipe.
  await new Promise<void>((over, failed) => {
    child.once('error', failed);
    child.once('exit', () => over());
  });
  clearTimeout(tooLong);
  endAllIn(temporary);
  child.stdout.destroy();
  child.stderr.destroy();
  return output;
}

/**
 * Ends every process that runs in a directory under `root`, or with a path under it in its
 * environment: tests and what they have started. Looks again until there is none.
 */
function endAllIn(root: string): void {
  for (let looks = 0; looks < 20; looks += 1) {
    const found = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isIn(name, root));
    if (found.length === 0) return;
    for (const pid of found) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // It ended before.
      }
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
}

function isIn(pid: string, root: string): boolean {
  if (Number(pid) === process.pid) return false;
  try {
    const [state] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1) ?? '';
    if (state === 'Z' || state === 'X') return false;
    if (`${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${root}/`)) return true;
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
    return environment.includes(`=${root}/`) || environment.includes(`=${root}\0`);
  } catch {
    return false;
  }
}
