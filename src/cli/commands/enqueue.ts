// queuectl enqueue: one job from JSON or flags. Input of many jobs is in bulk.ts.
// Invariant: nothing is stored before all of the input has been judged, and nothing is
// acknowledged before it is stored.

import { QueuectlError } from '../../errors.ts';
import type { NewJob } from '../../job.ts';
import { parseJobText } from '../../spec.ts';
import { type Call, defineCommand, type Flags } from '../command.ts';
import { jobJson } from '../json.ts';
import {
  givenJobFlags,
  JOB_FLAGS,
  jobContext,
  jobFromFlags,
  refuseBrokenArguments,
} from '../job-input.ts';
import { withQueue } from '../open.ts';
import { usage } from '../parse.ts';
import { hintUnserved } from '../serving.ts';
import type { Io } from '../io.ts';

const FLAGS = {
  ...JOB_FLAGS,
  file: { type: 'text', value: 'FILE', help: 'one JSON job a line; - reads stdin' },
  wait: { type: 'boolean', help: 'return when it is finished, with its exit code' },
  'if-absent': { type: 'boolean', help: 'if the id is taken, keep the job that has it' },
  'skip-invalid': { type: 'boolean', help: 'with --file: report bad lines and leave them out' },
  stream: {
    type: 'boolean',
    help: 'with --file: for input without an end, store every 1,000 lines or 100 ms',
  },
} as const satisfies Flags;

export const command = defineCommand({
  summary: 'add jobs to the queue',
  usage: [
    'enqueue [flags] -- COMMAND [ARG…]',
    "enqueue [flags] --shell 'COMMAND | COMMAND'",
    'enqueue \'{"command": "echo hello"}\'',
    'enqueue --file jobs.ndjson',
    'enqueue -                              (the same from stdin)',
  ],
  about: [
    'Returns when the job is safe on disk. It runs as typed here: in this directory and with\n' +
      'this PATH. Arguments after -- reach the program one by one, no shell reads them again;\n' +
      '--shell and the JSON field "command" run through /bin/sh.',
    'Fields of a JSON job: id, command or args, queue, priority, max_retries, delay, run_at,\n' +
      'timeout, tags, env, env_from, cwd, stdin, stdin_text. A file is stored as a whole or not at all.',
  ],
  flags: FLAGS,
  operands: { min: 0, max: null, name: 'job' },
  takesRest: true,
  examples: [
    ['queuectl enqueue -- ffmpeg -i in.mov out.mp4', 'run a program with its arguments'],
    ["queuectl enqueue --shell 'pg_dump shop | gzip > shop.gz'", 'run a shell command'],
    ['queuectl enqueue \'{"id": "nightly", "command": "make report"}\'', 'a job as JSON'],
    ['queuectl enqueue --delay 10m --max-retries 5 -- ./sync.sh', 'later, with more retries'],
    ['queuectl enqueue --env AWS_SECRET -- ./upload.sh', "a secret: the worker's, never stored"],
    ["git diff | queuectl enqueue --stdin - -- mail -s 'the diff' ada", 'what it reads from stdin'],
    ['queuectl enqueue --wait -- make && echo fine', 'wait for it in a script'],
    [
      "find . -name '*.wav' | jq -cR '{args: [\"flac\", .]}' | queuectl enqueue -",
      'one job a file',
    ],
  ],
  async run(call) {
    refuseBrokenArguments(call.io.context);
    const source = sourceOf(call);
    if (source === null) {
      refuseBulkFlags(call.flags);
      return await enqueueOne(await jobOf(call), call.flags, call.io);
    }
    const given = givenJobFlags(call.flags);
    if (given.length > 0 || call.rest !== null) {
      throw new QueuectlError('usage', `${given[0] ?? '--'} does not go with a file of jobs`, {
        hint: 'each line says it for its own job',
      });
    }
    if (call.flags.stream && call.flags.wait) {
      throw usage('--stream has no end to --wait for', 'enqueue');
    }
    const { enqueueMany } = await import('../bulk.ts');
    return await enqueueMany(source, call.flags, call.io);
  },
});

type EnqueueCall = Call<typeof FLAGS>;

/** Where many jobs come from: a path, or `-`; null where it is about one job. */
function sourceOf({ flags, operands, rest }: EnqueueCall): string | null {
  const [first, ...more] = operands;
  if (first === undefined) return flags.file ?? null;
  if (flags.file !== undefined) throw usage('--file and a job exclude each other', 'enqueue');
  if (rest !== null) {
    throw usage(`enqueue: unexpected ${JSON.stringify(first)} before --`, 'enqueue');
  }
  if (more.length === 0) return first === '-' ? '-' : null;
  throw new QueuectlError('usage', `enqueue takes one job, not ${operands.length} arguments`, {
    hint: looksLikeJson(first)
      ? 'put the JSON in single quotes'
      : `to run a command: queuectl enqueue -- ${first} …`,
  });
}

function looksLikeJson(text: string): boolean {
  return text.trimStart().startsWith('{');
}

function refuseBulkFlags(flags: EnqueueCall['flags']): void {
  for (const name of ['skip-invalid', 'stream'] as const) {
    if (flags[name]) throw usage(`--${name} needs --file or -`, 'enqueue');
  }
}

async function jobOf({ flags, operands, rest, io }: EnqueueCall): Promise<NewJob> {
  const [json] = operands;
  if (json !== undefined) {
    const [given] = givenJobFlags(flags);
    if (given === undefined) return parseJobText(json, jobContext(io.context, false));
    throw new QueuectlError('usage', `${given} does not go with a job in JSON`, {
      hint: 'say it in the JSON',
    });
  }
  return await jobFromFlags('enqueue', flags, rest, io);
}

async function enqueueOne(job: NewJob, flags: EnqueueCall['flags'], io: Io): Promise<number> {
  return await withQueue(io, async ({ queue }) => {
    const [stored] = await queue.enqueue([job], { ifAbsent: flags['if-absent'] });
    // Before anything is said: whoever reads that may press Ctrl-C at once.
    const signal = flags.wait ? io.context.interrupted() : null;
    if (stored === undefined) throw new QueuectlError('internal', 'the store did not answer');
    const { id, state, created } = stored;
    if (io.json && !flags.wait) io.printJson(jobJson(await queue.get(id)));
    else if (io.quiet) io.print(id);
    else if (!io.json) {
      io.print(created ? `Enqueued ${id} (${state})` : `${id} is there already (${state})`);
    }
    if (state === 'pending') await hintUnserved(queue, [job.queue], io);
    if (signal === null) return 0;
    const { orOursFailed, waitFor } = await import('../waiting.ts');
    return await orOursFailed(io, () => waitFor(queue, [id], { signal }, io));
  });
}
