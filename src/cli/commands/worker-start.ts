// queuectl worker start: N workers under a supervisor, in the background or here.

import { systemEnv } from '../../env.ts';
import { type Call, defineCommand, type Flags, NO_OPERANDS } from '../command.ts';
import { workerJson } from '../json.ts';
import type { WorkerRecord } from '../../store/store.ts';
import { armedFailpoints } from '../../failpoint.ts';
import { originalNofile } from '../../platform/nofile.ts';
import { type Opened, withQueue } from '../open.ts';
import { usage } from '../parse.ts';
import { count, enumerate, visible } from '../text.ts';
import { stderrWriter } from '../worker-process.ts';
import {
  LOG_FLAGS,
  logFormat,
  WORKER_FLAGS,
  workerCount,
  type WorkerOptions,
  workerOptions,
} from '../worker-flags.ts';
import type { Io } from '../io.ts';

const FLAGS = {
  count: { type: 'text', value: 'N', help: 'how many workers (default: 1)' },
  ...WORKER_FLAGS,
  ...LOG_FLAGS,
  foreground: { type: 'boolean', help: 'stay and log here: for systemd and containers' },
} as const satisfies Flags;

export const command = defineCommand({
  summary: 'start workers in the background',
  usage: [
    'worker start [--count N] [--concurrency C] [--queue Q]… [--foreground] [--drain]\n' +
      '             [--log-format text|json]',
  ],
  about: [
    'Returns when the workers are ready to claim; they hold no terminal and no pipe, and log to\n' +
      'logs/workers/workers.log, 10 MiB at most and three older ones. A worker that dies is\n' +
      'replaced. Starting again adds workers. What runs in them has the environment, umask and\n' +
      'limits of this shell.',
  ],
  flags: FLAGS,
  operands: NO_OPERANDS,
  examples: [
    ['queuectl worker start --count 2', 'two workers, one job each at a time'],
    ['queuectl worker start --concurrency 8 --queue video', 'eight at a time, of one queue'],
    ['queuectl worker start --foreground', 'in a systemd unit or a container'],
    ['queuectl worker start --foreground --log-format json', 'one JSON object a line on stderr'],
    ['queuectl worker start --foreground --drain', 'run what is there, then end'],
  ],
  async run(call) {
    const options = workerOptions(call.flags);
    const workers = workerCount(call.flags.count);
    return call.flags.foreground
      ? await foreground(call, workers, options)
      : await background(call, workers, options);
  },
});

type StartCall = Call<typeof FLAGS>;

async function background(
  { io, flags }: StartCall,
  workers: number,
  options: WorkerOptions,
): Promise<number> {
  const { startWorkers } = await import('../../worker/start.ts');
  const { workerLogFile } = await import('../../worker/log-file.ts');
  return await withQueue(io, async ({ queue, location }) => {
    const started = await startWorkers(queue, {
      location,
      environment: environmentFor(io, location),
      count: workers,
      ...options,
      logFormat: logFormat(flags),
      nofile: originalNofile(),
    });
    if (io.json) io.printJson(started.map(workerJson));
    else if (!io.quiet) tell(started, workerLogFile(location), io);
    return 0;
  });
}

function tell(started: readonly WorkerRecord[], logFile: string, io: Io): void {
  if (started.length === 0) {
    io.print('Nothing was left to run.');
    return;
  }
  const names = enumerate(started.map(({ name }) => visible(name)));
  io.print(`Started ${count(started.length, 'worker')}: ${names}`);
  io.note(io.errorStyle.dim(`log: ${visible(logFile)}`));
}

async function foreground(
  { io, flags }: StartCall,
  workers: number,
  options: WorkerOptions,
): Promise<number> {
  if (io.json) throw usage('--foreground logs and has no JSON answer', 'worker start');
  const { runSupervisorProcess } = await import('../../worker/process.ts');
  // Opened and closed once for its errors: they are told here in full, not as a log line.
  const location = await withQueue(io, (opened) => opened.location);
  return await runSupervisorProcess({
    location,
    env: systemEnv,
    environment: environmentFor(io, location),
    count: workers,
    ...options,
    logFormat: logFormat(flags),
    nofile: originalNofile(),
    background: false,
    write: stderrWriter(io.context),
  });
}

/**
 * Workers change directory: what is relative here must be absolute there. Nothing else of
 * ours goes along: started from inside a job, they must not carry that job's marker, or
 * they would be ended with it.
 */
function environmentFor(
  io: Io,
  location: Opened['location'],
): Readonly<Record<string, string | undefined>> {
  const theirs = Object.entries(io.context.env).filter(([name]) => !name.startsWith('QUEUECTL_'));
  return {
    ...Object.fromEntries(theirs),
    ...armedFailpoints(io.context.env),
    ...location.jobEnvironment,
  };
}
