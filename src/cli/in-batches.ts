// A verb over many jobs, transaction after transaction. Invariant: what was done is told,
// whether it came to its end, was stopped by Ctrl-C or failed halfway.

import type { BulkOptions, Selection } from '../queue.ts';
import type { Io } from './io.ts';
import { Progress } from './progress.ts';
import { count } from './text.ts';

export interface Bulk<T> {
  /** "Cancelling", for the progress. */
  readonly doing: string;
  /** What somebody has agreed to; null: whatever matches. */
  readonly only: Selection | null;
  readonly act: (options: Required<BulkOptions>) => Promise<T>;
  /** Prints the answer. */
  readonly tell: (done: T) => void | Promise<void>;
}

/** Rejects with `Interrupted` after it has told, where that ended it before all was done. */
export async function inBatches<T>({ doing, only, act, tell }: Bulk<T>, io: Io): Promise<void> {
  const total = only === null ? null : only.keys.length;
  const progress = new Progress(io);
  const signal = io.context.interrupted();
  let done = 0;
  const onBatch = (keys: readonly number[]): void => {
    done += keys.length;
    progress.update(doing, done, total, 'jobs');
  };
  let stopped = false;
  const onStop = (): void => {
    stopped = true;
  };
  let result: T;
  try {
    result = await act({ onBatch, signal, onStop, only });
  } catch (error) {
    progress.clear();
    if (done > 0) io.warn(`${doing.toLowerCase()} stopped after ${count(done, 'job')}`);
    throw error;
  }
  // Before the answer: the last picture of it would stand beside that.
  progress.clear();
  await tell(result);
  if (!stopped) return;
  const others = total === null ? 'the other jobs' : `the other ${count(total - done, 'job')}`;
  io.warn(`interrupted: ${others} are as they were`);
  signal.throwIfAborted();
}
