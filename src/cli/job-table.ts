// Jobs as rows for people: which columns there are and what a job's one telling moment is.

import type { Job } from '../job.ts';
import { outcomeText, runTime } from './outcome.ts';
import type { Style } from './style.ts';
import type { Column } from './table.ts';
import { age, relative } from './time.ts';

/** Columns of `list`. Those that would say the same in every row are left out. */
export function jobColumns(jobs: readonly Job[], style: Style, now: number): Column<Job>[] {
  const queues = jobs.some(({ queue }) => queue !== 'default');
  const priorities = jobs.some(({ priority }) => priority !== 0);
  return [
    { title: 'ID', text: (job) => job.id },
    {
      title: 'STATE',
      text: (job) => job.state,
      paint: (text, job) => style.state(job.state, text),
    },
    ...(queues ? [queueColumn] : []),
    ...(priorities ? [priorityColumn] : []),
    attemptsColumn,
    { title: 'WHEN', text: (job) => moment(job, now), dispensable: 4 },
    { title: 'COMMAND', text: (job) => job.command, stretch: true },
  ];
}

/** Columns of `dlq list`: why, before what. */
export function deadColumns(jobs: readonly Job[], style: Style, now: number): Column<Job>[] {
  const queues = jobs.some(({ queue }) => queue !== 'default');
  return [
    { title: 'ID', text: (job) => job.id },
    ...(queues ? [queueColumn] : []),
    attemptsColumn,
    { title: 'DIED', text: (job) => relative(job.updatedAt, now), dispensable: 2 },
    {
      title: 'LAST ERROR',
      text: (job) => (job.last === null ? '' : outcomeText(job.last)),
      paint: (text) => style.bad(text),
      most: 40,
    },
    { title: 'COMMAND', text: (job) => job.command, stretch: true },
  ];
}

const queueColumn: Column<Job> = { title: 'QUEUE', text: (job) => job.queue, dispensable: 3 };

const priorityColumn: Column<Job> = {
  title: 'PRIORITY',
  text: (job) => String(job.priority),
  right: true,
  dispensable: 1,
};

const attemptsColumn: Column<Job> = {
  title: 'ATTEMPTS',
  text: (job) => `${job.attempts}/${job.maxRetries + 1}`,
  right: true,
  dispensable: 1,
};

/** The moment that matters in its state: `retry in 2s`, `running 12s`, `3s ago`. */
export function moment(job: Job, now: number): string {
  switch (job.state) {
    case 'blocked':
    case 'pending':
      if (job.runAt !== null && job.runAt > now) return `due ${relative(job.runAt, now)}`;
      return `waiting ${age(now - (job.runAt ?? job.createdAt))}`;
    case 'processing':
      if (job.last === null) return '';
      return job.cancelRequested ? 'stopping' : `running ${runTime(job.last, now)}`;
    case 'failed':
      if (job.runAt === null || job.runAt <= now) return 'retry due';
      return `retry ${relative(job.runAt, now)}`;
    case 'completed':
    case 'dead':
    case 'cancelled':
      return relative(job.updatedAt, now);
  }
}
