// queuectl cancel ID… or by filter: what waits never starts, what runs is ended by its
// worker.

import { EXIT_CODE_OF } from '../../errors.ts';
import type { State } from '../../job.ts';
import type { Queue } from '../../queue.ts';
import type { CancelAnswer } from '../../store/store.ts';
import { type Call, defineCommand, type Flags } from '../command.ts';
import type { Io } from '../io.ts';
import { withQueue } from '../open.ts';
import { actOnMatching, type Filter, FILTER_FLAGS, filterOf } from '../selection.ts';
import { count, visible } from '../text.ts';

const EXIT_CODES: Readonly<Record<CancelAnswer, number>> = {
  cancelled: 0,
  cancel_requested: 0,
  already_finished: EXIT_CODE_OF.wrong_state,
  not_found: EXIT_CODE_OF.not_found,
};

const CANCELLABLE = ['blocked', 'pending', 'failed', 'processing'] as const satisfies State[];

const FLAGS = {
  state: {
    type: 'list',
    value: 'S',
    choices: CANCELLABLE,
    help: `instead of ids: jobs in this state: ${CANCELLABLE.join(', ')}`,
  },
  ...FILTER_FLAGS,
} as const satisfies Flags;

export const command = defineCommand({
  summary: 'cancel jobs',
  usage: ['cancel ID…', 'cancel [--state S] [--queue Q] [--tag K=V] [--dry-run] [--yes]'],
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
    const asked = flags.state as readonly State[];
    const filter = filterOf('cancel', operands, flags, asked, CANCELLABLE);
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
  const counts = { cancelled: 0, cancel_requested: 0 };
  const acted = await actOnMatching(queue, filter, { verb: 'cancel', flags, io }, async (ids) => {
    for (const answer of await queue.cancel(ids)) {
      // One that finished meanwhile was not there to be cancelled: no failure.
      if (answer === 'cancelled' || answer === 'cancel_requested') counts[answer]++;
    }
  });
  // A rehearsal has answered; a no is answered with zeros where JSON is asked for.
  if (!acted && !(io.json && !flags['dry-run'])) return 0;
  const { cancelled, cancel_requested: requested } = counts;
  if (io.json) {
    io.printJson(counts);
  } else if (!io.quiet) {
    const running = requested > 0 ? `, ${count(requested, 'running one')} being ended` : '';
    io.print(`Cancelled ${count(cancelled, 'job')}${running}`);
  }
  return 0;
}
