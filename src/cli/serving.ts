// Says on stderr when jobs wait and nobody is there to run them: the most common reason
// why "nothing happens".

import type { Queue } from '../queue.ts';
import type { WorkerRecord } from '../store/store.ts';
import type { Io } from './io.ts';
import { enumerate, visible } from './text.ts';

/** One hint for all queues of these that no living worker serves. */
export async function hintUnserved(queue: Queue, queues: Iterable<string>, io: Io): Promise<void> {
  if (io.quiet) return;
  const hint = unservedHint(await queue.workers(), queues);
  if (hint !== null) io.note(`hint: ${hint}`);
}

export function unservedHint(
  workers: readonly WorkerRecord[],
  queues: Iterable<string>,
): string | null {
  const waiting = [...new Set(queues)];
  if (waiting.length === 0) return null;
  const claiming = workers.filter(({ stop }) => stop === null);
  if (claiming.length === 0) {
    return workers.length === 0
      ? 'no worker is running; start one with: queuectl worker start'
      : 'all workers are stopping; start one with: queuectl worker start';
  }
  const unserved = waiting.filter((name) => !claiming.some((worker) => serves(worker, name)));
  if (unserved.length === 0) return null;
  const names = enumerate(unserved.slice(0, 5).map((name) => visible(name)));
  const flags = unserved.slice(0, 5).map((name) => `--queue ${visible(name)}`);
  const what = unserved.length === 1 ? 'the queue' : 'the queues';
  return `no worker serves ${what} ${names}; start one with: queuectl worker start ${flags.join(' ')}`;
}

function serves(worker: WorkerRecord, queue: string): boolean {
  return worker.queues === null || worker.queues.includes(queue);
}
