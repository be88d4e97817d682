#!/usr/bin/env node
// The entry: argv → command → exit code, which nobody else sets. `process.exit` is never
// called: it would cut what is still on its way into a pipe. Besides node:fs nothing is
// loaded before it is known what was asked for.

import { writeSync } from 'node:fs';
import { VERSION } from './version.ts';

const asksVersion = process.argv.length === 3 && process.argv[2] === '--version';

if (!(asksVersion && writesVersion())) {
  const { isReadingStdin, systemContext } = await import('./process.ts');
  const { run } = await import('./run.ts');
  process.exitCode = await run(systemContext());
  // A command that fails while its producer is silent must not wait for it.
  if (isReadingStdin()) (await import('../platform/leave.ts')).leave();
}

/** False where it could not be written; the long way then says why. */
function writesVersion(): boolean {
  try {
    writeSync(1, `queuectl ${VERSION}\n`);
    return true;
  } catch {
    return false;
  }
}
