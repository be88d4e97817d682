// Every command by its words. A command's own file is loaded only when it is called, so
// that each pays for itself alone; this table is all that `queuectl help` needs.

import type { Command } from './command.ts';

export interface Entry {
  /** The line in the list of commands. */
  readonly summary: string;
  /** Heading it is listed under; null hides it. */
  readonly group: Group | null;
  readonly load: () => Promise<Command>;
}

export const GROUPS = [
  'Jobs',
  'Dead letter queue',
  'Workers',
  'Keeping house',
  'Settings and help',
] as const;
export type Group = (typeof GROUPS)[number];

const entry = (
  group: Group | null,
  summary: string,
  load: () => Promise<{ readonly command: Command }>,
): Entry => ({ group, summary, load: async () => (await load()).command });

/** By the words typed, joined by one space. A Map: `constructor` is no command. */
export const COMMANDS: ReadonlyMap<string, Entry> = new Map([
  ['enqueue', entry('Jobs', 'add jobs to the queue', () => import('./commands/enqueue.ts'))],
  ['run', entry('Jobs', 'run a command as a job and follow it', () => import('./commands/run.ts'))],
  ['list', entry('Jobs', 'jobs, newest first', () => import('./commands/list.ts'))],
  ['show', entry('Jobs', 'one job with all its attempts', () => import('./commands/show.ts'))],
  ['logs', entry('Jobs', 'what a job printed', () => import('./commands/logs.ts'))],
  ['wait', entry('Jobs', 'wait until jobs are finished', () => import('./commands/wait.ts'))],
  ['cancel', entry('Jobs', 'cancel jobs', () => import('./commands/cancel.ts'))],
  ['retry', entry('Jobs', 'run dead jobs again', () => import('./commands/retry.ts'))],
  ['edit', entry('Jobs', 'change jobs that wait', () => import('./commands/edit.ts'))],
  ['delete', entry('Jobs', 'delete jobs and their logs', () => import('./commands/delete.ts'))],
  ['status', entry('Jobs', 'counts, workers and throughput', () => import('./commands/status.ts'))],
  [
    'dlq list',
    entry('Dead letter queue', 'jobs that failed for good', () => import('./commands/dlq-list.ts')),
  ],
  ['dlq show', entry('Dead letter queue', 'one dead job', () => import('./commands/dlq-show.ts'))],
  [
    'dlq retry',
    entry('Dead letter queue', 'run dead jobs again', () => import('./commands/dlq-retry.ts')),
  ],
  [
    'dlq purge',
    entry('Dead letter queue', 'delete dead jobs', () => import('./commands/dlq-purge.ts')),
  ],
  [
    'worker start',
    entry('Workers', 'start workers in the background', () => import('./commands/worker-start.ts')),
  ],
  [
    'worker stop',
    entry('Workers', 'let workers finish and stop', () => import('./commands/worker-stop.ts')),
  ],
  [
    'worker list',
    entry('Workers', 'who is alive and running what', () => import('./commands/worker-list.ts')),
  ],
  ['backup', entry('Keeping house', 'copy the database', () => import('./commands/backup.ts'))],
  [
    'doctor',
    entry('Keeping house', 'look for what is wrong', () => import('./commands/doctor.ts')),
  ],
  [
    'prune',
    entry('Keeping house', 'delete old finished jobs', () => import('./commands/prune.ts')),
  ],
  [
    'service install',
    entry('Keeping house', 'start workers at boot', () => import('./commands/service-install.ts')),
  ],
  [
    'service uninstall',
    entry('Keeping house', 'no longer do so', () => import('./commands/service-uninstall.ts')),
  ],
  [
    'service status',
    entry('Keeping house', 'whether it does', () => import('./commands/service-status.ts')),
  ],
  [
    'config list',
    entry('Settings and help', 'all settings', () => import('./commands/config-list.ts')),
  ],
  [
    'config get',
    entry('Settings and help', 'the value of a setting', () => import('./commands/config-get.ts')),
  ],
  [
    'config set',
    entry('Settings and help', 'change a setting', () => import('./commands/config-set.ts')),
  ],
  [
    'config unset',
    entry('Settings and help', 'back to the default', () => import('./commands/config-unset.ts')),
  ],
  [
    'completion',
    entry(
      'Settings and help',
      'completion for your shell',
      () => import('./commands/completion.ts'),
    ),
  ],
  ['help', entry('Settings and help', 'help on a command', () => import('./commands/help.ts'))],
  // What the scripts of `completion` ask; not for people.
  ['__complete', entry(null, '', () => import('./commands/internal-complete.ts'))],
  // What `worker start` starts; not for people.
  ['__supervisor', entry(null, '', () => import('./commands/internal-supervisor.ts'))],
  ['__worker', entry(null, '', () => import('./commands/internal-worker.ts'))],
]);

/** First words of commands of two words. */
export const FAMILIES: ReadonlySet<string> = families();

/** A loop: the first filter and spread of a process would cost every command 0.2 ms. */
function families(): Set<string> {
  const found = new Set<string>();
  for (const name of COMMANDS.keys()) {
    const space = name.indexOf(' ');
    if (space > 0) found.add(name.slice(0, space));
  }
  return found;
}

export function membersOf(family: string): string[] {
  const prefix = `${family} `;
  return [...COMMANDS.keys()]
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
}

/** What other tools call it: only ever suggested, never accepted. */
export const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['add', 'enqueue'],
  ['submit', 'enqueue'],
  ['push', 'enqueue'],
  ['queue', 'enqueue'],
  ['ls', 'list'],
  ['ps', 'list'],
  ['jobs', 'list'],
  ['inspect', 'show'],
  ['get', 'show'],
  ['log', 'logs'],
  ['tail', 'logs -f'],
  ['follow', 'logs -f'],
  ['kill', 'cancel'],
  ['stop', 'worker stop'],
  ['start', 'worker start'],
  ['workers', 'worker list'],
  ['dead', 'dlq list'],
  ['restart', 'retry'],
  ['set', 'config set'],
  ['rm', 'delete'],
  ['remove', 'delete'],
  ['purge', 'dlq purge'],
  ['clean', 'prune'],
  ['gc', 'prune'],
  ['update', 'edit'],
]);
