// `worker stop`: asks through the database, so that it reaches workers of any terminal and
// those whose supervisor is gone, and waits until they have all ended and what they ran
// is recorded (guarantee 8).

import { resolveSettings } from '../config.ts';
import type { Env } from '../env.ts';
import { QueuectlError } from '../errors.ts';
import { signalProcess } from '../platform/processes.ts';
import { isSupervisorGone, isWorkerGone } from '../presence.ts';
import type { Queue } from '../queue.ts';
import type { Store, SupervisorRecord, WorkerRecord } from '../store/store.ts';
import type { Reaper } from './reaper.ts';

/** Past kill_after, `--now` waits this much longer before it kills a worker that hangs. */
const HUNG_MS = 10_000;

/** A worker that runs nothing and has not stopped after this long is worth a word. */
const SLOW_MS = 1000;

export interface StopOptions {
  /** Ms until attempts are ended and their jobs given back; null: as long as they take. */
  readonly grace: number | null;
  readonly now: boolean;
  /**
   * Called with what is waited for, whenever that changes: ids of jobs, or where none runs
   * any more the names of workers.
   */
  readonly onWaiting: (waitedFor: readonly string[]) => void;
  /** Recovers what dies meanwhile: nobody else may be left to do it. */
  readonly reaper?: Reaper;
  readonly signal?: AbortSignal;
}

interface Left {
  readonly workers: readonly WorkerRecord[];
  readonly supervisors: readonly SupervisorRecord[];
}

/**
 * Answers how many workers there were to stop. Rejects with `unavailable` if not all that
 * they ran could be recorded.
 */
export async function stopWorkers(queue: Queue, env: Env, options: StopOptions): Promise<number> {
  const closing = new AbortController();
  const reaping = options.reaper?.run(closing.signal);
  try {
    await options.reaper?.look();
    const living = onlyLiving(queue.store, env, await recorded(queue));
    if (living.workers.length === 0 && living.supervisors.length === 0) return 0;
    await stopLiving(queue, env, options, living);
    const { workers } = onlyAsked(await recorded(queue));
    const orphaned = workers.filter((worker) => worker.jobs.length > 0);
    if (orphaned.length > 0) throw notRecorded(orphaned);
    return living.workers.length;
  } finally {
    closing.abort();
    await reaping;
  }
}

async function stopLiving(
  queue: Queue,
  env: Env,
  options: StopOptions,
  living: Left,
): Promise<void> {
  const { killAfter } = resolveSettings(await queue.store.settings());
  try {
    await queue.store.requestStop({
      workers: null,
      supervisors: null,
      mode: options.now ? 'now' : 'graceful',
      stopBy: options.grace === null ? null : Math.round(env.boot() + options.grace),
    });
  } catch (error) {
    throw notAsked(error, living);
  }
  const bound = options.now ? 0 : options.grace;
  const left = await waitForEnd(
    queue,
    env,
    options,
    bound === null ? null : bound + killAfter + HUNG_MS,
  );
  const hung = onlyLiving(queue.store, env, left);
  // Stopped, or stuck for good: what they ran is recovered as a dead worker's is.
  for (const { identity } of [...hung.supervisors, ...hung.workers]) {
    signalProcess(identity, 'SIGKILL');
  }
  if (hung.workers.length > 0 || hung.supervisors.length > 0) {
    await waitForEnd(queue, env, options, killAfter + HUNG_MS);
  }
}

/** Until all asked have ended, and who died is recovered if there is somebody to do it. */
async function waitForEnd(
  queue: Queue,
  env: Env,
  { onWaiting, signal, reaper }: StopOptions,
  timeout: number | null,
): Promise<Left> {
  let shown = '';
  const begun = env.boot();
  return await queue.until(
    async () => {
      const left = onlyAsked(await recorded(queue));
      const living = onlyLiving(queue.store, env, left);
      return reaper === undefined ? living : { ...living, workers: left.workers };
    },
    ({ workers, supervisors }) => {
      const jobs = workers.flatMap((worker) => worker.jobs);
      // One that runs nothing stops within milliseconds; where it does not, it is named.
      const late = env.boot() - begun > SLOW_MS;
      const names = workers.map((worker) => worker.name);
      const waitedFor = jobs.length > 0 || !late ? jobs : names;
      if (waitedFor.length > 0 && waitedFor.join() !== shown) {
        shown = waitedFor.join();
        onWaiting(waitedFor);
      }
      return workers.length === 0 && supervisors.length === 0;
    },
    { timeout, ...(signal === undefined ? {} : { signal }) },
  );
}

/** All whose record has not ended, the dead included. */
async function recorded({ store }: Queue): Promise<Left> {
  return { workers: await store.workers(), supervisors: await store.supervisors() };
}

/** Without those that were started after the request: they are to go on. */
function onlyAsked({ workers, supervisors }: Left): Left {
  return {
    workers: workers.filter(({ stop }) => stop !== null),
    supervisors: supervisors.filter(({ stop }) => stop !== null),
  };
}

function onlyLiving(store: Store, env: Env, { workers, supervisors }: Left): Left {
  const living = workers.filter((worker) => !isWorkerGone(store, env, worker));
  return {
    workers: living,
    supervisors: supervisors.filter((one) => !isSupervisorGone(store, env, one, living)),
  };
}

/** A disk that takes no writes takes no request either; signals need none. */
function notAsked(error: unknown, { workers, supervisors }: Left): unknown {
  if (!(error instanceof QueuectlError) || error.code === 'damaged') return error;
  const keys = new Set(supervisors.map(({ key }) => key));
  const orphans = workers.filter(({ supervisor }) => supervisor === null || !keys.has(supervisor));
  const pids = [...supervisors, ...orphans].map(({ identity }) => identity.pid);
  return new QueuectlError(error.code, `the workers could not be asked to stop: ${error.message}`, {
    hint: `try again when it can be written; until then kill -TERM ${pids.join(' ')} stops them too`,
    cause: error,
  });
}

function notRecorded(orphaned: readonly WorkerRecord[]): QueuectlError {
  const names = orphaned.map((worker) => worker.name).join(', ');
  return new QueuectlError(
    'unavailable',
    `what ${names} ran is not recorded: not stopped cleanly`,
    {
      hint: 'the next worker start ends what is left of it, and its jobs run again',
    },
  );
}
