// One job with its attempts, as JSON or for people: `show` and `dlq show`.

import { isTerminal } from '../job.ts';
import type { Story } from '../store/store.ts';
import type { Io } from './io.ts';
import { attemptJson, jobJson } from './json.ts';
import type { Opened } from './open.ts';

export async function showJob(
  { job, history }: Story,
  { queue, location }: Opened,
  io: Io,
): Promise<void> {
  if (io.json) {
    io.printJson({ ...jobJson(job), history: history.map(attemptJson) });
    return;
  }
  const { printJob } = await import('./job-details.ts');
  const { lastWords } = await import('./last-words.ts');
  const { unservedHint } = await import('./serving.ts');
  const { refusedBytes } = await import('../worker/log-reader.ts');
  const workers = isTerminal(job.state) ? [] : await queue.workers();
  const waits = job.state === 'pending' || job.state === 'failed';
  const unserved = waits ? unservedHint(workers, [job.queue]) : null;
  const runs = workers.some(({ name, jobs }) => name === job.last?.worker && jobs.includes(job.id));
  const orphaned = job.state === 'processing' && !runs;
  // Between the two looks it may have ended: then nobody has left it.
  const left = orphaned && (await queue.get(job.id)).last?.runToken === job.last?.runToken;
  const { last } = job;
  const ended = last !== null && last.finishedAt !== null && last.logBytes !== null;
  const refused = ended ? refusedBytes(location.jobLogs, job.key, last.number, last.logBytes) : 0;
  const output = lastWords(location, job);
  await printJob({ job, history, refused, unserved, orphaned: left, output }, io);
}
