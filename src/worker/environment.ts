// What a command sees in its environment (cli.md): the worker's own, less everything of
// ours; the PATH and directory of whoever enqueued it; what identifies the attempt; and
// the job's own variables, which win. Guards that no secret of ours reaches a job, and
// that names and values arrive unchanged (SH-09).

import { MARKER_NAME, markerOf } from '../platform/processes.ts';
import { SpawnError } from '../platform/diagnose.ts';
import type { Claimed } from '../store/store.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface EnvironmentOptions {
  readonly databaseId: string;
  /** The worker's environment, as it was started. */
  readonly baseEnv: Environment;
  /** What a `queuectl` inside the job needs to find the same queue. */
  readonly jobEnv: Readonly<Record<string, string>>;
}

/** All our variables: settings of the worker, and the markers of a job it was started from. */
const OUR_PREFIX = 'QUEUECTL_';

const windows = process.platform === 'win32';

/**
 * Answers the environment of one attempt after the other. That throws a SpawnError when
 * the job wants a variable from the worker that the worker does not have.
 */
export function environmentFor(
  options: EnvironmentOptions,
): (job: Claimed) => Record<string, string> {
  const given = emptyEnvironment();
  const base = emptyEnvironment();
  for (const [name, value] of Object.entries(options.baseEnv)) {
    if (value === undefined) continue;
    given[name] = value;
    if (!name.startsWith(OUR_PREFIX)) base[name] = value;
  }

  return (job) => {
    const env: Record<string, string> = Object.assign(emptyEnvironment(), base);
    if (job.path !== null) setPath(env, job.path);
    // Where it runs, by the name that its user knows: the worker's own would be wrong.
    if (!windows) env['PWD'] = job.cwd;
    Object.assign(env, options.jobEnv);
    env['QUEUECTL_JOB_ID'] = job.id;
    env['QUEUECTL_ATTEMPT'] = String(job.number);
    env['QUEUECTL_MAX_RETRIES'] = String(job.maxRetries);
    env['QUEUECTL_RETRIES_LEFT'] = String(Math.max(0, job.maxRetries + 1 - job.attempts));
    env['QUEUECTL_RUN_TOKEN'] = String(job.runToken);
    env['QUEUECTL_QUEUE'] = job.queue;
    for (const name of job.spec.env_from ?? []) {
      const value = given[name];
      if (value === undefined) throw missing(name);
      env[name] = value;
    }
    Object.assign(env, job.spec.env);
    // Last: without it the attempt's processes could not be found (guarantee 5).
    env[MARKER_NAME] = markerOf(options.databaseId, job.runToken);
    return env;
  };
}

/** Without a prototype: `__proto__` is a name like any other. */
function emptyEnvironment(): Record<string, string> {
  return Object.create(null) as Record<string, string>;
}

function setPath(env: Record<string, string>, path: string): void {
  // Windows writes it `Path`, and two spellings of one name are none of them.
  if (windows) {
    for (const name of Object.keys(env)) if (name.toUpperCase() === 'PATH') delete env[name];
  }
  env['PATH'] = path;
}

function missing(name: string): SpawnError {
  const message = `the variable ${name} is not set in the worker's environment, from which the job takes it`;
  return new SpawnError(message, 126);
}
