// Jobs named by ids or by a filter, for commands that act on them. Invariant: a filter acts
// on the jobs that were there when it began, asks first, and never means "all" by itself.

import { QueuectlError } from '../errors.ts';
import type { Job, State } from '../job.ts';
import type { Queue } from '../queue.ts';
import { ask, mustBeAsked } from './ask.ts';
import type { Flags, Values } from './command.ts';
import type { Io } from './io.ts';
import { splitTags } from './tags.ts';
import { count, visible } from './text.ts';

export const FILTER_FLAGS = {
  queue: { type: 'text', value: 'Q', help: 'instead of ids: jobs of this queue' },
  tag: { type: 'list', value: 'K=V', help: 'instead of ids: jobs with this label' },
  'dry-run': { type: 'boolean', help: 'only say what would be done' },
  yes: { type: 'boolean', help: 'do not ask' },
} as const satisfies Flags;

export interface Filter {
  readonly states: readonly State[];
  readonly queue: string | null;
  readonly tags: readonly (readonly [string, string])[];
}

/** Null where ids are given. Throws `usage` for neither and for both. */
export function filterOf(
  name: string,
  ids: readonly string[],
  flags: Pick<Values<typeof FILTER_FLAGS>, 'queue' | 'tag'>,
  asked: readonly State[],
  states: readonly State[],
): Filter | null {
  const filtered = flags.queue !== undefined || flags.tag.length > 0 || asked.length > 0;
  const hint = { hint: `queuectl help ${name}` };
  if (ids.length > 0 && filtered) {
    throw new QueuectlError('usage', 'ids and filters exclude each other', hint);
  }
  if (ids.length > 0) return null;
  if (!filtered) throw new QueuectlError('usage', `${name} needs an ID, or a filter`, hint);
  return {
    states: asked.length > 0 ? asked : states,
    queue: flags.queue ?? null,
    tags: splitTags(flags.tag),
  };
}

const PAGE = 1000;

/** The ids that match, page by page, oldest first, and none that came later. */
async function* matching(queue: Queue, filter: Filter): AsyncGenerator<string[]> {
  const query = { ...filter, search: null, limit: PAGE };
  const newest = await queue.list({ ...query, sort: 'newest', limit: 1, cursor: null });
  const last = newest.jobs[0]?.key ?? 0;
  let cursor: string | null = null;
  for (;;) {
    const page: { jobs: Job[]; more: boolean } = await queue.list({
      ...query,
      sort: 'oldest',
      cursor,
    });
    const jobs = page.jobs.filter(({ key }) => key <= last);
    if (jobs.length > 0) yield jobs.map(({ id }) => id);
    cursor = page.jobs.at(-1)?.id ?? null;
    if (!page.more || jobs.length < page.jobs.length || cursor === null) return;
  }
}

/** Ids that a dry run names; it counts them all. */
const NAMED = 20;

/**
 * Acts on what the filter matches, unless it is only a rehearsal or the answer is no; tells
 * whether it did. `verb` completes "Would … 3 jobs" and "… 3 jobs?".
 */
export async function actOnMatching(
  queue: Queue,
  filter: Filter,
  { verb, flags, io }: { verb: string; flags: Values<typeof FILTER_FLAGS>; io: Io },
  act: (ids: readonly string[]) => Promise<void>,
): Promise<boolean> {
  if (flags['dry-run']) {
    await rehearse(queue, filter, verb, io);
    return false;
  }
  if (!flags.yes) {
    mustBeAsked(io, `${verb} by filter`);
    let n = 0;
    for await (const ids of matching(queue, filter)) n += ids.length;
    if (!(await ask(io, `${verb[0]?.toUpperCase() ?? ''}${verb.slice(1)} ${count(n, 'job')}?`))) {
      io.note('Nothing was done.');
      return false;
    }
  }
  for await (const ids of matching(queue, filter)) await act(ids);
  return true;
}

async function rehearse(queue: Queue, filter: Filter, verb: string, io: Io): Promise<void> {
  const ids: string[] = [];
  let n = 0;
  for await (const page of matching(queue, filter)) {
    n += page.length;
    ids.push(...(io.json ? page : page.slice(0, NAMED - ids.length)));
  }
  if (io.json) {
    io.printJson({ dry_run: true, ids });
    return;
  }
  io.print(`Would ${verb} ${count(n, 'job')}`);
  for (const id of ids) io.print(`  ${visible(id)}`);
  if (n > ids.length) io.print(`  and ${count(n - ids.length, 'more job')}`);
}
