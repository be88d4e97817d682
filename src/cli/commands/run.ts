// queuectl run -- COMMAND: enqueues, shows what the job prints, answers as it did. Invariant:
// once it is stored the job is safe whatever happens here, and what is shown is complete.

import { systemEnv } from '../../env.ts';
import { QueuectlError } from '../../errors.ts';
import { isTerminal, type Job, type NewJob } from '../../job.ts';
import type { Queue } from '../../queue.ts';
import { createLogStore } from '../../worker/output.ts';
import { askLine, canAsk } from '../ask.ts';
import { defineCommand, type Flags } from '../command.ts';
import { Interrupted, ReaderGone } from '../context.ts';
import { Follower } from '../follow.ts';
import type { Io } from '../io.ts';
import { JOB_FLAGS, jobFromFlags, refuseBrokenArguments } from '../job-input.ts';
import { jobJson } from '../json.ts';
import { createSink, JsonLog, type LogSink } from '../log-sink.ts';
import { type Opened, withQueue } from '../open.ts';
import { exitCodeOf, OURS_FAILED } from '../outcome.ts';
import { hintUnserved } from '../serving.ts';
import { visible } from '../text.ts';
import {
  ifHeard,
  orOursFailed,
  retryText,
  roughly,
  tellBusy,
  tellUnsuccessful,
} from '../waiting.ts';

const FLAGS = {
  ...JOB_FLAGS,
  raw: { type: 'boolean', help: 'on a terminal too: bytes as they are, escapes included' },
} as const satisfies Flags;

export const command = defineCommand({
  summary: 'run a command as a job and follow it',
  usage: ['run [flags] -- COMMAND [ARG…]', "run [flags] --shell 'COMMAND | COMMAND'"],
  about: [
    'What it prints to stdout comes on stdout, the rest on stderr, through all its retries.\n' +
      'Exit code: that of its last attempt, as with queuectl wait; 125 if queuectl itself failed,\n' +
      'or if output into a file or a pipe was gone before it was read (see log_max_bytes).',
    'Ctrl-C asks whether to leave the job running (detach) or to cancel it; a second one\n' +
      'detaches. Without a terminal to ask at, a signal detaches. The job goes on, too, where\n' +
      'the terminal is closed or nobody reads its output any more (| head); the exit code then\n' +
      'is that of a command ended by the signal: 130, 143, 129 or 141.',
    'The job reads nothing: our stdin is not handed on, so that loops over a list can run\n' +
      'jobs. --stdin - hands it on, --stdin FILE hands on a file.',
  ],
  flags: FLAGS,
  operands: { min: 0, max: 0, name: 'argument before --' },
  takesRest: true,
  usageExitCode: OURS_FAILED,
  examples: [
    ['queuectl run -- make test', 'in the queue instead of at the prompt'],
    ['queuectl run --max-retries 0 --timeout 1h -- ./nightly.sh', 'once, and not for ever'],
    ['queuectl run -- git log --oneline | head', 'its stdout into a pipe'],
  ],
  async run({ flags, rest, io }) {
    return await orOursFailed(io, async () => {
      refuseBrokenArguments(io.context);
      const job = await jobFromFlags('run', flags, rest, io);
      return await withQueue(io, (opened) => enqueueAndFollow(job, flags.raw, opened, io));
    });
  },
});

async function enqueueAndFollow(
  newJob: NewJob,
  raw: boolean,
  opened: Opened,
  io: Io,
): Promise<number> {
  const { queue } = opened;
  const [stored] = await queue.enqueue([newJob]);
  if (stored === undefined) throw new QueuectlError('internal', 'the store did not answer');
  const { id } = stored;
  // From here on a signal leaves the job alone and is answered.
  const first = io.context.interrupted();
  if (io.context.stderr.isTerminal) io.note(io.errorStyle.dim(`job ${visible(id)}`));
  const job = await queue.get(id);
  await hintUnserved(queue, [newJob.queue], io);
  const wait = (job.runAt ?? 0) - io.now();
  if (wait > 0) io.note(`queuectl: starts in ${roughly(wait)}`);
  const sink = createSink({
    id,
    io,
    raw,
    separate: true,
    several: null,
    json: io.json ? new JsonLog(io, true) : null,
  });
  const run = new Run(job, sink, opened, io);
  try {
    return await run.end(first);
  } finally {
    // Whoever leaves may have closed the terminal, and is answered all the same.
    if (run.isLeft) ifHeard(() => sink.end());
    else sink.end();
  }
}

/** A job that is stored, and somebody who watches it. */
class Run {
  /** Nobody watches any more; the job goes on. */
  isLeft = false;
  readonly #id: string;
  readonly #shown: string;
  readonly #sink: LogSink;
  readonly #queue: Queue;
  readonly #io: Io;
  readonly #follower: Follower;
  /** Something that it printed was gone before it could be passed on. */
  #missing = false;

