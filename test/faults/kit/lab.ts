// A queue of its own in a directory of its own, with a copy of the executable: a storm may
// take an hour, and a build in between must not change what is tested.

import { spawn, type ChildProcess } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, EXECUTABLE } from '../../cli/support.ts';
import { processesOf, type Running, signal } from '../../fixtures/crew.ts';
import type { Role } from './adversary.ts';
import { JOB_SCRIPT, SCRIPT } from './jobs.ts';

export interface Call {
  /** Parts of the input; a pause of PART_MS lies between them. */
  readonly input?: readonly string[];
  /** Is killed so many ms after its start. */
  readonly killAfter?: number;
}

export interface Member extends Running {
  readonly role: Role;
}

/** Whatever is called ends by then: clients give up a locked database after 30 s. */
const CALL_MS = 60_000;
const PART_MS = 120;

export class Lab {
  readonly root: string;
  readonly home: string;
  /** Where the jobs run and write. */
  readonly directory: string;
  readonly #executable: string;
  readonly #env: Readonly<Record<string, string | undefined>>;

  constructor() {
    if (!existsSync(EXECUTABLE)) throw new Error(`${EXECUTABLE} is missing: npm run build`);
    this.root = realpathSync(mkdtempSync(join(tmpdir(), 'queuectl-storm-')));
    this.home = join(this.root, 'home');
    this.directory = join(this.root, 'work');
    this.#executable = join(this.root, 'queuectl');
    mkdirSync(join(this.directory, 'locks'), { recursive: true });
    writeFileSync(join(this.directory, JOB_SCRIPT), SCRIPT);
    try {
      linkSync(EXECUTABLE, this.#executable);
    } catch {
      copyFileSync(EXECUTABLE, this.#executable);
    }
    const inherited = Object.entries(process.env).filter(
      ([name]) => !/^(QUEUECTL_|NODE_)/.test(name),
    );
    this.#env = { ...Object.fromEntries(inherited), QUEUECTL_HOME: this.home };
  }

  get database(): string {
    return join(this.home, 'queue.db');
  }

  /** Calls queuectl. Never rejects but where it does not end. */
  call(args: readonly string[], { input = [], killAfter }: Call = {}): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const child = spawn(this.#executable, args, { cwd: this.directory, env: this.#env });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`queuectl ${args.join(' ').slice(0, 200)} did not end`));
    }, CALL_MS);
    const killer =
      killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      clearTimeout(killer);
      const [stdout = '', stderr = ''] = [out, err].map((all) => Buffer.concat(all).toString());
      resolve({ code, stdout, stderr });
    });
    void feed(child, input);
    return promise;
  }

  /** Everything that runs here but the calls of the driver; zombies do not. */
  members(): Member[] {
    const found = processesOf(this.home, this.root).flatMap((running): Member[] => {
      if (!running.args.startsWith(this.#executable)) return [{ ...running, role: 'command' }];
      const role = /^\S+ __(worker|supervisor) /.exec(running.args)?.[1];
      return role === 'worker' || role === 'supervisor' ? [{ ...running, role }] : [];
    });
    return found.toSorted((a, b) => a.pid - b.pid);
  }

  /** The process that holds the write lock of the database, if any. */
  writer(): number | null {
    try {
      const { ino } = statSync(`${this.database}-shm`);
      // The byte of the -shm file that SQLite locks to write in WAL mode.
      const held = new RegExp(`POSIX +ADVISORY +WRITE +(\\d+) +\\w+:\\w+:${ino} 120 120$`, 'm');
      const pid = held.exec(readFileSync('/proc/locks', 'utf8'))?.[1];
      return pid === undefined ? null : Number(pid);
    } catch {
      return null;
    }
  }

  log(): string {
    return readText(join(this.home, 'logs/workers/workers.log'));
  }

  text(name: string): string {
    return readText(join(this.directory, name));
  }

  /** Ends whoever is left and deletes everything; answers who it was. */
  async close(): Promise<string[]> {
    const left: string[] = [];
    for (let look = 0; look < 100; look++) {
      const members = this.members();
      if (members.length === 0) break;
      // Those that it started meanwhile are found by the next look.
      for (const { pid, args } of members) {
        left.push(`${pid} ${args}`);
        signal(pid, 'SIGKILL');
      }
      await sleep(20);
    }
    rmSync(this.root, { recursive: true, force: true });
    return left;
  }
}

async function feed(child: ChildProcess, parts: readonly string[]): Promise<void> {
  // It may be gone before it has read.
  child.stdin?.on('error', () => {});
  for (const [index, part] of parts.entries()) {
    if (index > 0) await sleep(PART_MS);
    child.stdin?.write(part);
  }
  child.stdin?.end();
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
