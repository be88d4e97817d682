// One job for people: its fields, its attempts, the last it said, and what becomes of it.

import { formatDuration } from '../duration.ts';
import { formatLocal } from '../instant.ts';
import { grouped } from '../invalid.ts';
import { type Attempt, isTerminal, type Job } from '../job.ts';
import type { Io } from './io.ts';
import { moment } from './job-table.ts';
import { outcomeText, runTime } from './outcome.ts';
import { type Column, Table } from './table.ts';
import { bytes, count, visible } from './text.ts';
import { relative } from './time.ts';

/** Attempts shown; a job that is retried for weeks has thousands. */
const SHOWN_ATTEMPTS = 20;

export interface Story {
  readonly job: Job;
  readonly history: readonly Attempt[];
  /** The last lines of its newest attempt. */
  readonly output: readonly string[];
  /** Bytes of its newest log that are not there because the disk took no more. */
  readonly refused: number;
  /** Why nobody will take it, where it waits and nobody would. */
  readonly unserved: string | null;
  /** It counts as running, but its worker is gone and nobody has noticed yet. */
  readonly orphaned: boolean;
}

export async function printJob(story: Story, io: Io): Promise<void> {
  const { job, history, output, refused, unserved, orphaned } = story;
  const { style } = io;
  const now = io.now();
  io.print(`${style.bold(visible(job.id))}  ${style.state(job.state)}  ${moment(job, now)}\n`);
  const fields = fieldsOf(job, now);
  if (refused > 0) {
    fields.push(['Log', `incomplete: ${bytes(refused)} were refused by its disk, or removed`]);
  }
  const width = Math.max(...fields.map(([name]) => name.length));
  for (const [name, value] of fields) {
    io.print(`  ${style.dim(name.padEnd(width))}  ${visible(value)}`);
  }
  if (history.length > 0) await printAttempts(history, now, io);
  printOutput(job, output, io);
  const hint = orphaned ? RECOVER : (unserved ?? nextStep(job, now));
  io.print(`\n${visible(outlook(job, now, { unserved: unserved !== null, orphaned }))}`);
  const killed = killedHint(job);
  if (killed !== null) io.print(style.dim(killed));
  if (hint !== null) io.print(style.dim(visible(hint)));
}

function printOutput({ last }: Job, output: readonly string[], io: Io): void {
  if (last === null || output.length === 0) return;
  const { style } = io;
  io.print(`\n${style.dim(`The last lines of attempt ${last.number}:`)}`);
  for (const line of output) io.print(`  ${style.dim('│')} ${visible(line)}`);
}

function fieldsOf(job: Job, now: number): [string, string][] {
  const { spec, tags } = job;
  const at = (time: number): string => `${atSecond(time)} (${relative(time, now)})`;
  const fields: [string, string][] = [
    // Arguments stand here quoted, ready to paste into a shell.
    ['Command', job.command],
    ['Queue', job.queue],
    ['Priority', String(job.priority)],
    ['Attempts', `${job.attempts} of ${job.maxRetries + 1}`],
    ['Created', at(job.createdAt)],
    ['Updated', at(job.updatedAt)],
  ];
  if (job.runAt !== null && job.runAt > now && !isTerminal(job.state)) {
    fields.push([job.state === 'failed' ? 'Retry at' : 'Run at', at(job.runAt)]);
  }
  if (job.timeout !== null) fields.push(['Timeout', formatDuration(job.timeout)]);
  fields.push(['Directory', job.cwd]);
  if (spec.stdin !== undefined) fields.push(['Stdin', spec.stdin]);
  if (spec.stdin_text !== undefined) {
    // Its size only: it may be long, or what nobody should read over a shoulder.
    fields.push(['Stdin', `${bytes(Buffer.byteLength(spec.stdin_text))} stored with the job`]);
  }
  for (const [name, value] of Object.entries(spec.env ?? {})) {
    fields.push(['Variable', `${name}=${value}`]);
  }
  for (const name of spec.env_from ?? []) fields.push(['Variable', `${name} (the worker's)`]);
  for (const [name, value] of Object.entries(tags)) fields.push(['Tag', `${name}=${value}`]);
  if (job.cancelRequested) fields.push(['Cancel', 'requested, its attempt is being ended']);
  return fields;
}

/** Whole seconds: who compares milliseconds reads --json. */
function atSecond(time: number): string {
  return formatLocal(time - (time % 1000));
}

async function printAttempts(history: readonly Attempt[], now: number, io: Io): Promise<void> {
  const { style } = io;
  const columns: Column<Attempt>[] = [
    { title: 'ATTEMPT', text: (attempt) => String(attempt.number), right: true },
    { title: 'STARTED', text: (attempt) => relative(attempt.startedAt, now), dispensable: 3 },
    { title: 'TOOK', text: (attempt) => runTime(attempt, now), right: true },
    { title: 'WORKER', text: (attempt) => attempt.worker, dispensable: 2 },
    {
      title: 'OUTPUT',
      text: ({ logBytes }) => (logBytes === null ? '' : bytes(logBytes)),
      right: true,
      dispensable: 1,
    },
    {
      title: 'OUTCOME',
      text: outcomeText,
      paint: (text, attempt) => paintOutcome(text, attempt, io),
      stretch: true,
    },
  ];
  const table = new Table(columns, style, io.context.stdout.columns);
  const lines = await table.page(history.slice(-SHOWN_ATTEMPTS));
  io.print(`\n${lines.join('\n')}`);
  const hidden = history.length - SHOWN_ATTEMPTS;
  if (hidden > 0)
    io.print(style.dim(`and ${count(hidden, 'earlier attempt')}: --json has them all`));
}

