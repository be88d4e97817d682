// Fault 38: a deep tree that ignores TERM, some of it outside its group, is gone by
// timeout + kill_after + 1 s (guarantee 10), and so is a bounded fork bomb, of which no worker
// dies. Hundreds at once: hundreds-at-once.test.ts.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { crew, ms, outcomes, until } from '../fixtures/crew.ts';

/** What a machine with a lot else to do may take on top of what is promised. */
const BUSY_MS = 2000;

suite('a command that ignores TERM', { concurrency: 2 }, () => {
  test('is gone by timeout + kill_after + 1 s, with its whole tree', async (t) => {
    const queue = crew(t);
    await queue.ok(['config', 'set', 'kill_after', '1s']);
    await queue.begin();
    // Each level of twenty leaves one process in the background and goes on one deeper.
    const script = `trap '' TERM HUP INT
      level=$1; [ $level -gt 0 ] || { echo bottom; sleep 60; exit; }
      case $level in 5|15) setsid -f sleep 61 ;; *) sleep 62 & ;; esac
      sh "$0" $((level - 1)); wait`;
    await queue.ok([
      'enqueue',
      '--id',
      'tree',
      '--timeout',
      '1500ms',
      '--max-retries',
      '0',
      '--',
      'sh',
      '-c',
      `printf '%s' "$1" >tree.sh; trap '' TERM; sh tree.sh 20; wait`,
      'sh',
      script,
    ]);
    await until('the tree has grown', () => queue.processes().length > 40);
    const job = await queue.finished('tree');
    const left = queue.processes().filter(({ args }) => !args.includes('__'));
    assert.deepEqual(left, []);
    assert.deepEqual([job.state, outcomes(job)], ['dead', 'timed_out']);
    const [attempt] = job.history;
    const took = ms(attempt?.finished_at ?? null) - ms(attempt?.started_at ?? null);
    t.diagnostic(`${took} ms`);
    assert.ok(took >= 2500 && took < 3500 + BUSY_MS, `${took} ms`);
    assert.equal(await queue.ok(['logs', 'tree']), 'bottom\n');
  });

  test('and forks until it may not any more', { skip: notRoot() }, async (t) => {
    const queue = crew(t);
    await queue.ok(['config', 'set', 'kill_after', '300ms']);
    await queue.begin();
    // As a user of its own, for whom the kernel counts the processes.
    // It is bash that tries again where it may not fork.
    const bomb = `trap '' TERM; b() { b & b & wait; }; b`;
    await queue.ok([
      'enqueue',
      '--id',
      'bomb',
      '--timeout',
      '2s',
      '--max-retries',
      '0',
      '--',
      'setpriv',
      '--reuid=54321',
      '--clear-groups',
      'prlimit',
      '--nproc=60',
      'bash',
      '-c',
      bomb,
    ]);
    await until('it has grown', () => queue.processes().length > 40);
    const job = await queue.finished('bomb');
    const left = queue.processes().filter(({ args }) => !args.includes('__'));
    assert.deepEqual(left, []);
    assert.deepEqual([job.state, outcomes(job)], ['dead', 'timed_out']);
    const [attempt] = job.history;
    const took = ms(attempt?.finished_at ?? null) - ms(attempt?.started_at ?? null);
    t.diagnostic(`${took} ms`);
    assert.ok(took >= 2300 && took < 3300 + BUSY_MS, `${took} ms`);
    await queue.enqueue('next', 'true');
    assert.equal((await queue.finished('next')).state, 'completed');
  });
});

function notRoot(): string | false {
  return process.getuid?.() === 0 ? false : 'needs root, to run something as another user';
}
