// Running the built executable as people do: a queue of its own for each test, and after
// it no process, file or directory left.

import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';

export const EXECUTABLE = resolve(import.meta.dirname, '../../dist/queuectl');

export interface Answer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CallOptions {
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Another build of queuectl. */
  readonly executable?: string;
  /** Ms until it is killed and the call rejects; default 30,000. */
  readonly timeout?: number;
}

export interface Sandbox {
  /** QUEUECTL_HOME of this test. */
  readonly home: string;
  /** A directory for the test's own files; default working directory of calls. */
  readonly directory: string;
  /** Calls queuectl and answers what it said. */
  q(args: readonly string[], options?: CallOptions): Promise<Answer>;
  /** Calls queuectl, expects exit code 0, and answers stdout. */
  ok(args: readonly string[], options?: CallOptions): Promise<string>;
  /** Calls queuectl with --json, expects exit code 0, and answers what stdout says. */
  json(args: readonly string[], options?: CallOptions): Promise<unknown>;
  /** Environment in which queuectl is called; for tests that spawn it themselves. */
  readonly env: Readonly<Record<string, string>>;
}

/** A queue for one test. When the test ends its workers are stopped and all is deleted. */
export function sandbox(t: TestContext): Sandbox {
  if (!existsSync(EXECUTABLE)) throw new Error(`${EXECUTABLE} is missing: npm run build`);
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'queuectl-test-')));
  const home = join(root, 'home');
  const directory = mkdtempSync(join(root, 'work-'));
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('QUEUECTL_'));
  const env: Record<string, string> = {};
  for (const [name, value] of [...inherited, ['QUEUECTL_HOME', home] as const]) {
    if (name !== undefined && value !== undefined) env[name] = value;
  }

  const q = (args: readonly string[], options: CallOptions = {}): Promise<Answer> =>
    call(args, { cwd: directory, ...options, env: { ...env, ...options.env } });
  const ok = async (args: readonly string[], options?: CallOptions): Promise<string> => {
    const answer = await q(args, options);
    if (answer.code !== 0) {
      throw new Error(`queuectl ${args.join(' ')}: exit code ${answer.code}\n${answer.stderr}`);
    }
    return answer.stdout;
  };

  t.after(async () => {
    if (existsSync(join(home, 'queue.db'))) await q(['worker', 'stop', '--now']);
    chmodSync(root, 0o700);
    rmSync(root, { recursive: true, force: true });
  });
  return {
    home,
    directory,
    env,
    q,
    ok,
    json: async (args, options) => JSON.parse(await ok([...args, '--json'], options)) as unknown,
  };
}

function call(args: readonly string[], options: CallOptions): Promise<Answer> {
  const { promise, resolve: answer, reject } = Promise.withResolvers<Answer>();
  const { executable = EXECUTABLE, cwd, env } = options;
  const child = spawn(executable, args, { cwd, env, stdio: 'pipe' });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    reject(new Error(`queuectl ${args.join(' ')} did not end\n${Buffer.concat(err).toString()}`));
  }, options.timeout ?? 30_000);
  child.on('error', reject);
  child.on('close', (code) => {
    clearTimeout(timer);
    const [stdout, stderr] = [out, err].map((chunks) => Buffer.concat(chunks).toString());
    answer({ code, stdout: stdout ?? '', stderr: stderr ?? '' });
  });
  // One that does not read its input may be gone before it is written.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  return promise;
}
