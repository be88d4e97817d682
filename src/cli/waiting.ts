// What `wait`, `enqueue --wait` and `run` share: their exit codes are those of `docker run`
// and `env` (cli.md), so a failure of our own is 125, with its reason on stderr.

import { formatDuration } from '../duration.ts';
import { type Env, pause } from '../env.ts';
import { QueuectlError } from '../errors.ts';
import { grouped } from '../invalid.ts';
import { type Attempt, isTerminal, type Job } from '../job.ts';
import type { Queue, WaitOptions } from '../queue.ts';
import { MARKER_NAME, markerOf } from '../platform/processes.ts';
import { Interrupted, ReaderGone } from './context.ts';
import { tellFailure } from './failure.ts';
import type { Io } from './io.ts';
import { jobJson } from './json.ts';
import { exitCodeOf, OURS_FAILED, outcomeText } from './outcome.ts';
import { hintUnserved } from './serving.ts';
import { Progress } from './progress.ts';
import { count, visible } from './text.ts';

/** Runs `body`; whatever we fail at is told and is 125. */
export async function orOursFailed(io: Io, body: () => Promise<number>): Promise<number> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof Interrupted || error instanceof ReaderGone) throw error;
    tellFailure(error, io.context);
    return OURS_FAILED;
  }
}

export interface WaitForOptions extends Pick<WaitOptions, 'any' | 'timeout'> {
  /** Ctrl-C, taken before anything was said: it ends the waiting, not the jobs. */
  readonly signal: AbortSignal;
}

/**
 * Waits until they are finished and answers the exit code; prints the jobs as JSON if asked.
 * Says what goes on where it is interrupted.
 */
export async function waitFor(
  queue: Queue,
  ids: readonly string[],
  { any = false, timeout = null, signal }: WaitForOptions,
  io: Io,
): Promise<number> {
  await refuseOwn(queue, ids, any, io);
  const progress = new Progress(io);
  const onLook = (seen: readonly Job[]): void => {
    const finished = seen.filter(({ state }) => isTerminal(state)).length;
    if (finished < seen.length) {
      progress.update('Waiting', finished, seen.length, 'jobs finished');
    }
  };
  let jobs: readonly Job[];
  try {
    const shows = progress.isShown && ids.length > 1;
    jobs = await queue.wait(ids, { timeout, any, signal, ...(shows && { onLook }) });
  } catch (error) {
    progress.clear();
    if (error instanceof Interrupted) await tellLeft(queue, ids, io);
    throw error;
  }
  progress.clear();
  if (io.json) io.printJson(jobs.map(jobJson));
  return answer(jobs, any, timeout, io);
}

/** A job that waits for its own end would hold its slot for ever. */
async function refuseOwn(
  queue: Queue,
  ids: readonly string[],
  any: boolean,
  { context: { env } }: Io,
): Promise<void> {
  const own = env['QUEUECTL_JOB_ID'];
  if (own === undefined || !ids.includes(own) || (any && ids.some((id) => id !== own))) return;
  // Another queue may have a job of that name; the marker of the attempt tells them apart.
  const { last } = await queue.get(own);
  const marker = last === null ? null : markerOf(queue.store.databaseId, last.runToken);
  if (marker !== env[MARKER_NAME]) return;
  throw new QueuectlError('wrong_state', `job ${JSON.stringify(own)} would wait for its own end`, {
    hint: 'the command that asks is run by that job; wait for it from outside',
  });
}

async function tellLeft(queue: Queue, ids: readonly string[], io: Io): Promise<void> {
  const jobs = await Promise.allSettled(ids.map((id) => queue.get(id)));
  const left = jobs.flatMap((job) =>
    job.status === 'fulfilled' && !isTerminal(job.value.state) ? [job.value] : [],
  );
  const [first] = left;
  if (first === undefined) return;
  if (left.length === 1) {
    const id = visible(first.id);
    ifHeard(() => {
      io.note(`queuectl: no longer waiting; job ${id} goes on`);
      io.note(`hint: queuectl wait ${id} waits again, queuectl cancel ${id} ends it`);
    });
  } else {
    const some = `${count(left.length, 'job')} that have not finished go on`;
    ifHeard(() => io.note(`queuectl: no longer waiting; ${some}`));
  }
}

