// queuectl edit ID… or by filter: changes what was asked of jobs that wait.

import { EXIT_CODE_OF, QueuectlError } from '../../errors.ts';
import type { Queue } from '../../queue.ts';
import { parseJob } from '../../spec.ts';
import type { Changes, EditAnswer } from '../../store/store.ts';
import { type Call, defineCommand, type Flags } from '../command.ts';
import type { Io } from '../io.ts';
import { jobContext } from '../job-input.ts';
import { withQueue } from '../open.ts';
import { actOnMatching, NO_MATCH, SELECTION_FLAGS, selectionOf, type Verb } from '../selection.ts';
import { hintUnserved } from '../serving.ts';
import { count, visible } from '../text.ts';

const VERB = {
  name: 'edit',
  doing: 'Editing',
  states: ['blocked', 'pending', 'failed'],
} as const satisfies Verb;

const EXIT_CODES: Readonly<Record<EditAnswer, number>> = {
  edited: 0,
  wrong_state: EXIT_CODE_OF.wrong_state,
  not_found: EXIT_CODE_OF.not_found,
};

const CHANGE_FLAGS = {
  priority: { type: 'text', value: 'N', help: 'from -1000 to 1000, higher first' },
  delay: { type: 'text', value: 'DURATION', help: 'not before this long from now; 0 at once' },
  'run-at': { type: 'text', value: 'TIME', help: 'not before this moment: 2030-12-01T09:00, 10m' },
  'max-retries': { type: 'text', value: 'N', help: 'retries after the first attempt' },
  timeout: { type: 'text', value: 'DURATION', help: 'end an attempt after this long; 0 for never' },
  'to-queue': { type: 'text', value: 'Q', help: 'the queue it waits in from now on' },
} as const satisfies Flags;

const FLAGS = {
  ...CHANGE_FLAGS,
  state: {
    type: 'list',
    value: 'S',
    choices: VERB.states,
    help: `only jobs in this state: ${VERB.states.join(', ')}`,
  },
  ...SELECTION_FLAGS,
} as const satisfies Flags;

type EditCall = Call<typeof FLAGS>;

export const command = defineCommand({
  summary: 'change jobs that wait',
  usage: ['edit ID… [changes]', 'edit [filters] [changes] [--dry-run] [--yes]'],
  about: [
    'A job takes the place in line that it would have had so from the start. One that runs\n' +
      'or is finished is a conflict (exit 4). Editing by filter asks first.',
  ],
  flags: FLAGS,
  operands: { min: 0, max: null, name: 'ID' },
  examples: [
    ['queuectl edit nightly --priority 10', 'sooner'],
    ['queuectl edit nightly --delay 0', 'at once, whatever it waits for'],
    ['queuectl edit --queue video --to-queue slow', 'all that wait in a queue into another'],
  ],
  async run(call) {
    const { flags, operands, io } = call;
    if (operands.length > 0 && flags.queue !== undefined) {
      throw new QueuectlError('usage', '--queue is a filter, and ids are given', {
        hint: `to move them: --to-queue ${visible(flags.queue)}`,
      });
    }
    const filter = selectionOf(VERB, operands, flags, io);
    const changes = changesOf(flags, io);
    return await withQueue(io, async ({ queue }) => {
      if (filter === null) return await editIds(operands, changes, queue, io);
      return await actOnMatching(
        queue,
        filter,
        { verb: VERB, flags, io },
        {
          nothing: 0,
          act: (options) => queue.editAll(filter, changes, options),
          tell: async (edited) => {
            if (io.json) io.printJson({ edited });
            else if (!io.quiet)
              io.print(edited === 0 ? NO_MATCH : `Edited ${count(edited, 'job')}`);
            if (changes.queue !== undefined && edited > 0) {
              await hintUnserved(queue, [changes.queue], io);
            }
          },
        },
      );
    });
  },
});

/** What is asked of a job and what may be changed of it obey the same rules. */
function changesOf(flags: EditCall['flags'], io: Io): Changes {
  const given = Object.keys(CHANGE_FLAGS).filter((name) =>
    Object.entries(flags).some(([flag, value]) => flag === name && value !== undefined),
  );
  if (given.length === 0) {
    throw new QueuectlError('usage', 'edit needs something to change', {
      hint: `one of: ${Object.keys(CHANGE_FLAGS)
        .map((name) => `--${name}`)
        .join(', ')}`,
    });
  }
  const job = parseJob(
    {
      command: 'true',
      queue: flags['to-queue'],
      priority: flags.priority,
      delay: flags.delay,
      run_at: flags['run-at'],
      max_retries: flags['max-retries'],
      timeout: flags.timeout,
    },
    jobContext(io.context, true),
  );
  const { maxRetries } = job;
  return {
    ...(flags['to-queue'] !== undefined && { queue: job.queue }),
    ...(flags.priority !== undefined && { priority: job.priority }),
    ...(maxRetries !== null && { maxRetries }),
    ...(flags.timeout !== undefined && { timeout: job.timeout === 0 ? null : job.timeout }),
    ...(flags.delay !== undefined && { runAt: job.delay ? io.now() + job.delay : null }),
    ...(job.runAt !== null && { runAt: job.runAt }),
  };
}

async function editIds(
  ids: readonly string[],
  changes: Changes,
  queue: Queue,
  io: Io,
): Promise<number> {
  const answers = await queue.edit(ids, changes);
  const results = ids.map((id, i) => ({ id, result: answers[i] ?? ('not_found' as const) }));
  if (io.json) io.printJson(results);
  for (const { id, result } of results) {
    const shown = visible(id);
    if (result === 'not_found') io.warn(`no job "${shown}"`);
    else if (result === 'wrong_state') {
      const { state } = await queue.get(id);
      io.warn(`job ${shown} is ${state}: only what waits can be changed`);
    } else if (!io.json && !io.quiet) io.print(`Edited ${shown}`);
  }
  const edited = results.some(({ result }) => result === 'edited');
  if (changes.queue !== undefined && edited) await hintUnserved(queue, [changes.queue], io);
  const failed = results.find(({ result }) => result !== 'edited');
  return failed === undefined ? 0 : EXIT_CODES[failed.result];
}
