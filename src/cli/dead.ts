// Filters on the dead letter queue, for `dlq retry --all` and `dlq purge`.

import type { Flags, Values } from './command.ts';
import type { Io } from './io.ts';
import { durationFlag } from './numbers.ts';

export const DEAD_FLAGS = {
  queue: { type: 'text', value: 'Q', help: 'only jobs of this queue' },
  'older-than': {
    type: 'text',
    value: 'DURATION',
    help: 'only jobs that died longer ago: 12h, 30d',
  },
} as const satisfies Flags;

export interface DeadFilter {
  readonly queue: string | null;
  readonly before: number | null;
}

export function deadFilter(flags: Values<typeof DEAD_FLAGS>, io: Io): DeadFilter {
  const age = durationFlag('--older-than', flags['older-than']);
  return { queue: flags.queue ?? null, before: age === null ? null : io.now() - age };
}