  constructor(job: Job, sink: LogSink, { queue, location }: Opened, io: Io) {
    this.#id = job.id;
    this.#shown = visible(job.id);
    this.#sink = sink;
    this.#queue = queue;
    this.#io = io;
    this.#follower = new Follower(createLogStore(location.jobLogs), queue, systemEnv, {
      job,
      sink: {
        output: (stream, bytes, attempt) => sink.output(stream, bytes, attempt),
        gap: (bytes, attempt, refused) => {
          this.#missing = true;
          sink.gap(bytes, attempt, refused);
        },
        pause: () => sink.pause(),
        end: () => sink.end(),
      },
      stdout: true,
      stderr: true,
      lines: null,
      attempt: null,
      onRetry: (ended, next) => {
        sink.pause();
        io.note(`queuectl: attempt ${ended.number}: ${retryText(ended, next, io.now())}`);
      },
      hasReader: () => io.context.hasReader(),
    });
  }

  /** The exit code: the job's own, or that of somebody who has left it running. */
  async end(first: AbortSignal): Promise<number> {
    const over = new AbortController();
    const told = tellBusy(this.#queue, this.#id, this.#io, systemEnv, over.signal);
    try {
      return await this.#follow(first);
    } finally {
      over.abort();
      // A hint that could not be given is no failure.
      await told.catch(() => {});
    }
  }

  async #follow(first: AbortSignal): Promise<number> {
    let signal = first;
    let cancelled = false;
    for (;;) {
      try {
        return this.#answer(await this.#follower.follow(signal));
      } catch (error) {
        if (error instanceof ReaderGone) return await this.#readerGone();
        if (!(error instanceof Interrupted)) throw error;
        const asks = !cancelled && error.signal === 'SIGINT' && canAsk(this.#io);
        // Before anything is asked: a second signal is an answer too.
        signal = this.#io.context.interrupted();
        const wanted = asks ? await this.#ask(signal) : 'detach';
        if (wanted === 'detach') return await this.#detach(error);
        if (wanted instanceof Interrupted) return await this.#detach(wanted);
        if (wanted === 'cancel') {
          await this.#cancel();
          cancelled = true;
        }
      }
    }
  }

  #answer(job: Job): number {
    const { io, code } = { io: this.#io, code: exitCodeOf(job) };
    this.#sink.pause();
    // To a program a success whose output has a hole in it is none.
    const isHollow = code === 0 && this.#missing && !io.context.stdout.isTerminal;
    if (io.json) io.printJsonLine(jobJson(job));
    if (code !== 0) tellUnsuccessful(job, code, null, io);
    if (isHollow) {
      io.warn(`job ${this.#shown} is completed, but not all of its output was passed on`);
      io.note('hint: raise log_max_bytes, or let the command write to a file itself');
    }
    return isHollow ? OURS_FAILED : code;
  }

  /** A second signal is an answer, and so is the job's end. Without one it is to detach. */
  async #ask(signal: AbortSignal): Promise<'cancel' | 'detach' | 'over' | Interrupted> {
    const { stderr } = this.#io.context;
    ifHeard(() => this.#sink.pause());
    const over = new AbortController();
    const both = AbortSignal.any([signal, over.signal]);
    const prompt = '\nDetach and let the job go on, or cancel it? [D/c] ';
    const line = askLine(this.#io, prompt, both).catch((error: unknown) => {
      if (error instanceof Interrupted) throw error;
      return ''; // The terminal is gone: as Enter.
    });
    const end = this.#queue.wait([this.#id], { signal: both });
    try {
      return await Promise.race([
        line.then((typed) => (/^c(ancel)?$/i.test(typed) ? 'cancel' : 'detach')),
        end.then(() => {
          ifHeard(() => stderr.write('\n'));
          return 'over' as const;
        }),
      ]);
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      ifHeard(() => stderr.write('\n'));
      return error;
    } finally {
      over.abort();
      await Promise.allSettled([line, end]);
    }
  }

  async #cancel(): Promise<void> {
    const [answer] = await this.#queue.cancel([this.#id]);
    if (answer === 'cancel_requested') {
      const what = `ending job ${this.#shown}; Ctrl-C does not wait for it`;
      ifHeard(() => this.#io.note(`queuectl: ${what}`));
    }
  }

  async #detach({ exitCode }: Interrupted): Promise<number> {
    this.isLeft = true;
    ifHeard(() => this.#sink.pause());
    await this.#tellItGoesOn('');
    return exitCode;
  }

  /** As a command that writes into a pipe without a reader, but for the job. */
  async #readerGone(): Promise<number> {
    this.isLeft = true;
    await this.#tellItGoesOn('nobody reads its output any more; ');
    return READER_GONE;
  }

  /** Where there is still somebody to tell, and something that goes on. */
  async #tellItGoesOn(why: string): Promise<void> {
    const { state, lastAttempt, cancelRequested } = await this.#queue.get(this.#id);
    if (isTerminal(state)) return;
    const shown = this.#shown;
    const what = cancelRequested
      ? `job ${shown} is being cancelled; queuectl wait ${shown}`
      : `job ${shown} ${lastAttempt === 0 ? 'stays in the queue' : 'goes on'}; ` +
        `queuectl logs -f ${shown}, queuectl cancel ${shown}`;
    ifHeard(() => this.#io.note(`queuectl: ${why}${what}`));
  }
}

/** 128 + SIGPIPE. */
const READER_GONE = 141;
