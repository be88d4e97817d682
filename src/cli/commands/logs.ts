// queuectl logs ID…: what a job printed, of its newest attempt unless told otherwise.

import { systemEnv } from '../../env.ts';
import { QueuectlError } from '../../errors.ts';
import type { Job } from '../../job.ts';
import { createLogStore } from '../../worker/output.ts';
import { type Call, defineCommand, type Flags } from '../command.ts';
import { Follower, type FollowOptions, readOnce } from '../follow.ts';
import { pastInstant } from '../filter.ts';
import { createSink, JsonLog, Several } from '../log-sink.ts';
import { wholeNumber } from '../numbers.ts';
import { type Opened, withQueue } from '../open.ts';
import { visible } from '../text.ts';
import { hintWaiting, retryText } from '../waiting.ts';

const FLAGS = {
  follow: {
    type: 'boolean',
    short: 'f',
    help: 'wait for its start, go on through all attempts until it is finished',
  },
  lines: { type: 'text', short: 'n', value: 'LINES', help: 'only the last lines' },
  since: {
    type: 'text',
    value: 'TIME',
    help: 'only what came then or later: 10m (ago), 2030-12-01T09:00',
  },
  attempt: { type: 'text', value: 'N', help: 'of this attempt (default: the newest)' },
  stdout: { type: 'boolean', help: 'only what it wrote to stdout' },
  stderr: { type: 'boolean', help: 'only what it wrote to stderr' },
  raw: { type: 'boolean', help: 'on a terminal too: bytes as they are, escapes included' },
} as const satisfies Flags;

export const command = defineCommand({
  summary: 'show what a job printed',
  usage: ['logs ID… [-f] [-n LINES] [--since TIME] [--attempt N] [--stdout | --stderr] [--raw]'],
  about: [
    'Bytes as the job wrote them, both streams in order of arrival. On a terminal control\n' +
      'characters are shown escaped unless --raw. What was cut is told on stderr. Lines of\n' +
      'several jobs begin with their id.',
  ],
  flags: FLAGS,
  operands: { min: 1, max: null, name: 'ID', jobs: 'started' },
  examples: [
    ['queuectl logs nightly', 'of the newest attempt'],
    ['queuectl logs -f nightly', 'as it comes, until the job is finished'],
    ['queuectl logs -n 20 --stderr nightly', 'the last 20 lines of its errors'],
    ['queuectl logs nightly --attempt 1', 'of its first attempt'],
    ['queuectl logs -f nightly --since 5m', 'of the last five minutes, and what comes'],
  ],
  async run(call) {
    const { flags, io } = call;
    const lines = wholeNumber('--lines', flags.lines, 0);
    const attempt = wholeNumber('--attempt', flags.attempt, 1);
    const since = pastInstant('--since', flags.since, io.now());
    const ids = [...new Set(call.operands)];
    const signal = flags.follow ? io.context.interrupted() : new AbortController().signal;
    await withQueue(io, async (opened) => {
      const jobs = await Promise.all(ids.map((id) => opened.queue.get(id)));
      for (const job of jobs) prepare(job, attempt, call);
      const json = io.json ? new JsonLog(io, flags.follow) : null;
      if (flags.follow) await hintWaiting(opened.queue, jobs, io);
      const several = jobs.length > 1 ? new Several(ids, io) : null;
      const views = jobs.map((job): FollowOptions => {
        const sink = createSink({ id: job.id, io, raw: flags.raw, several, json });
        return {
          job,
          sink,
          ...wantedStreams(flags),
          lines,
          since,
          attempt,
          hasReader: () => io.context.hasReader(),
          onRetry: (ended, next) => {
            sink.pause();
            const of = `attempt ${ended.number} of ${visible(job.id)}`;
            io.note(`queuectl: ${of}: ${retryText(ended, next, io.now())}`);
          },
        };
      });
      await show(views, opened, flags.follow, signal);
      json?.end();
    });
    return 0;
  },
});

type LogsCall = Call<typeof FLAGS>;

/** Both flags, like none, mean both streams. */
function wantedStreams(flags: LogsCall['flags']): Pick<FollowOptions, 'stdout' | 'stderr'> {
  const all = flags.stdout === flags.stderr;
  return { stdout: all || flags.stdout, stderr: all || flags.stderr };
}

/** Refuses an attempt there was not, and says what a person might miss. */
function prepare(job: Job, attempt: number | null, { flags, io }: LogsCall): void {
  if (flags.follow) return;
  const { lastAttempt, id, state } = job;
  if (attempt !== null && attempt > lastAttempt) {
    const had = lastAttempt === 0 ? 'none yet' : `${lastAttempt} so far`;
    throw new QueuectlError('not_found', `job ${id} has no attempt ${attempt}: ${had}`);
  }
  if (lastAttempt === 0) {
    io.note(`note: ${visible(id)} has not started yet (${state}); -f waits for it`);
  } else if (lastAttempt > 1 && attempt === null && io.context.stdout.isTerminal) {
    io.note(io.errorStyle.dim(`attempt ${lastAttempt} of ${visible(id)}; earlier: --attempt N`));
  }
}

async function show(
  views: readonly FollowOptions[],
  { queue, location }: Opened,
  follows: boolean,
  signal: AbortSignal,
): Promise<void> {
  const logs = createLogStore(location.jobLogs);
  if (!follows) {
    for (const view of views) {
      const { job, attempt } = view;
      const earlier = attempt === null ? [] : await queue.history(job);
      const shown = earlier.find(({ number }) => number === attempt) ?? job.last;
      readOnce(logs, view, shown);
    }
    return;
  }
  // One that fails ends them all.
  const failure = new AbortController();
  const either = AbortSignal.any([signal, failure.signal]);
  const following = views.map(async (view) => {
    try {
      await new Follower(logs, queue, systemEnv, view).follow(either);
    } catch (error) {
      failure.abort(error);
      throw error;
    } finally {
      view.sink.end();
    }
  });
  const results = await Promise.allSettled(following);
  signal.throwIfAborted();
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
