// Dead jobs back to `pending`, by id: `retry ID…` and `dlq retry ID…`.

import { EXIT_CODE_OF } from '../errors.ts';
import type { Queue } from '../queue.ts';
import type { RetryAnswer } from '../store/store.ts';
import type { Io } from './io.ts';
import { hintUnserved } from './serving.ts';
import { visible } from './text.ts';

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
      const job = await queue.get(id);
      io.warn(`job ${shown} is ${job.state}, not dead`);
    }
  }
  await hintUnserved(queue, queues, io);
  const failed = results.find(({ result }) => result !== 'retried');
  return failed === undefined ? 0 : EXIT_CODES[failed.result];
}
