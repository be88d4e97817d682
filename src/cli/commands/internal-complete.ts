// queuectl __complete SHELL -- …: what the scripts of `queuectl completion` ask at every
// TAB. Invariant: it answers or is silent; it makes nothing, waits for nothing, and never
// writes to stderr.

import { resolveLocation } from '../../location.ts';
import { glanceAtStore } from '../../store/open.ts';
import type { Glance } from '../../store/glance.ts';
import { defineCommand } from '../command.ts';
import { completeLine, type Names } from '../completion/candidates.ts';
import { findShell } from '../completion/shells.ts';
import type { Context } from '../context.ts';

/** More than anybody reads in a menu. */
const MOST = 200;

export const command = defineCommand({
  summary: 'answer a shell (internal)',
  usage: ['__complete SHELL -- WORD…'],
  flags: {},
  operands: { min: 0, max: null, name: 'word' },
  takesRest: true,
  examples: [],
  async run({ operands, rest, io }) {
    try {
      const [name = '', ...words] = operands;
      const shell = await findShell(name);
      const reply = await shell?.answer(rest ?? words, async (before, current) => {
        const opened = { glance: null as Glance | null };
        try {
          return await completeLine(before, current, async (db) => {
            opened.glance = await glanceOrNull(io.context, db);
            return namesFrom(opened.glance);
          });
        } finally {
          opened.glance?.close();
        }
      });
      if (reply !== undefined) io.context.stdout.write(reply);
    } catch {
      // Somebody is typing; an error would be written across their line.
    }
    return 0;
  },
});

function namesFrom(glance: Glance | null): Names {
  const orNone = <T>(ask: (glance: Glance) => readonly T[]): readonly T[] => {
    try {
      return glance === null ? [] : ask(glance);
    } catch {
      // Locked or damaged.
      return [];
    }
  };
  return {
    jobs: async (prefix, which) => orNone((open) => open.jobs(prefix, which, MOST)),
    queues: async (prefix) => orNone((open) => open.queues(prefix, MOST)),
  };
}

async function glanceOrNull(context: Context, db: string | undefined): Promise<Glance | null> {
  try {
    const location = resolveLocation({
      db: db === undefined ? undefined : expand(db, context),
      environment: context.env,
      homeDirectory: () => context.homeDirectory(),
      cwd: () => context.cwd(),
    });
    return await glanceAtStore(location);
  } catch {
    return null;
  }
}

/** `~/` and variables that we have, too; what a shell would have to compute is not known. */
function expand(path: string, { env }: Context): string {
  const whole = path.replace(/^~(?=\/|$)/, env['HOME'] ?? '~');
  return whole.replaceAll(/\$(?:(\w+)|\{(\w+)\})/g, (typed, plain?: string, braced?: string) => {
    return env[plain ?? braced ?? ''] ?? typed;
  });
}