/** Says something to somebody who may have closed the terminal or left. */
export function ifHeard(say: () => void): void {
  try {
    say();
  } catch {
    // Nobody is there any more.
  }
}

/** Says so where some of these jobs wait, or ran, and no worker is there for them. */
export async function hintWaiting(queue: Queue, jobs: readonly Job[], io: Io): Promise<void> {
  const waiting = jobs.filter(isWaiting);
  await hintUnserved(
    queue,
    waiting.map((job) => job.queue),
    io,
  );
  const ran = jobs.some(({ state }) => state === 'processing');
  if (ran && waiting.length === 0 && (await queue.workers()).length === 0) {
    io.note('hint: the worker that ran it is gone; any worker takes it up: queuectl worker start');
  }
}

function isWaiting({ state }: Job): boolean {
  return state === 'pending' || state === 'failed';
}

/** `exit code 3; again in 2s`: how an attempt ended, and what comes next. `next` as in Follower. */
export function retryText(ended: Attempt, next: Job | null, now: number): string {
  const how = visible(outcomeText(ended));
  if (next === null) return `${how}; attempt ${ended.number + 1} has begun`;
  if (next.cancelRequested) return how;
  const wait = (next.runAt ?? now) - now;
  if (wait > 0) return `${how}; again in ${roughly(wait)}`;
  return `${how}; again as soon as a worker is free`;
}

/** In whole seconds, or tenths of one: the jitter of a backoff is of no interest. */
export function roughly(ms: number): string {
  const unit = ms < 950 ? 100 : 1000;
  return formatDuration(Math.max(1, Math.round(ms / unit)) * unit);
}

/** A worker that is free has claimed by then. */
const SOON_MS = 1000;

/** Says once, if a job that is due has not started by then, that all slots are taken. */
export async function tellBusy(
  queue: Queue,
  id: string,
  io: Io,
  env: Env,
  signal: AbortSignal,
): Promise<void> {
  if (!(await pause(env, SOON_MS, signal))) return;
  const job = await queue.get(id);
  if (job.state !== 'pending' || job.lastAttempt > 0 || (job.runAt ?? 0) > env.now()) return;
  const workers = (await queue.workers()).filter(
    ({ stop, queues }) => stop === null && (queues === null || queues.includes(job.queue)),
  );
  const slots = workers.reduce((sum, { concurrency }) => sum + concurrency, 0);
  const busy = workers.reduce((sum, { jobs }) => sum + jobs.length, 0);
  if (slots === 0 || busy < slots || signal.aborted) return;
  const outer = io.context.env['QUEUECTL_JOB_ID'];
  if (outer !== undefined && slots === 1) {
    const who = `job ${visible(outer)}, which waits for this one`;
    io.note(`hint: the only slot is held by ${who}; more: queuectl worker start`);
  } else {
    const all = slots === 1 ? 'the only slot is' : `all ${grouped(slots)} slots are`;
    io.note(`hint: ${all} busy: it starts when one is free; more: queuectl worker start`);
  }
}

/** Tells what did not succeed and answers the exit code. */
function answer(jobs: readonly Job[], any: boolean, timeout: number | null, io: Io): number {
  const finished = jobs.filter((job) => isTerminal(job.state));
  const judged = any && finished.length > 0 ? finished.slice(0, 1) : jobs;
  let first = 0;
  for (const job of judged) {
    const code = isTerminal(job.state) ? exitCodeOf(job) : OURS_FAILED;
    if (code === 0) continue;
    tellUnsuccessful(job, code, timeout, io);
    first ||= code;
  }
  return first;
}

/** Why a job did not succeed, or is not finished after `timeout`. */
export function tellUnsuccessful(job: Job, code: number, timeout: number | null, io: Io): void {
  const why = `job ${visible(job.id)} ${visible(reason(job, timeout))}`;
  // 125 is never the job's own: its reason is told whatever was asked.
  if (code === OURS_FAILED) io.warn(why);
  else io.note(`queuectl: ${why}`);
}

function reason(job: Job, timeout: number | null): string {
  if (!isTerminal(job.state)) {
    return `is ${job.state} after ${formatDuration(timeout ?? 0)} of waiting`;
  }
  if (job.state === 'cancelled' || job.last === null) return `is ${job.state}`;
  return `is ${job.state}: ${outcomeText(job.last)}`;
}
