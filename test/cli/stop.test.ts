// Stopping workers from another process: gracefully, bounded, at once, and whatever they
// run (guarantee 8).

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import {
  type Crew,
  crew,
  ms,
  outcomes,
  signal,
  spanned,
  spans,
  story,
  until,
} from '../fixtures/crew.ts';
import { exitCode, untilOutput } from './box.ts';

const UNTIL_GO = 'until [ -e go ]; do sleep 0.02; done';
const go = ({ directory }: Crew): void => writeFileSync(join(directory, 'go'), '');

const runs = async (queue: Crew, id: string): Promise<unknown> =>
  await until(`${id} runs`, () => spans(queue).some((span) => span.id === id));

/** What a machine with a lot else to do may take on top of a bound. */
const BUSY_MS = 3000;

suite('worker stop', { concurrency: 3 }, () => {
  test('waits for what runs, says for what, and claims nothing more', async (t) => {
    const queue = crew(t);
    await queue.begin('--count', '2', '--concurrency', '2');
    for (const id of ['a', 'b', 'c']) await queue.enqueue(id, spanned(UNTIL_GO));
    await until('they run', () => spans(queue).length === 3);
    const stop = queue.start(['worker', 'stop']);
    const waits = await untilOutput(stop, /waiting for .*\n/, 'stderr');
    assert.match(waits, /^waiting for (?=.*\ba\b)(?=.*\bb\b)(?=.*\bc\b)/);
    for (const { state } of await queue.workers()) assert.equal(state, 'stopping');
    await queue.enqueue('late', 'true');
    // A second request, from a third terminal, waits for the same.
    const second = queue.start(['worker', 'stop']);
    await untilOutput(second, /waiting for/, 'stderr');
    const said = Promise.all([stop, second].map((child) => untilOutput(child, /\n/)));
    go(queue);
    assert.deepEqual(await said, ['Stopped 2 workers\n', 'Stopped 2 workers\n']);
    assert.deepEqual(await Promise.all([stop, second].map(exitCode)), [0, 0]);
    for (const id of ['a', 'b', 'c']) assert.equal(story(queue, id), 'S1 E1');
    const late = await queue.show('late');
    assert.deepEqual([late.state, late.history.length], ['pending', 0]);
    assert.deepEqual(queue.processes(), []);
  });

  test('--grace bounds it', async (t) => {
    const queue = crew(t);
    await queue.begin('--concurrency', '2');
    await queue.enqueue('long', spanned('sleep 60'));
    await queue.enqueue('short', spanned(UNTIL_GO));
    await until('they run', () => spans(queue).length === 2);
    const asked = Date.now();
    const stopped = queue.ok(['worker', 'stop', '--grace', '1500ms']);
    await until('it stops', async () => (await queue.workers())[0]?.state === 'stopping');
    go(queue);
    await stopped;
    const [long, short] = [await queue.show('long'), await queue.show('short')];
    assert.deepEqual([short.state, outcomes(short)], ['completed', 'exited 0']);
    assert.deepEqual([long.state, long.attempts, outcomes(long)], ['pending', 0, 'interrupted']);
    const took = ms(long.history[0]?.finished_at ?? null) - asked;
    assert.ok(took >= 1500 && took < 1500 + BUSY_MS, `${took} ms`);
    assert.deepEqual(queue.processes(), []);
  });

  test('--now gives jobs back without using a retry, and keeps what they say', async (t) => {
    const queue = crew(t);
    await queue.begin();
    const body = `[ $QUEUECTL_ATTEMPT -gt 1 ] || {
      trap 'echo cleaning up; sleep 0.3; echo done >&2; exit 3' TERM; sleep 60 & wait; }`;
    await queue.enqueue('job', spanned(body), { max_retries: 0 });
    await runs(queue, 'job');
    assert.equal(await queue.ok(['worker', 'stop', '--now']), 'Stopped 1 worker\n');
    const job = await queue.show('job');
    // What we ended is booked as that, whatever code it then returns.
    assert.deepEqual([job.state, job.attempts, outcomes(job)], ['pending', 0, 'interrupted']);
    assert.equal(await queue.ok(['logs', 'job']), 'cleaning up\ndone\n');
    assert.deepEqual(queue.processes(), []);
    await queue.begin();
    const again = await queue.finished('job');
    assert.deepEqual([again.state, again.attempts], ['completed', 1]);
    assert.equal(outcomes(again), 'interrupted, exited 0');
    assert.match(story(queue, 'job'), /^S1 S2 E2$/);
  });

  test('--now overtakes a stop that waits, and ends jobs that ignore TERM', async (t) => {
    const queue = crew(t);
    await queue.ok(['config', 'set', 'kill_after', '500ms']);
    await queue.begin('--count', '2');
    await queue.enqueue('deaf', spanned("trap '' TERM; sleep 60; sleep 60"));
    await runs(queue, 'deaf');
    const patient = queue.start(['worker', 'stop']);
    await untilOutput(patient, /waiting for deaf/, 'stderr');
    const asked = Date.now();
    await queue.ok(['worker', 'stop', '--now']);
    assert.equal(await exitCode(patient), 0);
    const job = await queue.show('deaf');
    assert.deepEqual([job.state, job.attempts, outcomes(job)], ['pending', 0, 'interrupted']);
    const took = ms(job.history[0]?.finished_at ?? null) - asked;
    assert.ok(took >= 500 && took < 500 + BUSY_MS, `${took} ms`);
    assert.deepEqual(queue.processes(), []);
  });

  test('Ctrl-C ends the waiting, not the stop', async (t) => {
    const queue = crew(t);
    await queue.begin();
    await queue.enqueue('job', spanned(UNTIL_GO));
    await runs(queue, 'job');
    const stop = queue.start(['worker', 'stop']);
    await untilOutput(stop, /waiting for job/, 'stderr');
    stop.kill('SIGINT');
    assert.equal(await exitCode(stop), 130);
    assert.equal((await queue.workers())[0]?.state, 'stopping');
    go(queue);
    await until('all have ended', () => queue.processes().length === 0);
    assert.equal((await queue.show('job')).state, 'completed');
  });

  test('--now ends a worker that does not react, and what it ran', async (t) => {
    const queue = crew(t);
    await queue.ok(['config', 'set', 'kill_after', '100ms']);
    await queue.ok(['config', 'set', 'backoff_base', '1']);
    const [worker] = await queue.begin();
    await queue.enqueue('job', spanned('[ $QUEUECTL_ATTEMPT -gt 1 ] || sleep 60'));
    await runs(queue, 'job');
    signal(worker?.pid ?? 0, 'SIGSTOP');
    await queue.ok(['worker', 'stop', '--now']);
    assert.deepEqual(queue.processes(), []);
    const job = await queue.show('job');
    assert.deepEqual([job.state, outcomes(job)], ['failed', 'lost']);
    await queue.begin();
    assert.equal(outcomes(await queue.finished('job')), 'lost, exited 0');
    assert.equal(story(queue, 'job'), 'S1 S2 E2');
  });

  test('says so when none runs', async (t) => {
    const queue = crew(t);
    assert.equal(await queue.ok(['worker', 'stop']), 'No worker is running.\n');
    assert.deepEqual(await queue.json(['worker', 'stop', '--now']), { stopped: 0 });
    await queue.begin();
    assert.deepEqual(await queue.json(['worker', 'stop']), { stopped: 1 });
    assert.equal(await queue.ok(['worker', 'stop', '--grace', '5s']), 'No worker is running.\n');
  });
});
