// What a worker process and a supervisor process consist of: store, reaper, runner, loop
// and signals, put together and taken apart again.
//
// Signals (guarantee 8): TERM and INT stop gracefully, bounded by the setting `grace`; a
// second one ends the attempts now. HUP does the same as TERM: only a foreground
// supervisor can get one, the others have no terminal.

import type { ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Env } from '../env.ts';
import { EXIT_CODE_OF, messageOf, QueuectlError } from '../errors.ts';
import type { Location } from '../location.ts';
import { selfIdentity } from '../platform/identity.ts';
import { MARKER_NAME } from '../platform/processes.ts';
import { openStore } from '../store/open.ts';
import type { Store } from '../store/store.ts';
import { createCommandRunner } from './command.ts';
import { keepHouse } from './housekeeping.ts';
import { createLeftovers } from './leftovers.ts';
import { createLog, type Log, type LogFormat, reasonLine } from './log.ts';
import { openCrashFile } from './log-file.ts';
import { createLogStore } from './output.ts';
import { Reaper } from './reaper.ts';
import { openRoster } from './roster.ts';
import { spawnSelf, type SpawnSelfOptions } from './spawn-self.ts';
import { Supervisor } from './supervisor.ts';
import { Worker } from './worker.ts';

const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

export interface ProcessOptions {
  readonly location: Location;
  readonly env: Env;
  /** The environment that commands run in, less what is ours. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly concurrency: number;
  /** null: all. */
  readonly queues: readonly string[] | null;
  readonly drain: boolean;
  /** Soft limit on open files that commands get; null: as we have it. */
  readonly nofile: number | null;
  readonly logFormat: LogFormat;
  /** Where log lines go; what it throws stops nobody (guarantee 11). */
  readonly write: (line: string) => void;
}

export interface WorkerProcessOptions extends ProcessOptions {
  readonly supervisor: number;
}

export interface SupervisorProcessOptions extends ProcessOptions {
  readonly count: number;
  /** In the background: what its workers say goes to files, not to our stderr. */
  readonly background: boolean;
}

/** Runs one worker until it stops; answers the exit code of its process. */
export async function runWorkerProcess(options: WorkerProcessOptions): Promise<number> {
  const { env, location } = options;
  return await withStore(options, 'worker', async (store, openingLog) => {
    const identity = selfIdentity();
    const { key, name } = await store.registerWorker({
      identity,
      supervisor: options.supervisor,
      queues: options.queues,
      concurrency: options.concurrency,
    });
    openingLog(`is ${name}`);
    const log = logOf(name, options);
    const roster = openRoster(location.roster, name, options.environment[MARKER_NAME]);
    const worker = new Worker({
      store,
      env,
      log,
      key,
      concurrency: options.concurrency,
      drain: options.drain,
      createRunner: (settings) =>
        createCommandRunner({
          env,
          logs: createLogStore(location.jobLogs),
          settings,
          databaseId: store.databaseId,
          baseEnv: options.environment,
          jobEnv: location.jobEnvironment,
          nofile: options.nofile,
          roster,
          log,
        }),
    });
    const reaper = createReaper(options, store, log);
    const closing = new AbortController();
    const reaping = reaper.run(closing.signal);
    const logs = createLogStore(location.jobLogs);
    const house = keepHouse({ store, env, logs, log }, closing.signal);
    const ignoreSignals = onStopSignals((times) => {
      if (times > 1) {
        worker.stopNow();
        return;
      }
      worker.stop();
      env.sleep(worker.grace, closing.signal).then(
        () => worker.stopNow(),
        () => {
          // It ended before its grace was over.
        },
      );
    });
    try {
      log(`ready: pid ${identity.pid}, concurrency ${options.concurrency}`);
      await worker.run();
      log('stopped');
      await store.endWorker(key, 'stopped');
      // So its supervisor knows that another one would find the same.
      if (worker.outdated !== null) throw worker.outdated;
      return 0;
    } finally {
      ignoreSignals();
      closing.abort();
      await reaping;
      await house;
      roster.close();
    }
  });
}

