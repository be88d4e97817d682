// What the command line says about one job → NewJob. Rules about fields are in spec.ts;
// here flags become fields, and what the shell did to them is noticed.

import { readFileSync } from 'node:fs';
import { systemEnv } from '../env.ts';
import { QueuectlError } from '../errors.ts';
import { formatLocal, parseInstant } from '../instant.ts';
import type { NewJob } from '../job.ts';
import { type JobContext, parseJob } from '../spec.ts';
import type { Flags, Values } from './command.ts';
import type { Context } from './context.ts';
import type { Io } from './io.ts';
import { usage } from './parse.ts';
import { reasonOf } from './reason.ts';
import { splitTags } from './tags.ts';

/** Flags that describe a job. */
export const JOB_FLAGS = {
  id: { type: 'text', value: 'ID', help: 'its id (default: a new UUID)' },
  queue: { type: 'text', value: 'Q', help: 'the queue it waits in (default: default)' },
  priority: { type: 'text', value: 'N', help: 'from -1000 to 1000, higher first (default: 0)' },
  'max-retries': {
    type: 'text',
    value: 'N',
    help: 'retries after the first attempt (default: the setting max_retries)',
  },
  delay: {
    type: 'text',
    value: 'DURATION',
    help: 'not before this long from now: 30s, 10m, 1h30m',
  },
  'run-at': {
    type: 'text',
    value: 'TIME',
    help: 'not before this moment: 2030-12-01T09:00, 2030-12-01T09:00Z, 10m',
  },
  timeout: {
    type: 'text',
    value: 'DURATION',
    help: 'end an attempt after this long; 0 for never (default: the setting timeout)',
  },
  tag: { type: 'list', value: 'K=V', help: 'a label to find it by' },
  env: {
    type: 'list',
    value: 'K[=V]',
    help: "a variable, stored with the job; without =V the worker's value when it runs, not stored",
  },
  'env-file': {
    type: 'list',
    value: 'FILE',
    help: 'variables, one K=V or K a line, taken literally',
  },
  cwd: { type: 'text', value: 'DIR', help: 'the directory it runs in (default: this one)' },
  stdin: {
    type: 'text',
    value: 'FILE',
    help: 'what it reads from stdin: a file; - takes ours, up to 64 KiB (default: nothing)',
  },
  shell: { type: 'text', value: "'a | b'", help: 'a command line for the shell, instead of --' },
} as const satisfies Flags;

type JobValues = Values<typeof JOB_FLAGS>;

/** Those of the flags that were given, by name. */
export function givenJobFlags(flags: JobValues): string[] {
  return Object.entries(flags)
    .filter(([name]) => Object.hasOwn(JOB_FLAGS, name))
    .filter(([, value]) => (typeof value === 'object' ? value.length > 0 : value !== undefined))
    .map(([name]) => `--${name}`);
}

export function jobContext(context: Context, flags: boolean): JobContext {
  let cwd: string;
  try {
    cwd = context.cwd();
  } catch (error) {
    throw new QueuectlError('invalid', 'the current directory does not exist any more', {
      hint: 'go to another one first: a job runs where it was enqueued',
      cause: error,
    });
  }
  // So the runtime reads bytes that are no UTF-8; the directory of that name is another one.
  if (cwd.includes('\ufffd')) {
    throw new QueuectlError('invalid', 'the name of the current directory is not valid UTF-8', {
      hint: 'rename it, or go to another one first: a job runs where it was enqueued',
    });
  }
  return {
    cwd,
    path: context.env['PATH'] ?? null,
    now: () => context.now(),
    newId: () => systemEnv.newId(),
    flags,
  };
}

/** A job from flags and the arguments after `--`; `name` is the command they were given to. */
export async function jobFromFlags(
  name: string,
  flags: JobValues,
  args: readonly string[] | null,
  io: Io,
): Promise<NewJob> {
  if (args !== null && flags.shell !== undefined) {
    throw usage('--shell and -- exclude each other', name);
  }
  if (args === null && flags.shell === undefined) {
    throw usage(`${name} needs a command: ${name} -- COMMAND`, name);
  }
  if (args?.length === 0) throw usage('the command is missing after --', name);
  const variables = variablesOf(flags);
  if (flags.shell?.trim() === '') {
    throw new QueuectlError('invalid', '--shell must be a command that is not empty');
  }
  const job = parseJob(
    {
      ...(args === null ? { command: flags.shell } : { args }),
      id: flags.id,
      queue: flags.queue,
      priority: flags.priority,
      max_retries: flags['max-retries'],
      delay: flags.delay,
      run_at: flags['run-at'],
      timeout: flags.timeout,
      cwd: flags.cwd,
      ...(flags.stdin === '-' ? { stdin_text: await stdinText(io) } : { stdin: flags.stdin }),
      tags: Object.fromEntries(splitTags(flags.tag)),
      env: Object.fromEntries([...variables].filter(([, value]) => value !== null)),
      env_from: [...variables].filter(([, value]) => value === null).map(([key]) => key),
    },
    jobContext(io.context, true),
  );
  echoLocalTime(flags['run-at'], job, io);
  return job;
}

/** The whole of our stdin, read before anything is stored. */
async function stdinText(io: Io): Promise<string> {
  const { readStdinText } = await import('./stdin-text.ts');
  return await readStdinText(io);
}

/** By name; null is taken from the worker. What is given later wins, flags over files. */
function variablesOf(flags: JobValues): ReadonlyMap<string, string | null> {
  const lines: string[] = [];
  for (const file of flags['env-file']) lines.push(...readEnvFile(file));
  const variables = new Map<string, string | null>();
  for (const line of [...lines, ...flags.env]) {
    // From the second character on: `=x` has an empty name, which spec.ts refuses.
    const at = line.indexOf('=');
    if (at < 0) variables.set(line, null);
    else variables.set(line.slice(0, at), line.slice(at + 1));
  }
  return variables;
}

function readEnvFile(file: string): string[] {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    const why = error instanceof TypeError ? 'it is not valid UTF-8' : reasonOf(error);
    throw new QueuectlError('invalid', `cannot read --env-file ${file}: ${why}`, { cause: error });
  }
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  for (const [index, line] of lines.entries()) {
    // `export A=1` is shell, and a sentence is no name: both would only fail in the job.
    if (line.startsWith('#') || !/^[^=]*\s/.test(line.trim())) continue;
    throw new QueuectlError(
      'invalid',
      `--env-file ${file}, line ${index + 1}: the name of a variable must have no spaces`,
      { hint: 'lines are K=V, or K to take it from the worker; no shell reads them' },
    );
  }
  return lines.filter((line) => line.trim() !== '' && !line.startsWith('#'));
}

/** A time without a zone was read as local time: says so, in full. */
function echoLocalTime(given: string | undefined, job: NewJob, io: Io): void {
  if (given === undefined || job.runAt === null) return;
  try {
    parseInstant(given, { now: io.now(), local: false });
  } catch {
    io.note(`note: --run-at ${given} is ${formatLocal(job.runAt)}`);
  }
}

/**
 * Refuses arguments that were not valid UTF-8. A runtime hands them over with U+FFFD in
 * the place of what it could not read: another command than the one that was typed.
 */
export function refuseBrokenArguments(context: Context): void {
  if (!context.argv.some((arg) => arg.includes('\ufffd'))) return;
  const raw = context.rawArguments();
  if (raw === null) return;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(raw);
  } catch (error) {
    throw new QueuectlError('invalid', 'an argument is not valid UTF-8', {
      hint: 'a job is stored as text: put such bytes in a file, or write them as $(printf …) in --shell',
      cause: error,
    });
  }
}
