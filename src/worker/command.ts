// The runner for jobs of kind `command`: from a claimed job to a running process, or to an
// attempt that ended with `spawn_failed`. Guards that nothing a job asks for takes the
// worker down, and that an attempt's processes can be found from the moment they exist.

import type { Env } from '../env.ts';
import { messageOf } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import { SpawnError } from '../platform/diagnose.ts';
import { markerOf, type ProcessRef } from '../platform/processes.ts';
import { shellCall } from '../platform/shell.ts';
import { createSpawner } from '../platform/spawn.ts';
import type { CommandToStart } from '../platform/starter.ts';
import type { Claimed } from '../store/store.ts';
import { superviseCommand } from './attempt.ts';
import { environmentFor, type EnvironmentOptions } from './environment.ts';
import type { Log } from './log.ts';
import type { LogStore } from './output.ts';
import type { Roster } from './roster.ts';
import type { RunningAttempt, Runner } from './runner.ts';

export interface CommandRunnerOptions extends EnvironmentOptions {
  readonly env: Env;
  readonly logs: LogStore;
  /** Read whenever one is needed, so that changes reach what runs. */
  readonly settings: () => CommandSettings;
  /** Soft limit on open files for commands; null: as this process has it. */
  readonly nofile: number | null;
  readonly roster?: Roster;
  /** For the operator. */
  readonly log?: Log;
}

export interface CommandSettings {
  /** Ms between TERM and KILL. */
  readonly killAfter: number;
  /** Cap on the log of an attempt. */
  readonly logMaxBytes: number;
}

/** Runs commands as typed at the prompt they were enqueued from. */
export function createCommandRunner(options: CommandRunnerOptions): Runner {
  const spawn = createSpawner();
  const environmentOf = environmentFor(options);

  return {
    start(job) {
      let spawned;
      try {
        spawned = spawn(commandToStart(job, environmentOf(job), options.nofile));
      } catch (error) {
        return notStarted(error);
      }
      failpoint('after-spawn');
      const leader = { pid: spawned.pid, startTime: spawned.startTime };
      const strikeOff: (() => void)[] = [];
      const note = (process: ProcessRef): void => {
        const noted = options.roster?.add({ runToken: job.runToken, leader: process });
        if (noted !== undefined) strikeOff.push(noted);
      };
      note(leader);
      const warn = (message: string): void =>
        options.log?.(`${job.id}: ${message}`, {
          level: 'warn',
          job: job.id,
          attempt: job.number,
        });
      return superviseCommand({
        env: options.env,
        spawned,
        trace: { marker: markerOf(options.databaseId, job.runToken), leader },
        log: options.logs.writer(job.key, job.number, options.settings().logMaxBytes, (error) =>
          warn(`the log of attempt ${job.number} is incomplete: ${messageOf(error)}`),
        ),
        timeout: job.timeout,
        killAfter: () => options.settings().killAfter,
        onLeft: (processes) => processes.forEach(note),
        onEnd: () => strikeOff.forEach((strike) => strike()),
        warn,
      });
    },
  };
}

function commandToStart(
  job: Claimed,
  env: Record<string, string>,
  nofile: number | null,
): CommandToStart {
  const { args, stdin = null, stdin_text: stdinText } = job.spec;
  const text = stdinText === undefined ? {} : { stdinText };
  const common = { env, cwd: job.cwd, stdin, nofile, ...text };
  if (args === undefined) return { ...common, ...shellCall(job.command) };
  return { ...common, file: args[0] ?? '', args: args.slice(1), verbatim: false };
}

function notStarted(error: unknown): RunningAttempt {
  const known = error instanceof SpawnError;
  const outcome = {
    kind: 'spawn_failed' as const,
    error: messageOf(error),
    code: known ? error.exitCode : (126 as const),
    transient: known && error.transient,
  };
  return {
    ended: Promise.resolve({ outcome, logBytes: 0 }),
    end() {
      // It has ended.
    },
  };
}
