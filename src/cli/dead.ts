// Filters on the dead letter queue, for `dlq retry --all` and `dlq purge`.

import type { Filter } from '../store/store.ts';
import type { Flags, Values } from './command.ts';
import { FILTER_FLAGS, filterOf } from './filter.ts';
import type { Io } from './io.ts';
import { durationFlag } from './numbers.ts';

export const DEAD_FLAGS = {
  ...FILTER_FLAGS,
  'older-than': {
    type: 'text',
    value: 'DURATION',
    help: 'only jobs that died longer ago: 12h, 30d',
  },
} as const satisfies Flags;

export function deadFilter(flags: Values<typeof DEAD_FLAGS>, io: Io): Filter {
  const age = durationFlag('--older-than', flags['older-than']);
  const unchangedSince = age === null ? null : io.now() - age;
  return { ...filterOf(flags, ['dead'], io), unchangedSince };
}
