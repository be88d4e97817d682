// queuectl cancel ID… or by filter: what waits never starts, what runs is ended by its
// worker.

import { EXIT_CODE_OF } from '../../errors.ts';
import type { Queue } from '../../queue.ts';
import type { CancelAnswer, Filter } from '../../store/store.ts';
import { type Call, defineCommand, type Flags } from '../command.ts';
import type { Io } from '../io.ts';
import { withQueue } from '../open.ts';
import { actOnMatching, NO_MATCH, SELECTION_FLAGS, selectionOf, type Verb } from '../selection.ts';
import { count, visible } from '../text.ts';

const EXIT_CODES: Readonly<Record<CancelAnswer, number>> = {
  cancelled: 0,
  cancel_requested: 0,
  already_finished: EXIT_CODE_OF.wrong_state,
  not_found: EXIT_CODE_OF.not_found,
};

const VERB = {
  name: 'cancel',
  doing: 'Cancelling',
  states: ['blocked', 'pending', 'failed', 'processing'],
} as const satisfies Verb;

const FLAGS = {
  state: {
    type: 'list',
    value: 'S',
    choices: VERB.states,
    help: `only jobs in this state: ${VERB.states.join(', ')}`,
  },
  ...SELECTION_FLAGS,
} as const satisfies Flags;

export const command = defineCommand({
  summary: 'cancel jobs',
  usage: ['cancel ID…', 'cancel [filters] [--dry-run] [--yes]'],
  about: [
    'A job that waits never starts. One that runs gets TERM, then KILL; queuectl wait ID\n' +
      'returns when it has ended. A finished job is a conflict (exit 4), an unknown one exit 3.\n' +
      'Cancelling by filter asks first.',
  ],
  flags: FLAGS,
  operands: { min: 0, max: null, name: 'ID' },
  examples: [
    ['queuectl cancel nightly', 'one job'],
    ['queuectl cancel --queue video --state pending', 'what waits in a queue'],
    ['queuectl cancel --tag batch=7 --dry-run', 'only see what it would be'],
  ],
  async run(call) {
    const { flags, operands, io } = call;
    const filter = selectionOf(VERB, operands, flags, io);
    return await withQueue(io, async ({ queue }) =>
      filter === null
        ? await cancelIds(operands, queue, io)
        : await cancelMatching(filter, queue, call),
    );
  },
});

async function cancelIds(ids: readonly string[], queue: Queue, io: Io): Promise<number> {
  const answers = await queue.cancel(ids);
  const results = ids.map((id, i) => ({ id, result: answers[i] ?? 'not_found' }));
  if (io.json) io.printJson(results);
  for (const { id, result } of results) tell(visible(id), result, io);
  const failed = results.find(({ result }) => EXIT_CODES[result] !== 0);
  return failed === undefined ? 0 : EXIT_CODES[failed.result];
}

function tell(id: string, result: CancelAnswer, io: Io): void {
  if (result === 'not_found') io.warn(`no job "${id}"`);
  else if (result === 'already_finished') io.warn(`job ${id} is finished already`);
  else if (io.json || io.quiet) return;
  else if (result === 'cancelled') io.print(`Cancelled ${id}`);
  else io.print(`Cancelling ${id}: it runs, its worker ends it`);
}

async function cancelMatching(
  filter: Filter,
  queue: Queue,
  { flags, io }: Call<typeof FLAGS>,
): Promise<number> {
  return await actOnMatching(
    queue,
    filter,
    { verb: VERB, flags, io },
    {
      nothing: { cancelled: 0, requested: 0 },
      act: (options) => queue.cancelAll(filter, options),
      tell: ({ cancelled, requested }) => {
        if (io.json) io.printJson({ cancelled, cancel_requested: requested });
        else if (!io.quiet) io.print(sumText(cancelled, requested));
      },
    },
  );
}

function sumText(cancelled: number, requested: number): string {
  if (cancelled + requested === 0) return NO_MATCH;
  const running = `${count(requested, 'running one')} being ended`;
  if (cancelled === 0)
    return `Cancelling ${count(requested, 'running job')}: their workers end them`;
  return `Cancelled ${count(cancelled, 'job')}${requested > 0 ? `, ${running}` : ''}`;
}
