// Jobs named by ids or by a filter, for commands that act on them. Invariant: a filter acts
// on the jobs that were there when it began, asks first, and never means "all" by itself.

import { QueuectlError } from '../errors.ts';
import type { State } from '../job.ts';
import type { Queue, Selection } from '../queue.ts';
import type { Filter } from '../store/store.ts';
import { ask, mustBeAsked } from './ask.ts';
import type { Flags, Values } from './command.ts';
import { FILTER_FLAGS, filterOf, isNarrowed } from './filter.ts';
import { type Bulk, inBatches } from './in-batches.ts';
import type { Io } from './io.ts';
import { count, visible } from './text.ts';

/** With a flag `state` of the command's own, which says what it applies to. */
export const SELECTION_FLAGS = {
  ...FILTER_FLAGS,
  'dry-run': { type: 'boolean', help: 'only say what would be done' },
  yes: { type: 'boolean', help: 'do not ask' },
} as const satisfies Flags;

type SelectionValues = Values<typeof SELECTION_FLAGS>;

export interface Verb {
  /** Its command, and what completes "Would … 3 jobs" and "… 3 jobs?". */
  readonly name: string;
  /** "Cancelling", for the progress of many. */
  readonly doing: string;
  /** What goes along, in the question: " and their logs". */
  readonly along?: string;
  /** States it applies to. */
  readonly states: readonly State[];
}

/** Null where ids are given. Throws `usage` for neither and for both. */
export function selectionOf(
  verb: Verb,
  ids: readonly string[],
  flags: SelectionValues & { readonly state: readonly string[] },
  io: Io,
): Filter | null {
  // Checked against the choices when they were parsed.
  const asked = flags.state as readonly State[];
  const filter = filterOf(flags, asked.length > 0 ? asked : verb.states, io);
  const filtered = isNarrowed(filter) || asked.length > 0;
  const hint = { hint: `queuectl help ${verb.name}` };
  if (ids.length > 0 && filtered) {
    throw new QueuectlError('usage', 'ids and filters exclude each other', hint);
  }
  if (ids.length > 0) return null;
  if (!filtered) throw new QueuectlError('usage', `${verb.name} needs an ID, or a filter`, hint);
  return filter;
}

/** Ids that a dry run names; it counts them all. */
const NAMED = 20;
/** Jobs read at a time, where all are named. */
const PAGE = 1000;

export interface Act<T> extends Pick<Bulk<T>, 'act' | 'tell'> {
  /** What JSON answers where nobody wanted it done. */
  readonly nothing: T;
}

/**
 * Acts on what the filter matches, unless it is only a rehearsal or the answer is no.
 * Resolves with the exit code.
 */
export async function actOnMatching<T>(
  queue: Queue,
  filter: Filter,
  { verb, flags, io }: { verb: Verb; flags: SelectionValues; io: Io },
  { act, tell, nothing }: Act<T>,
): Promise<number> {
  if (flags['dry-run']) {
    await rehearse(queue, filter, verb, io);
    return 0;
  }
  let only: Selection | null = null;
  if (!flags.yes) {
    mustBeAsked(io, `${verb.name} by filter`);
    only = await queue.select(filter);
    const total = only.keys.length;
    const name = `${verb.name[0]?.toUpperCase() ?? ''}${verb.name.slice(1)}`;
    const question = `${name} ${count(total, 'job')}${verb.along ?? ''}?`;
    if (total === 0 || !(await ask(io, question))) {
      io.note(total === 0 ? NO_MATCH : 'Nothing was done.');
      if (io.json) await tell(nothing);
      return 0;
    }
  }
  await inBatches({ doing: verb.doing, only, act, tell }, io);
  return 0;
}

export const NO_MATCH = 'No job matches.';

async function rehearse(queue: Queue, filter: Filter, verb: Verb, io: Io): Promise<void> {
  const first = { ...filter, sort: 'oldest', limit: io.json ? PAGE : NAMED, cursor: null } as const;
  let page = await queue.list(first);
  const ids = page.jobs.map(({ id }) => id);
  if (io.json) {
    while (page.more) {
      page = await queue.list({ ...first, cursor: page.jobs.at(-1) ?? null });
      for (const { id } of page.jobs) ids.push(id);
    }
    io.printJson({ dry_run: true, ids });
    return;
  }
  const n = (await queue.select(filter)).keys.length;
  io.print(n === 0 ? NO_MATCH : `Would ${verb.name} ${count(n, 'job')}`);
  for (const id of ids) io.print(`  ${visible(id)}`);
  if (n > ids.length) io.print(`  and ${count(n - ids.length, 'more job')}`);
}