/** Runs a supervisor until all its workers have stopped; answers the exit code. */
export async function runSupervisorProcess(options: SupervisorProcessOptions): Promise<number> {
  return await withStore(options, 'supervisor', async (store, log) => {
    const { env, count } = options;
    const key = await store.registerSupervisor({ identity: selfIdentity(), count });
    const supervisor = new Supervisor({
      store,
      env,
      log,
      key,
      count,
      reaper: createReaper(options, store, log),
      startWorker: () =>
        startWorker(options, {
          args: [
            '__worker',
            '--supervisor',
            String(key),
            ...(options.background ? ['--background'] : []),
            ...workerArguments(options),
          ],
          // Never handed on to commands, which get one of their own; see readWorkerMarker.
          environment: { ...options.environment, [MARKER_NAME]: `worker:${env.newId()}` },
        }),
    });
    const ignoreSignals = onStopSignals((_times, signal) => supervisor.stop(signal));
    try {
      log(`started: pid ${process.pid}, ${count} ${count === 1 ? 'worker' : 'workers'}`);
      const exitCode = await supervisor.run();
      log('stopped');
      await store.endSupervisor(key, 'stopped');
      return exitCode;
    } finally {
      ignoreSignals();
    }
  });
}

/** With a crash file opened now: the one we were started with may have been put aside. */
function startWorker(
  { background, location, env }: SupervisorProcessOptions,
  how: Omit<SpawnSelfOptions, 'output'>,
): ChildProcess {
  if (!background) return spawnSelf({ ...how, output: 'inherit' });
  let output: number;
  try {
    output = openCrashFile(location, env);
  } catch {
    // A full disk is no reason to run nothing.
    return spawnSelf({ ...how, output: 'inherit' });
  }
  try {
    return spawnSelf({ ...how, output });
  } finally {
    closeSync(output);
  }
}

/** The flags that a supervisor and its workers have in common. */
export function workerArguments(
  options: Pick<ProcessOptions, 'concurrency' | 'queues' | 'drain' | 'nofile' | 'logFormat'>,
): string[] {
  return [
    '--concurrency',
    String(options.concurrency),
    ...(options.queues ?? []).flatMap((queue) => ['--queue', queue]),
    ...(options.drain ? ['--drain'] : []),
    ...(options.nofile === null ? [] : ['--nofile', String(options.nofile)]),
    ...(options.logFormat === 'text' ? [] : ['--log-format', options.logFormat]),
  ];
}

/** The reaper of this process; `worker stop` has one too. */
export function createReaper(
  { env, location }: Pick<ProcessOptions, 'env' | 'location'>,
  store: Store,
  log: Log,
): Reaper {
  return new Reaper({
    store,
    env,
    log,
    self: selfIdentity(),
    leftovers: createLeftovers({
      env,
      databaseId: store.databaseId,
      roster: location.roster,
      log,
    }),
  });
}

/** Opens the store, waits for its lock as long as it takes, and tells how it all ended. */
async function withStore(
  options: ProcessOptions,
  role: string,
  body: (store: Store, log: Log) => Promise<number>,
): Promise<number> {
  const log = logOf(role, options);
  try {
    const store = await openStore(options.location, {
      env: options.env,
      patience: Number.POSITIVE_INFINITY,
      onWait: () => log('waiting for the database: another process is writing', { level: 'warn' }),
    });
    try {
      return await body(store, log);
    } finally {
      await store.close();
    }
  } catch (error) {
    log(reasonLine(messageOf(error)), { level: 'error' });
    return EXIT_CODE_OF[error instanceof QueuectlError ? error.code : 'internal'];
  }
}

/** What cannot be logged (a full disk, a closed pipe) stops nobody (guarantee 11). */
function logOf(name: string, options: ProcessOptions): Log {
  const { env, write, logFormat: format } = options;
  const attempt = (line: string): void => {
    try {
      write(line);
    } catch {
      // There is no other place to tell it.
    }
  };
  return createLog({ name, env, format, write: attempt });
}

function onStopSignals(stop: (times: number, signal: NodeJS.Signals) => void): () => void {
  let times = 0;
  const listener = (signal: NodeJS.Signals): void => {
    times += 1;
    stop(times, signal);
  };
  for (const signal of STOP_SIGNALS) process.on(signal, listener);
  return () => {
    for (const signal of STOP_SIGNALS) process.off(signal, listener);
  };
}
