// `worker start`: a supervisor in the background, and nothing of ours held by it. Returns
// when its workers are ready to claim, or says why they are not.

import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { systemEnv } from '../env.ts';
import { EXIT_CODE_OF, QueuectlError } from '../errors.ts';
import type { Location } from '../location.ts';
import { identityOf, type ProcessIdentity } from '../platform/identity.ts';
import type { Queue } from '../queue.ts';
import type { WorkerRecord } from '../store/store.ts';
import { messageIn, reasonIn, type LogFormat } from './log.ts';
import { checkLogFiles, crashFile, openCrashFile, workerLogFile } from './log-file.ts';
import { workerArguments } from './process.ts';
import { isSameProcess } from './reaper.ts';
import { spawnSelf } from './spawn-self.ts';

/** Ready takes some 50 ms; a machine this slow has other troubles. */
const READY_TIMEOUT_MS = 30_000;

const TAIL_BYTES = 64 * 1024;

export interface StartOptions {
  readonly location: Location;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly count: number;
  readonly concurrency: number;
  readonly queues: readonly string[] | null;
  readonly drain: boolean;
  readonly nofile: number | null;
  readonly logFormat: LogFormat;
}

/**
 * Starts them and answers the workers that became ready. With `drain` they may have done
 * everything and be gone again: then there are none to answer.
 */
export async function startWorkers(queue: Queue, options: StartOptions): Promise<WorkerRecord[]> {
  const { location } = options;
  checkLogFiles(location);
  const logged = sizeOf(workerLogFile(location));
  const output = openCrashFile(location, systemEnv);
  const crashed = fstatSync(output).size;
  let supervisor;
  try {
    supervisor = spawnSelf({
      args: [
        '__supervisor',
        '--background',
        '--count',
        String(options.count),
        ...workerArguments(options),
      ],
      environment: options.environment,
      output,
    });
  } finally {
    closeSync(output);
  }
  const identity = identityOf(supervisor.pid ?? 0);
  let exitCode: number | null | undefined;
  const watching = new AbortController();
  once(supervisor, 'exit', { signal: watching.signal }).then(
    ([code]: unknown[]) => {
      exitCode = typeof code === 'number' ? code : null;
    },
    () => {
      exitCode ??= null; // it could not be started at all, or we stopped watching
    },
  );
  try {
    const ready = await queue.until(
      () => readyWorkers(queue, identity),
      (workers) => workers.length >= options.count || exitCode !== undefined,
      { timeout: READY_TIMEOUT_MS },
    );
    if (ready.length >= options.count) return ready;
    if (exitCode === 0 && options.drain) return ready;
    if (exitCode === 0) {
      throw new QueuectlError('unavailable', 'the workers were stopped before they were ready');
    }
    // It would go on trying, and start workers long after we said that there are none.
    supervisor.kill('SIGTERM');
    const why = lastReason(location, logged, crashed);
    throw new QueuectlError(
      exitCode === EXIT_CODE_OF.damaged ? 'damaged' : 'unavailable',
      `the workers did not start${why === '' ? '' : `: ${why}`}`,
      { hint: `see ${workerLogFile(location)}` },
    );
  } finally {
    watching.abort();
    supervisor.unref();
  }
}

async function readyWorkers(
  queue: Queue,
  supervisor: ProcessIdentity | null,
): Promise<WorkerRecord[]> {
  if (supervisor === null) return [];
  // The pid alone could be that of an earlier container, which nobody here can see is gone.
  const supervisors = await queue.store.supervisors();
  const own = supervisors.find(({ identity }) => isSameProcess(identity, supervisor));
  if (own === undefined) return [];
  const workers = await queue.workers();
  return workers.filter((worker) => worker.ready && worker.supervisor === own.key);
}

/** Why the last process gave up; else the last that was said since the files had these sizes. */
function lastReason(location: Location, logged: number, crashed: number): string {
  const log = linesOf(tail(workerLogFile(location), logged));
  const reason = log.map(reasonIn).findLast((found) => found !== null);
  const crash = linesOf(tail(crashFile(location), crashed)).at(-1);
  return reason ?? crash ?? messageIn(log.at(-1) ?? '');
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** The last that was written since `from`: months of log may lie before it. */
function tail(file: string, from: number): string {
  const descriptor = openSync(file, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const buffer = Buffer.alloc(Math.min(Math.max(size - from, 0), TAIL_BYTES));
    const read = readSync(descriptor, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString('utf8', 0, read);
  } finally {
    closeSync(descriptor);
  }
}
