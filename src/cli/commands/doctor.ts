// queuectl doctor: looks everything over and says of each thing whether it is in order, and
// what to do if not. Invariant: it changes nothing, and works where nothing else does.

import { resolve } from 'node:path';
import { EXIT_CODE_OF } from '../../errors.ts';
import type { Location } from '../../location.ts';
import { inspectStore } from '../../store/open.ts';
import type { Finding } from '../../store/inspection.ts';
import { defineCommand, NO_OPERANDS } from '../command.ts';
import { inspectMachine, inspectPlace } from '../inspect.ts';
import type { Io } from '../io.ts';
import { locationOf } from '../open.ts';
import { usage } from '../parse.ts';
import { Progress } from '../progress.ts';
import { bytes, count, visible } from '../text.ts';

export const command = defineCommand({
  summary: 'look for what is wrong, and say what to do',
  usage: ['doctor', 'doctor --export FILE [--unfinished]'],
  about: [
    'Exit code: 0 where nothing fails, warnings included; 6 for a database that is damaged,\n' +
      'foreign or newer; 5 for one that cannot be used; 1 for anything else that fails.',
    '--export saves every job that can still be read, from a damaged database as from a sound\n' +
      'one, in a new FILE, one JSON object a line; - is stdout. It says how many were lost, and\n' +
      'answers 6 if all were. With --unfinished only those that are still to run, so that\n' +
      'queuectl enqueue --file takes them, under their ids: after these three nothing that had\n' +
      'ended runs again, and what was running starts anew:\n' +
      '  queuectl doctor --export jobs.ndjson --unfinished\n' +
      '  mv ~/.queuectl ~/.queuectl.damaged      (workers stopped)\n' +
      '  queuectl enqueue --file jobs.ndjson',
  ],
  flags: {
    export: { type: 'text', value: 'FILE', help: 'save what can be read of the jobs' },
    unfinished: { type: 'boolean', help: 'with --export: only what is still to run, for enqueue' },
  },
  operands: NO_OPERANDS,
  examples: [
    ['queuectl doctor', 'before a bug report, or after a crash'],
    ['queuectl doctor --export jobs.ndjson', 'what a damaged database still holds'],
    ['queuectl doctor --json | jq \'.[] | select(.level != "ok")\'', 'for monitoring'],
  ],
  async run({ flags, io }) {
    const location = locationOf(io);
    if (flags.export !== undefined) {
      const { exportJobs } = await import('../export-jobs.ts');
      const file = flags.export === '-' ? '-' : resolve(io.context.cwd(), flags.export);
      const options = { file, unfinished: flags.unfinished };
      return await exportJobs(options, location, io);
    }
    if (flags.unfinished) throw usage('--unfinished goes with --export', 'doctor');
    return await examine(location, io);
  },
});

async function examine(location: Location, io: Io): Promise<number> {
  const findings = [...inspectPlace(location)];
  const progress = new Progress(io);
  const database = await inspectStore(location, (size) => {
    progress.say(`Checking ${bytes(size)} …`);
  });
  progress.clear();
  findings.push(...database.findings, ...inspectMachine(database.records, io));
  if (io.json) io.printJson(findings.map(findingJson));
  else print(findings, io);
  // Damage before what stands in the way, and that before all else.
  const [worst] = findings
    .filter(({ level }) => level === 'failure')
    .toSorted((a, b) => exitCodeOf(b) - exitCodeOf(a));
  if (worst === undefined) return 0;
  io.warn(`${worst.check}: ${visible(worst.text)}`);
  return exitCodeOf(worst);
}

function exitCodeOf({ code }: Finding): number {
  return EXIT_CODE_OF[code ?? 'internal'];
}

function findingJson({ check, level, text, hint }: Finding): Record<string, unknown> {
  return { check, level, text, hint: hint ?? null };
}

const MARKS = { ok: 'ok', warning: 'warning', failure: 'FAILURE' } as const;

function print(findings: readonly Finding[], io: Io): void {
  const { style } = io;
  const paint = { ok: style.good, warning: style.warn, failure: style.bad };
  const shown = io.quiet ? findings.filter(({ level }) => level !== 'ok') : findings;
  const width = Math.max(0, ...shown.map(({ check }) => check.length));
  const mark = Math.max(...Object.values(MARKS).map(({ length }) => length));
  for (const { check, level, text, hint } of shown) {
    const label = paint[level](MARKS[level].padEnd(mark));
    io.print(`${label}  ${check.padEnd(width)}  ${visible(text)}`);
    if (hint !== undefined) io.print(`${' '.repeat(mark + width + 4)}${style.dim(visible(hint))}`);
  }
  if (io.quiet) return;
  const failures = findings.filter(({ level }) => level === 'failure').length;
  const warnings = findings.filter(({ level }) => level === 'warning').length;
  io.print('');
  if (failures + warnings === 0) io.print(style.good('All is well.'));
  else io.print([count(failures, 'failure'), count(warnings, 'warning')].join(', '));
}
