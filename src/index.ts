// The library: a queue for TypeScript programs, the same one that the command line uses.
// Re-exports only. Commands run in workers started with `queuectl worker start`.

export type { Env } from './env.ts';
export { systemEnv } from './env.ts';
export type { ErrorCode } from './errors.ts';
export { QueuectlError } from './errors.ts';
export type { Attempt, CommandSpec, Job, NewJob, Outcome, State } from './job.ts';
export { STATES, TERMINAL_STATES } from './job.ts';
export type { Location, LocationInput } from './location.ts';
export { resolveLocation } from './location.ts';
export type { BulkOptions, WaitOptions } from './queue.ts';
export { Queue } from './queue.ts';
export type { JobContext } from './spec.ts';
export { parseJob } from './spec.ts';
export { openStore } from './store/open.ts';
export type {
  CancelAnswer,
  Changes,
  DeleteAnswer,
  EditAnswer,
  EnqueueOptions,
  Enqueued,
  Filter,
  ListQuery,
  Page,
  RetryAnswer,
  Stats,
  Story,
  WorkerRecord,
} from './store/store.ts';
export { NO_FILTER } from './store/store.ts';
