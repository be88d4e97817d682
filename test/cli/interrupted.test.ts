// Ctrl-C in the middle of a verb over many jobs: the batch at hand is done as a whole, the
// rest is as it was, and that is told.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { holdLock } from '../faults/kit/lock-holder.ts';
import { type Crew, crew } from '../fixtures/crew.ts';
import { box, untilOutput } from './box.ts';
import { hasTmux, terminal } from './terminal.ts';

const skip = hasTmux ? false : 'needs tmux(1)';

/** Jobs a transaction: no promise, but what is interrupted here has done one of them. */
const BATCH = 500;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Interrupts it while its first batch waits for the write lock, which it then gets. */
async function interrupted(queue: Crew, args: readonly string[]): Promise<Ended> {
  const release = await holdLock(queue);
  const child = queue.start(args);
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const closed = once(child, 'close');
  await untilOutput(child, /waiting for another process that writes/, 'stderr');
  child.kill('SIGINT');
  await release();
  await closed;
  return { code: child.exitCode, stdout, stderr };
}

test('every verb: one batch is done, the rest is as it was', { timeout: 120_000 }, async (t) => {
  const queue = crew(t);
  const fails = (n: number, fields: string): string => `{"command":"exit 1"${fields}}\n`.repeat(n);
  const input =
    fails(3 * BATCH + 100, ',"max_retries":0') + fails(2 * BATCH + 100, ',"queue":"other"');
  await queue.ok(['enqueue', '--quiet', '-'], { input });
  const drain = ['worker', 'start', '--foreground', '--drain', '--queue', 'default'];
  await queue.ok([...drain, '--concurrency', '8'], { timeout: 90_000 });
  const counted = async (): Promise<Record<string, number>> =>
    (await queue.json<{ jobs: Record<string, number> }>(['status'])).jobs;

  const other = ['--queue', 'other', '--yes'];
  // What is asked, what stdout says, and which states then have how many jobs.
  const cases: [string[], string | object, Record<string, number>][] = [
    [['edit', ...other, '--priority', '7'], 'Edited 500 jobs\n', { pending: 1100 }],
    [['cancel', ...other], { cancelled: 500, cancel_requested: 0 }, { cancelled: 500 }],
    [['delete', ...other], 'Deleted 500 jobs\n', { cancelled: 0, pending: 600 }],
    [['retry', '--state', 'dead', '--yes'], { retried: 500 }, { dead: 1100 }],
    [['dlq', 'retry', '--all'], 'Retrying 500 jobs\n', { dead: 600, pending: 1600 }],
    [['dlq', 'purge', '--yes'], { purged: 500 }, { dead: 100 }],
  ];
  for (const [args, said, expected] of cases) {
    const json = typeof said === 'object';
    const { code, stdout, stderr } = await interrupted(queue, [
      ...args,
      ...(json ? ['--json'] : []),
    ]);
    const what = args.join(' ');
    assert.equal(code, 130, `${what}: ${stderr}`);
    assert.deepEqual(json ? JSON.parse(stdout) : stdout, said, what);
    assert.match(stderr, /^queuectl: interrupted: the other jobs are as they were$/m, what);
    const found = await counted();
    for (const [state, n] of Object.entries(expected)) assert.equal(found[state], n, what);
  }
});

test('on a terminal: how far it is, and Ctrl-C', { skip, timeout: 90_000 }, async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--quiet', '-'], { input: '{"command":"true"}\n'.repeat(100_000) });
  const pane = await terminal(t, cli);
  pane.type('queuectl edit --state pending --priority 7 --yes');
  await pane.shows(/^Editing [\d,]+ jobs/m);
  pane.press('C-c');
  const shown = await pane.shows(/^queuectl: interrupted: the other jobs are as they were$/m);
  assert.match(shown, /^Edited [\d,]+ jobs$/m);
  assert.doesNotMatch(shown, /Editing/);
  pane.type('echo code $?');
  await pane.shows(/^code 130$/m);
});
