// Fault 43: a command that reads its input finds the end of it at once, and one that closes
// its input or its outputs is none the worse for it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import { type Crew, crew, ms } from '../fixtures/crew.ts';

/** A read that waits would wait for ever; a busy machine may take so long for a trivial job. */
const BUSY_MS = 5000;

const COMMANDS = [
  ['cat', 'cat; echo "end $?"', 0, 'end 0\n'],
  ['read', 'read line || echo nothing', 0, 'nothing\n'],
  ['a program that asks', 'printf "sure? "; read answer; echo "[$answer]"', 0, 'sure? []\n'],
  ['a child that reads', 'sh -c "wc -c"', 0, '0\n'],
  ['stdin closed', 'exec 0<&-; echo closed; cat <&0 2>/dev/null || echo none', 0, 'closed\nnone\n'],
  ['all closed', 'exec 0<&- 1>&- 2>&-; sleep 0.1; exit 7', 7, ''],
  ['outputs closed, and running on', 'echo out; exec 1>&- 2>&-; sleep 0.5; exit 3', 3, 'out\n'],
] as const;

async function assertAll(queue: Crew): Promise<void> {
  for (const [id, command] of COMMANDS) {
    await queue.enqueue(id.replaceAll(/\W+/g, '-'), command, { max_retries: 0, timeout: 20 });
  }
  for (const [name, , code, output] of COMMANDS) {
    const id = name.replaceAll(/\W+/g, '-');
    const job = await queue.finished(id);
    assert.deepEqual([job.outcome, job.exit_code], ['exited', code], name);
    assert.equal(await queue.ok(['logs', id]), output, name);
    const [attempt] = job.history;
    const took = ms(attempt?.finished_at ?? null) - ms(attempt?.started_at ?? null);
    assert.ok(took < BUSY_MS, `${name}: ${took} ms`);
  }
}

suite('a command that reads or closes stdin', { concurrency: 2 }, () => {
  test('with a worker in the background', async (t) => {
    const queue = crew(t);
    await queue.begin('--concurrency', '3');
    await assertAll(queue);
  });

  // Its stdin is a pipe with something in it, and never ends.
  test('with a worker whose own stdin is open', async (t) => {
    const queue = crew(t);
    const worker = queue.start(['worker', 'start', '--foreground', '--concurrency', '3']);
    worker.stdin?.write('not for jobs\n');
    await assertAll(queue);
    const stopped = once(worker, 'exit');
    await queue.ok(['worker', 'stop']);
    assert.deepEqual(await stopped, [0, null]);
  });
});
