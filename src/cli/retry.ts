// Dead jobs back to `pending`: `retry` and `dlq retry`, by id and by filter.

import { EXIT_CODE_OF } from '../errors.ts';
import type { State } from '../job.ts';
import type { Queue } from '../queue.ts';
import type { Filter, RetryAnswer } from '../store/store.ts';
import { isNarrowed } from './filter.ts';
import type { Io } from './io.ts';
import { hintUnserved } from './serving.ts';
import { count, visible } from './text.ts';

const EXIT_CODES: Readonly<Record<RetryAnswer, number>> = {
  retried: 0,
  wrong_state: EXIT_CODE_OF.wrong_state,
  not_found: EXIT_CODE_OF.not_found,
};

/** Answers the exit code: that of the first that could not be retried, in the order asked. */
export async function retryIds(ids: readonly string[], queue: Queue, io: Io): Promise<number> {
  const answers = await queue.retry(ids);
  const results = ids.map((id, i) => ({ id, result: answers[i] ?? ('not_found' as const) }));
  if (io.json) io.printJson(results);
  const queues: string[] = [];
  for (const { id, result } of results) {
    const shown = visible(id);
    if (result === 'retried') {
      if (!io.json && !io.quiet) io.print(`Retrying ${shown} (pending)`);
      queues.push((await queue.get(id)).queue);
    } else if (result === 'not_found') {
      io.warn(`no job "${shown}"`);
    } else {
      await refuse(id, queue, io);
    }
  }
  await hintUnserved(queue, queues, io);
  const failed = results.find(({ result }) => result !== 'retried');
  return failed === undefined ? 0 : EXIT_CODES[failed.result];
}

const INSTEAD: Record<State, (id: string) => string | null> = {
  pending: () => 'it waits for a worker already',
  blocked: () => 'it waits for other jobs',
  processing: (id) => `to start it over: queuectl cancel ${id}, then enqueue it again`,
  failed: (id) => `it is retried by itself; at once with: queuectl edit ${id} --delay 0`,
  completed: (id) => `to run it again, enqueue it again; its command: queuectl show ${id}`,
  cancelled: (id) => `to run it again, enqueue it again; its command: queuectl show ${id}`,
  dead: () => null,
};

/** Why not, and what to do instead. */
async function refuse(id: string, queue: Queue, io: Io): Promise<void> {
  const { state } = await queue.get(id);
  const shown = visible(id);
  // It may have died since.
  io.warn(`job ${shown} ${state === 'dead' ? 'was' : `is ${state},`} not dead`);
  const hint = INSTEAD[state](shown);
  if (hint !== null) io.note(`hint: ${hint}`);
}

/** Says how many of those that matched are retried. */
export async function tellRetried(
  retried: number,
  filter: Filter,
  queue: Queue,
  io: Io,
): Promise<void> {
  if (io.json) io.printJson({ retried });
  else if (!io.quiet) io.print(retriedText(retried, isNarrowed(filter)));
  if (retried === 0) return;
  const { counts } = await queue.stats();
  const waiting = counts.filter(({ state }) => state === 'pending').map((row) => row.queue);
  await hintUnserved(queue, waiting, io);
}

function retriedText(retried: number, narrowed: boolean): string {
  if (retried > 0) return `Retrying ${count(retried, 'job')}`;
  return narrowed ? 'No dead job matches.' : 'No dead jobs: nothing to retry.';
}
