// `--queue Q` of the config commands: a value that holds for one queue.

import { isName, NAME_EXPECTED } from '../spec.ts';
import { mustBe } from '../invalid.ts';
import { visible } from './text.ts';

export const QUEUE_FLAG = {
  type: 'text',
  value: 'Q',
  help: 'the value for this queue alone (of retention settings)',
} as const;

/** Null: for all queues. Throws `invalid` for what is no name of a queue. */
export function queueOf(flag: string | undefined): string | null {
  if (flag === undefined) return null;
  if (!isName(flag)) throw mustBe('--queue', NAME_EXPECTED, flag);
  return flag;
}

/** How a setting is called in what people read. */
export function labelOf(name: string, queue: string | null): string {
  return queue === null ? name : `${name} of ${visible(queue)}`;
}
