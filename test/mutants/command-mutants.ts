// Guards of what runs: how processes are ended, what commands see, what is kept of what they say.

import { edit, type Mutant, named, scene } from './mutant.ts';

const ATTEMPT = 'src/worker/attempt.ts';
const PROCESSES = 'src/platform/processes.ts';

export const COMMAND_MUTANTS: readonly Mutant[] = [
  // ── how processes are ended (guarantee 10) ─────────────────────────────────────────────
  {
    name: 'a timeout ends also what has left the group',
    edits: [edit(ATTEMPT, "if (cause !== 'interrupted') this.#everywhere = true;", '')],
    caughtBy: scene(
      'a timeout ends what has left the group and does not hear TERM',
      '9 clean afterwards',
    ),
  },
  {
    name: 'after TERM comes KILL',
    edits: [
      edit(
        PROCESSES,
        "if (signalSeen(seen, 'SIGKILL') === 'denied') return false;",
        'return true;',
      ),
    ],
    caughtBy: scene(
      'a timeout ends what has left the group and does not hear TERM',
      '9 clean afterwards',
    ),
  },
  {
    name: 'what a command leaves in its group is ended',
    edits: [edit(ATTEMPT, 'if (this.#ending === null) await this.#endLeftovers();', '')],
    caughtBy: scene('a command ends and leaves a process in its group', '9 clean afterwards'),
  },

  {
    name: 'a command that ended before TERM keeps its result',
    edits: [edit(ATTEMPT, "if (!runs && cause !== 'lost') return;", 'this.#cause ??= cause;')],
    caughtBy: named(
      'test/unit/attempt.test.ts',
      'a command that ended before TERM was sent keeps its result',
    ),
  },
  {
    name: 'the first cause stands',
    edits: [edit(ATTEMPT, 'if (runs) this.#cause ??= cause;', 'if (runs) this.#cause = cause;')],
    caughtBy: named(
      'test/unit/attempt.test.ts',
      'the first cause stands, a lost lease kills at once',
    ),
  },
  {
    name: 'timers are capped below 2 ** 31 ms',
    edits: [
      edit(
        'src/env.ts',
        'Math.min(Math.max(ms, 0), MAX_TIMER_MS)',
        'Math.max(ms, MAX_TIMER_MS * 0)',
      ),
    ],
    caughtBy: named('test/faults/due-in-30-days.test.ts', 'a timer of 30 days is not over at once'),
  },

  // ── what commands see and say (guarantee 11) ───────────────────────────────────────────
  {
    name: 'output cap',
    edits: [
      edit(
        'src/worker/log-writer.ts',
        'if (segment > 2) unlinkIfThere(this.#path(segment - 2));',
        '',
      ),
    ],
    caughtBy: named(
      'test/unit/output.test.ts',
      'over the cap, head and tail are kept and the cut is told: pieces of 1000',
    ),
  },
  {
    name: 'nothing of ours is in the environment of a command',
    edits: [
      edit(
        'src/worker/environment.ts',
        'if (!name.startsWith(OUR_PREFIX)) base',
        'if (OUR_PREFIX) base',
      ),
    ],
    caughtBy: named(
      'test/unit/command.test.ts',
      'the environment is the worker’s, less ours, and the job’s own',
    ),
  },
  {
    name: 'a link in place of a log is not followed',
    edits: [edit('src/worker/log-writer.ts', '  constants.O_EXCL |\n', '')],
    caughtBy: named(
      'test/unit/output.test.ts',
      'a planted link is not followed, a leftover not continued',
    ),
  },
  {
    name: 'no text of a job acts on a terminal',
    edits: [
      edit(
        'src/cli/text.ts',
        'return text.replace(UNSAFE, escapeOf);',
        'return UNSAFE ? text : text;',
      ),
    ],
    caughtBy: named('test/unit/cli-text.test.ts', 'nothing in a field acts on a terminal'),
  },
];
