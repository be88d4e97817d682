// queuectl service install: a systemd unit of the user that starts the workers at boot.
// Invariant: what could not be done here is said as commands to paste, none is left out.

import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { resolveSettings } from '../../config.ts';
import { systemEnv } from '../../env.ts';
import { QueuectlError } from '../../errors.ts';
import { selfCommand } from '../../platform/self.ts';
import { type Call, defineCommand, type Flags, NO_OPERANDS } from '../command.ts';
import type { Io } from '../io.ts';
import { type Opened, withQueue } from '../open.ts';
import { quote } from '../../platform/shell.ts';
import { reasonOf } from '../reason.ts';
import { mustBeOurs, runTool, systemctl, type Unit, unitOf, whyNoManager } from '../service.ts';
import { unitText } from '../service-unit.ts';
import { visible } from '../text.ts';
import { LOG_FLAGS, logFormat, WORKER_FLAGS, workerCount, workerOptions } from '../worker-flags.ts';

const FLAGS = {
  count: { type: 'text', value: 'N', help: 'how many workers (default: 1)' },
  concurrency: WORKER_FLAGS.concurrency,
  queue: WORKER_FLAGS.queue,
  ...LOG_FLAGS,
  now: { type: 'boolean', help: 'start the workers at once, too, or again with what is changed' },
  force: { type: 'boolean', help: 'replace a unit that queuectl did not write' },
} as const satisfies Flags;

export const command = defineCommand({
  summary: 'start the workers at boot, through systemd',
  usage: [
    'service install [--count N] [--concurrency C] [--queue Q]… [--now]\n' +
      '                  [--log-format text|json]',
  ],
  about: [
    'Writes ~/.config/systemd/user/queuectl.service for this executable, this queue and this\n' +
      'PATH, and enables it for boot, without root. Where no systemd of yours can be reached it\n' +
      'says what is left to do. A database named with --db or QUEUECTL_DB gets a unit of its\n' +
      'own. Called again it replaces what it wrote.',
    'Stopping the service is SIGTERM: attempts may go on for the setting grace, then their jobs\n' +
      'are given back.',
  ],
  flags: FLAGS,
  operands: NO_OPERANDS,
  examples: [
    ['queuectl service install --count 2 --now', 'two workers, now and after each boot'],
    ['queuectl --db /srv/q.db service install', 'for another database'],
    ['journalctl --user -u queuectl', 'what they log'],
  ],
  async run({ flags, io }) {
    const unit = unitOf(io);
    mustBeOurs(unit, flags.force);
    const workers = workerArguments(flags);
    const text = await withQueue(io, async (opened) => await textFor(unit, opened, workers, io));
    const changed = unit.text !== text;
    if (changed) write(unit, text);
    const steps = await takeSteps(unit, flags.now, changed, io);
    answer(unit, changed, steps, io);
    return 0;
  },
});

type InstallFlags = Call<typeof FLAGS>['flags'];

function workerArguments(flags: InstallFlags): string[] {
  const { concurrency, queues } = workerOptions({ ...flags, drain: false });
  const format = logFormat(flags);
  return [
    ['--count', String(workerCount(flags.count))],
    ['--concurrency', String(concurrency)],
    ...(queues ?? []).map((name) => ['--queue', name]),
    format === 'text' ? [] : ['--log-format', format],
  ].flat();
}

async function textFor(
  { database }: Unit,
  { queue, location }: Opened,
  workers: readonly string[],
  { context }: Io,
): Promise<string> {
  const { grace, killAfter } = resolveSettings(await queue.store.settings());
  const { file, args } = selfCommand();
  const path = context.env['PATH'];
  return unitText({
    program: [file, ...args],
    arguments: workers,
    environment: { ...location.jobEnvironment, ...(path !== undefined && { PATH: path }) },
    database,
    stopWithin: grace + killAfter,
  });
}

/** Under another name first: systemd must never read half of it. */
function write({ file }: Unit, text: string): void {
  const directory = dirname(file);
  const temporary = join(directory, `.queuectl-${systemEnv.newId()}`);
  try {
    mkdirSync(directory, { recursive: true });
    writeFileSync(temporary, text, { flag: 'wx' });
    // systemd warns about units that others may write or nobody may read.
    chmodSync(temporary, 0o644);
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new QueuectlError('unavailable', `cannot write ${file}: ${reasonOf(error)}`, {
      hint: 'XDG_CONFIG_HOME says where else systemd looks',
      cause: error,
    });
  }
}

interface Steps {
  readonly done: readonly (readonly string[])[];
  readonly left: readonly (readonly string[])[];
  /** Why something is left. */
  readonly why: string | null;
}

async function takeSteps({ name }: Unit, now: boolean, changed: boolean, io: Io): Promise<Steps> {
  // Restarting stops what runs, and is only for a unit that is another one now.
  const start = systemctl(changed ? 'restart' : 'start', name);
  const steps = [
    systemctl('daemon-reload'),
    systemctl('enable', name),
    ...(now ? [start] : []),
    // Without it they would start at login and stop at logout.
    ['loginctl', '--no-ask-password', 'enable-linger'],
  ];
  const why = await whyNoManager(io.context);
  if (why !== null) return { done: [], left: steps, why };
  const done: string[][] = [];
  for (const [i, step] of steps.entries()) {
    if (step === start) io.note('Starting the workers …');
    const { code, stderr } = await runTool(step, io.context);
    if (code !== 0) {
      const [line = `exit code ${code}`] = stderr.split('\n', 1);
      return { done, left: steps.slice(i), why: `${quote(step)}: ${line}` };
    }
    done.push(step);
  }
  return { done, left: [], why: null };
}

function answer({ name, file }: Unit, changed: boolean, { done, left, why }: Steps, io: Io): void {
  const toPaste = left.map((step) => quote(step.filter((word) => word !== '--no-ask-password')));
  if (io.json) {
    io.printJson({ unit: name, file, changed, done: done.map(quote), left: toPaste, why });
    return;
  }
  if (!io.quiet) io.print(`${changed ? 'Wrote' : 'Unchanged:'} ${visible(file)}`);
  if (why === null) {
    const started = done.some((step) => step.includes('restart') || step.includes('start'));
    io.note(started ? 'The workers run, and start at boot.' : 'The workers start at boot.');
    if (!started) io.note(`hint: to start them now: ${quote(systemctl('start', name))}`);
    return;
  }
  // With --quiet as well: without these it does not start.
  io.warn(visible(why));
  io.context.stderr.write(`left to do:\n${toPaste.map((line) => `  ${visible(line)}\n`).join('')}`);
}
