// One job for people: its fields, its attempts, and what to do next.

import { formatDuration } from '../duration.ts';
import { formatLocal } from '../instant.ts';
import type { Attempt, Job } from '../job.ts';
import type { Io } from './io.ts';
import { moment } from './job-table.ts';
import { outcomeText, runTime } from './outcome.ts';
import { type Column, Table } from './table.ts';
import { bytes, count, visible } from './text.ts';
import { relative } from './time.ts';

/** Attempts shown; a job that is retried for weeks has thousands. */
const SHOWN_ATTEMPTS = 20;

/** `refused`: bytes of its newest log that are not there because the disk took no more. */
export async function printJob(
  job: Job,
  history: readonly Attempt[],
  refused: number,
  io: Io,
): Promise<void> {
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
  const hint = nextStep(job);
  if (hint !== null) io.print(`\n${style.dim(hint)}`);
}

function fieldsOf(job: Job, now: number): [string, string][] {
  const { spec, tags } = job;
  // Whole seconds: who compares milliseconds reads --json.
  const at = (time: number): string =>
    `${formatLocal(time - (time % 1000))} (${relative(time, now)})`;
  const fields: [string, string][] = [
    // Arguments stand here quoted, ready to paste into a shell.
    ['Command', job.command],
    ['Queue', job.queue],
    ['Priority', String(job.priority)],
    ['Attempts', `${job.attempts} of ${job.maxRetries + 1}`],
    ['Created', at(job.createdAt)],
    ['Updated', at(job.updatedAt)],
  ];
  if (job.runAt !== null && job.state === 'failed') fields.push(['Retry at', at(job.runAt)]);
  if (job.runAt !== null && job.state === 'pending') fields.push(['Run at', at(job.runAt)]);
  if (job.timeout !== null) fields.push(['Timeout', formatDuration(job.timeout)]);
  fields.push(['Directory', job.cwd]);
  if (spec.stdin !== undefined) fields.push(['Stdin', spec.stdin]);
  for (const [name, value] of Object.entries(spec.env ?? {})) {
    fields.push(['Variable', `${name}=${value}`]);
  }
  for (const name of spec.env_from ?? []) fields.push(['Variable', `${name} (the worker's)`]);
  for (const [name, value] of Object.entries(tags)) fields.push(['Tag', `${name}=${value}`]);
  if (job.cancelRequested) fields.push(['Cancel', 'requested, its attempt is being ended']);
  if (job.last !== null && job.state !== 'completed' && job.last.outcome !== null) {
    fields.push(['Last error', outcomeText(job.last)]);
  }
  return fields;
}

async function printAttempts(history: readonly Attempt[], now: number, io: Io): Promise<void> {
  const { style } = io;
  const columns: Column<Attempt>[] = [
    { title: 'ATTEMPT', text: (attempt) => String(attempt.number), right: true },
    { title: 'STARTED', text: (attempt) => relative(attempt.startedAt, now) },
    { title: 'TOOK', text: (attempt) => runTime(attempt, now), right: true },
    { title: 'WORKER', text: (attempt) => attempt.worker },
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

function nextStep(job: Job): string | null {
  const id = visible(job.id);
  switch (job.state) {
    case 'dead':
      return `queuectl logs ${id} shows its output, queuectl dlq retry ${id} runs it again`;
    case 'failed':
    case 'completed':
      return `queuectl logs ${id} shows its output`;
    case 'processing':
      return `queuectl logs -f ${id} follows its output`;
    case 'blocked':
    case 'pending':
    case 'cancelled':
      return null;
  }
}
