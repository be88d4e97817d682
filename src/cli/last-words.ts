// The end of what an attempt printed, for `show`: most often it says why it failed.

import type { Job } from '../job.ts';
import type { Location } from '../location.ts';
import { createLogStore } from '../worker/output.ts';
import { lastLines } from './log-tail.ts';

/** Enough for an error message and what led to it; `logs` has the rest. */
const LINES = 5;
/** Of one line, so that a progress bar without line ends does not fill the screen. */
const CHARACTERS = 500;

/** The last lines of the newest attempt, not yet escaped; none where it printed nothing. */
export function lastWords(location: Location, { key, last }: Job): string[] {
  if (last === null) return [];
  const chunks = lastLines(createLogStore(location.jobLogs).read(key, last.number), LINES);
  const parts = chunks.flatMap((chunk) => (chunk.kind === 'output' ? [chunk.bytes] : []));
  const text = new TextDecoder().decode(Buffer.concat(parts));
  const lines = text.replace(/\n$/, '').split('\n');
  // What a carriage return has overwritten was not to be read either.
  return lines
    .map((line) => line.replace(/\r$/, '').split('\r').at(-1) ?? '')
    .map((line) => line.slice(-CHARACTERS))
    .filter((line, index, all) => line !== '' || index < all.length - 1);
}
