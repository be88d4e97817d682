// Directed storms on the executable, each a few seconds: one fault, played so that a missing
// guard shows in the history. They run with the mutants only; the tests of test/faults/ are
// those that promise something.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { signal, until } from '../fixtures/crew.ts';
import { Scene } from './scene.ts';

test('commands that fail come back after their backoff, and some die', async (t) => {
  const scene = await Scene.open(t);
  await scene.queue.begin('--concurrency', '4');
  await scene.enqueue('once', 'true');
  await scene.enqueue('twice', '[ $QUEUECTL_ATTEMPT = 2 ]', { fields: { max_retries: 1 } });
  await scene.enqueue('never', 'exit 3', { fields: { max_retries: 1 } });
  await scene.enqueue('at-once', 'exit 3', { fields: { max_retries: 0 } });
  await scene.judge();
});

test('a job is cancelled between two tries', async (t) => {
  const scene = await Scene.open(t);
  await scene.queue.begin();
  await scene.enqueue('job', '[ $QUEUECTL_ATTEMPT = 2 ]');
  await until('it has failed', async () => (await scene.queue.show('job')).state === 'failed');
  await scene.cancel('job');
  // Behind it in the line: when this one is over, its turn has come.
  await scene.enqueue('next', 'sleep 1.5');
  await scene.queue.finished('next');
  await scene.enqueue('last', 'true');
  await scene.judge();
});

test('a cancel comes after the command has ended and before its worker knows', async (t) => {
  const scene = await Scene.open(t);
  await scene.queue.begin();
  await scene.enqueue('job', 'until [ -e end ]; do sleep 0.02; done');
  const { pid } = await scene.owner('job');
  signal(pid, 'SIGSTOP');
  writeFileSync(join(scene.queue.directory, 'end'), '');
  await scene.written('job', 'E', 1);
  await scene.cancel('job');
  signal(pid, 'SIGCONT');
  await scene.judge();
});

test('jobs are given back by a worker that stops, and go on', async (t) => {
  const scene = await Scene.open(t);
  await scene.queue.begin();
  await scene.enqueue('job', '[ $QUEUECTL_ATTEMPT = 2 ] || sleep 30', {
    fields: { max_retries: 0 },
  });
  await scene.written('job', 'S', 1);
  await scene.queue.ok(['worker', 'stop', '--now']);
  await scene.queue.begin();
  await scene.judge();
});

test('jobs are refused together, because of one of them', async (t) => {
  const scene = await Scene.open(t);
  await scene.queue.begin();
  await scene.enqueue('taken', 'true');
  await scene.enqueueAll(['before', 'taken']);
  await scene.judge();
});

/** Nothing of our own but what the command must write down. */
const CLEARED = [
  'env',
  '-i',
  'PATH=$PATH',
  ...['JOB_ID', 'ATTEMPT'].map((name) => `QUEUECTL_${name}=$QUEUECTL_${name}`),
];

// What a worker knows of its attempt's processes when it is killed: their group, from its
// roster; and those that have left the group, by the marker in their environment.
for (const [what, command, within] of [
  ['lives on', 'sleep 30', []],
  ['has left its group', 'setsid -f sleep 30; sleep 30', []],
  ['has cleared its environment', 'sleep 30', CLEARED],
] as const) {
  test(`a worker is killed, and its command ${what}`, async (t) => {
    const scene = await Scene.open(t);
    await scene.queue.begin('--count', '2');
    await scene.enqueue('job', `[ $QUEUECTL_ATTEMPT = 2 ] || { ${command}; }`, { within });
    await scene.written('job', 'S', 1);
    const { pid } = await scene.owner('job');
    await scene.kill(pid);
    await scene.judge();
  });
}

test('a worker is stopped with a result in its hand, past its lease', async (t) => {
  const scene = await Scene.open(t, { lease: '1s' });
  const { queue } = scene;
  await scene.beginStopping('after-exit');
  const body = `[ $QUEUECTL_ATTEMPT = 2 ] || exit 0; until [ -e go ]; do sleep 0.02; done; exit 3`;
  await scene.enqueue('job', body);
  const stopped = await scene.stopped();
  await queue.begin();
  await scene.written('job', 'S', 2);
  signal(stopped, 'SIGCONT');
  await until(
    'it has written it, or could not',
    () => /job: attempt 1 (was no longer ours|exited)/.test(queue.log()),
    3000,
  ).catch(() => {});
  writeFileSync(join(queue.directory, 'go'), '');
  await scene.judge();
});

test('a timeout ends what has left the group and does not hear TERM', async (t) => {
  const scene = await Scene.open(t, { kill_after: '200ms' });
  await scene.queue.begin();
  const deaf = `trap '' TERM; setsid -f sleep 30; sleep 30`;
  await scene.enqueue('job', deaf, { fields: { timeout: '500ms', max_retries: 0 } });
  await scene.judge();
});

test('a command ends and leaves a process in its group', async (t) => {
  const scene = await Scene.open(t);
  await scene.queue.begin();
  await scene.enqueue('job', 'sleep 30 >/dev/null 2>&1 &');
  await scene.judge();
});
