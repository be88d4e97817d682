// One job with its attempts, as JSON or for people: `show` and `dlq show`.

import type { Job } from '../job.ts';
import type { Queue } from '../queue.ts';
import type { Io } from './io.ts';
import { attemptJson, jobJson } from './json.ts';
import { locationOf } from './open.ts';

export async function showJob(job: Job, queue: Queue, io: Io): Promise<void> {
  const history = await queue.history(job);
  if (io.json) {
    io.printJson({ ...jobJson(job), history: history.map(attemptJson) });
    return;
  }
  const { printJob } = await import('./job-details.ts');
  const { refusedBytes } = await import('../worker/log-reader.ts');
  const { last } = job;
  const ended = last !== null && last.finishedAt !== null && last.logBytes !== null;
  const refused = ended
    ? refusedBytes(locationOf(io).jobLogs, job.key, last.number, last.logBytes)
    : 0;
  await printJob(job, history, refused, io);
}
