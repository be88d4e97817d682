// One job with its attempts, as JSON or for people: `show` and `dlq show`.

import type { Job } from '../job.ts';
import type { Queue } from '../queue.ts';
import type { Io } from './io.ts';
import { attemptJson, jobJson } from './json.ts';

export async function showJob(job: Job, queue: Queue, io: Io): Promise<void> {
  const history = await queue.history(job);
  if (io.json) {
    io.printJson({ ...jobJson(job), history: history.map(attemptJson) });
    return;
  }
  const { printJob } = await import('./job-details.ts');
  await printJob(job, history, io);
}
