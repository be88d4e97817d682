// Fault 17: another process holds the write lock for 20 s. Commands wait, what ended
// meanwhile is recorded, nothing runs twice (guarantees 3 and 7). Field case LQ-05.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { crew, outcomes, spanned, spans, story, until } from '../fixtures/crew.ts';
import { exitCode } from '../cli/box.ts';
import { holdLock } from './kit/lock-holder.ts';

suite('the write lock is held', { concurrency: 2 }, () => {
  test('for 20 s: nothing is lost, nothing runs twice', async (t) => {
    const queue = crew(t);
    await queue.ok(['config', 'set', 'lease', '1s']);
    await queue.begin('--count', '2', '--concurrency', '2');
    const ends = 'until [ -e end ]; do sleep 0.02; done';
    await queue.enqueue('ends-while-held', spanned(ends));
    await queue.enqueue('fails-while-held', spanned(`${ends}; exit 3`), { max_retries: 0 });
    await queue.enqueue('ends-after', spanned('until [ -e go ]; do sleep 0.02; done'));
    await until('they run', () => spans(queue).length === 3);

    const release = await holdLock(queue);
    writeFileSync(join(queue.directory, 'end'), '');
    const { promise: waiting, resolve: waits } = Promise.withResolvers<undefined>();
    const late = queue.start(['enqueue', '--id', 'late', '--', 'true']);
    late.stderr?.on('data', (chunk: Buffer) => {
      if (/waiting for another process/.test(chunk.toString())) waits(undefined);
    });
    await until(
      'two have ended',
      () => spans(queue).filter(({ what }) => what === 'E').length === 2,
    );
    await waiting;
    // Who only looks is not held up.
    assert.equal((await queue.show('ends-while-held')).state, 'processing');
    assert.equal((await queue.workers()).length, 2);
    // The fault itself: leases of 1 s have long expired by then.
    await sleep(20_000);
    assert.equal((await queue.show('ends-while-held')).state, 'processing');
    await release();

    assert.equal(await exitCode(late), 0);
    writeFileSync(join(queue.directory, 'go'), '');
    const [ended, failed, after, enqueued] = await queue.allFinished([
      'ends-while-held',
      'fails-while-held',
      'ends-after',
      'late',
    ]);
    assert.equal(outcomes(ended ?? assert.fail()), 'exited 0');
    assert.equal(outcomes(failed ?? assert.fail()), 'exited 3');
    assert.equal(outcomes(after ?? assert.fail()), 'exited 0');
    assert.equal(outcomes(enqueued ?? assert.fail()), 'exited 0');
    for (const id of ['ends-while-held', 'fails-while-held', 'ends-after']) {
      assert.equal(story(queue, id), 'S1 E1', id);
    }
    assert.doesNotMatch(queue.log(), /lost/);
  });

  test('when a worker dies: its attempt is lost once it can be written', async (t) => {
    const queue = crew(t);
    await queue.ok(['config', 'set', 'backoff_base', '1']);
    const [worker] = await queue.begin();
    await queue.enqueue('job', spanned('[ $QUEUECTL_ATTEMPT -gt 1 ] || sleep 60'));
    await until('it runs', () => spans(queue).length === 1);
    const release = await holdLock(queue);
    process.kill(worker?.pid ?? 0, 'SIGKILL');
    await until('its processes are gone', () =>
      queue.processes().every(({ args }) => args !== 'sleep 60'),
    );
    assert.equal((await queue.show('job')).state, 'processing');
    await release();
    assert.equal(outcomes(await queue.finished('job')), 'lost, exited 0');
    assert.equal(story(queue, 'job'), 'S1 S2 E2');
  });
});
