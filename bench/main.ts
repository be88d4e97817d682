// npm run bench [-- name …]: measures what queuectl promises about speed, side by side with
// the least that any program of its kind has to do. README.md says what each figure means.

import { statfsSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { bulk } from './bulk.ts';
import { commands } from './commands.ts';
import { house } from './house.ts';
import { idle } from './idle.ts';
import { ROOT, clearPlace } from './lib/place.ts';
import { output } from './output.ts';
import { pickup } from './pickup.ts';
import { reads } from './reads.ts';
import { startup } from './startup.ts';
import { storage } from './storage.ts';
import { wait } from './wait.ts';

/** Each prints its table and answers whether its targets were met. */
const SUBJECTS: Readonly<Record<string, () => boolean | Promise<boolean>>> = {
  startup,
  commands,
  pickup,
  wait,
  bulk,
  reads,
  storage,
  idle,
  house,
  output,
};

process.on('exit', clearPlace);
process.on('SIGINT', () => process.exit(130));

const named = process.argv.slice(2);
const unknown = named.find((name) => !Object.hasOwn(SUBJECTS, name));
if (unknown === undefined) await measure(named.length > 0 ? named : Object.keys(SUBJECTS));
else {
  console.error(`bench: no subject ${unknown}; there are: ${Object.keys(SUBJECTS).join(', ')}`);
  process.exitCode = 2;
}

async function measure(names: readonly string[]): Promise<void> {
  console.log(machine());
  const missed: string[] = [];
  for (const name of names) if (!(await SUBJECTS[name]?.())) missed.push(name);
  console.log(missed.length === 0 ? '\nAll targets met.' : `\nMissed in: ${missed.join(', ')}`);
}

/** Figures of two machines, or of a busy one, are not to be compared. */
function machine(): string {
  const [first] = cpus();
  const gib = Math.round(totalmem() / 2 ** 30);
  const load = loadavg().map((value) => value.toFixed(1));
  const free = statfsSync(ROOT);
  const disk = Math.round((free.bavail * free.bsize) / 2 ** 30);
  return `${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${first?.model ?? '?'}, ${gib} GiB, ${disk} GiB of disk free, load ${load.join(' ')}`;
}