function paintOutcome(text: string, { outcome, exitCode }: Attempt, io: Io): string {
  if (outcome === null || outcome === 'interrupted' || outcome === 'cancelled') return text;
  return exitCode === 0 ? io.style.good(text) : io.style.bad(text);
}

const RECOVER = 'to recover it: queuectl worker start';

/** What becomes of it, and why: one or two sentences. */
function outlook(
  job: Job,
  now: number,
  { unserved, orphaned }: { readonly unserved: boolean; readonly orphaned: boolean },
): string {
  const { state, attempts, maxRetries, last, runAt } = job;
  const ended = last === null ? '' : `Attempt ${last.number}: ${outcomeText(last)}. `;
  const due = runAt !== null && runAt > now ? relative(runAt, now) : null;
  const free = unserved ? 'once a worker serves its queue' : 'as soon as a slot is free';
  switch (state) {
    case 'blocked':
      return 'It waits for other jobs.';
    case 'pending': {
      const starts = last === null ? 'It starts' : `${ended}${backText(job)} starts`;
      return due === null
        ? `${starts} ${free}.`
        : `${starts} ${due}, not before ${atSecond(runAt ?? now)}.`;
    }
    case 'processing':
      if (orphaned) return `Its worker ${last?.worker ?? ''} is gone: the attempt will be lost.`;
      return job.cancelRequested
        ? 'It is being cancelled: its attempt is asked to end.'
        : `It runs on ${last?.worker ?? 'a worker'}${timeoutText(job, now)}.`;
    case 'completed':
      return last !== null && last.number > 1 ? `Done, in attempt ${last.number}.` : 'Done.';
    case 'failed': {
      // An edit may have taken retries away since.
      const retry = `Retry ${attempts} of ${Math.max(attempts, maxRetries)}`;
      return due === null
        ? `${ended}${retry} starts ${free}.`
        : `${ended}${retry} starts ${due}, at ${atSecond(runAt ?? now)}.`;
    }
    case 'dead':
      return maxRetries === 0
        ? `${ended}It is dead: no retry was asked for.`
        : `${ended}It is dead: ${usedUp(maxRetries)}.`;
    case 'cancelled':
      if (last === null) return 'It was cancelled before it ran, and never will.';
      return last.outcome === 'cancelled'
        ? `It was cancelled in attempt ${last.number}, while it ran.`
        : `${ended}It was cancelled after that, and will not run again.`;
  }
}

function usedUp(retries: number): string {
  return retries === 1 ? 'its one retry is used up' : `all ${grouped(retries)} retries are used up`;
}

/** Why a job that has run is waiting as if it had not. */
function backText({ attempts, last }: Job): string {
  if (last?.outcome === 'interrupted') return 'It was given back, which costs no retry, and';
  return attempts === 0 ? 'It was taken from the dead letter queue and' : 'It';
}

/** By somebody else: mostly the kernel, for lack of memory, which nothing here can know. */
function killedHint({ last }: Job): string | null {
  const why = 'if memory ran out, the kernel log says so (dmesg, journalctl -k)';
  if (last?.outcome === 'signaled' && last.signal === 'SIGKILL') {
    return `queuectl did not send that SIGKILL: ${why}`;
  }
  if (last?.outcome === 'exited' && last.exitCode === 137) {
    return `137 is what a shell says of a command that SIGKILL has ended: ${why}`;
  }
  return null;
}

function timeoutText({ timeout, last }: Job, now: number): string {
  if (timeout === null || last === null) return '';
  const left = last.startedAt + timeout - now;
  return left > 0 ? `, for at most ${formatDuration(left)} more` : ', and its time is up';
}

function nextStep(job: Job, now: number): string | null {
  const id = visible(job.id);
  const hasOutput = job.last !== null && job.last.logBytes !== 0;
  const logs = hasOutput ? `queuectl logs ${id} shows its output` : null;
  const both = (act: string): string => (logs === null ? act : `${logs}, ${act}`);
  switch (job.state) {
    case 'dead':
      return both(`queuectl dlq retry ${id} runs it again`);
    case 'failed':
      return both(`queuectl edit ${id} --delay 0 retries at once`);
    case 'processing':
      return `queuectl logs -f ${id} follows its output`;
    case 'pending':
      return job.runAt !== null && job.runAt > now
        ? `queuectl edit ${id} --delay 0 starts it at once`
        : null;
    case 'completed':
    case 'cancelled':
      return logs;
    case 'blocked':
      return null;
  }
}
