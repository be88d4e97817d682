// Filters on jobs, the same flags in every command that lists or acts on many.

import { invalid } from '../invalid.ts';
import { parseInstant } from '../instant.ts';
import type { State } from '../job.ts';
import { type Filter, NO_FILTER } from '../store/store.ts';
import type { Flags, Values } from './command.ts';
import type { Io } from './io.ts';
import { splitTags } from './tags.ts';

export const FILTER_FLAGS = {
  queue: { type: 'text', value: 'Q', help: 'only jobs of this queue' },
  tag: { type: 'list', value: 'K=V', help: 'only jobs with this label' },
  search: { type: 'text', value: 'TEXT', help: 'only jobs with this text in id or command' },
  since: {
    type: 'text',
    value: 'TIME',
    help: 'only jobs enqueued then or later: 2h (ago), 2030-12-01, 2030-12-01T09:00',
  },
  until: { type: 'text', value: 'TIME', help: 'only jobs enqueued before then' },
} as const satisfies Flags;

/** What the flags ask, among jobs in `states`. */
export function filterOf(
  flags: Values<typeof FILTER_FLAGS>,
  states: readonly State[],
  io: Io,
): Filter {
  return {
    ...NO_FILTER,
    states,
    queue: flags.queue ?? null,
    tags: splitTags(flags.tag),
    search: searchOf(flags.search),
    since: pastInstant('--since', flags.since, io.now()),
    until: pastInstant('--until', flags.until, io.now()),
  };
}

/** Empty it would match everything: `--search "$UNSET" --yes` is an accident. */
function searchOf(text: string | undefined): string | null {
  if (text === '') throw invalid('--search must be a text that is not empty');
  return text ?? null;
}

/** Whether it asks for anything but states. */
export function isNarrowed(filter: Filter): boolean {
  const { states: _, tags, ...others } = filter;
  return tags.length > 0 || Object.values(others).some((value) => value !== null);
}

/** An instant, or a duration that lies behind us; null where the flag was not given. */
export function pastInstant(flag: string, text: string | undefined, now: number): number | null {
  return text === undefined
    ? null
    : parseInstant(text, { now, local: true, durations: 'ago' }, flag);
}
