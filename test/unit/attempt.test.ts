// Guarantees 8, 9 and 10 from a command's point of view: how it ends, how we end it, and
// that nothing of it is left.

import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { signalGroup } from '../../src/platform/processes.ts';
import { harness, isGone, linuxOnly, pidsIn, textOf, until } from './command-support.ts';

const LONG = { timeout: 30_000 };

test('a command that ends by itself keeps its result', async (t) => {
  const { run } = harness(t);
  assert.deepEqual((await run('exit 0')).outcome, { kind: 'exited', code: 0 });
  assert.deepEqual((await run('exit 3')).outcome, { kind: 'exited', code: 3 });
  assert.deepEqual((await run('exit 255')).outcome, { kind: 'exited', code: 255 });
  // And waits for nothing: no end of file to come, no leftovers to end.
  const times: number[] = [];
  for (let runs = 0; runs < 10; runs += 1) times.push((await run('echo hi')).ms);
  assert.ok(Math.min(...times) < 100, `took ${times.join()} ms`);
});

test('a signal is told from an exit code above 128', async (t) => {
  const { run } = harness(t);
  assert.deepEqual((await run('exit 143')).outcome, { kind: 'exited', code: 143 });
  const signaled = (signal: string, number: number) => ({ kind: 'signaled', signal, number });
  assert.deepEqual((await run('kill -TERM $$')).outcome, signaled('SIGTERM', 15));
  assert.deepEqual((await run('kill -KILL $$')).outcome, signaled('SIGKILL', 9));
  assert.deepEqual((await run('kill -SEGV $$')).outcome, signaled('SIGSEGV', 11));
  // Node reports these as (0, null).
  assert.deepEqual((await run('kill -s 34 $$')).outcome, signaled('SIGRTMIN', 34));
  assert.deepEqual((await run('kill -s 35 $$')).outcome, signaled('SIGRTMIN+1', 35));
  assert.deepEqual((await run('echo x; kill -s 64 $$')).outcome, signaled('SIGRTMIN+30', 64));
});

test('output is counted, complete and in order when the attempt has ended', async (t) => {
  const { run } = harness(t);
  const { stdout, stderr, logBytes } = await run('seq 500; seq 500 >&2; printf last');
  const numbers = Array.from({ length: 500 }, (_, index) => `${index + 1}\n`).join('');
  assert.equal(stdout, `${numbers}last`);
  assert.equal(stderr, numbers);
  assert.equal(logBytes, 2 * numbers.length + 4);
  const paced = await run(
    'for i in 1 2 3; do echo o$i; sleep 0.05; echo e$i >&2; sleep 0.05; done',
  );
  assert.equal(paced.output, 'o1\ne1\no2\ne2\no3\ne3\n');
});

test('output is on file while the command runs', async (t) => {
  const { start } = harness(t);
  const job = start(`printf '10%%\\r'; read x < /dev/null; sleep 60`);
  await job.says('10%\r');
  job.end('cancelled');
  await job.ended;
});

test('a timeout ends a tree that ignores TERM, in time', LONG, async (t) => {
  const { run, warnings } = harness(t, { killAfter: 300 });
  const { outcome, output, ms } = await run({
    command: `trap '' TERM; echo pid $$
      sh -c 'trap "" TERM; echo pid $$; sh -c "trap : TERM; echo pid \\$\\$; sleep 300; sleep 300" & sleep 300; :' &
      sleep 300; sleep 300`,
    timeout: 400,
  });
  assert.deepEqual(outcome, { kind: 'timed_out' });
  assert.ok(ms >= 690 && ms < 400 + 300 + 1000, `took ${ms} ms`);
  const pids = pidsIn(output);
  assert.equal(pids.length, 3);
  assert.deepEqual(
    pids.filter((pid) => !isGone(pid)),
    [],
  );
  assert.deepEqual(warnings, []);
});

test('a timeout that does not strike leaves nothing', async (t) => {
  const { run } = harness(t);
  const { outcome, ms } = await run({ command: 'exit 5', timeout: 60_000 });
  assert.deepEqual(outcome, { kind: 'exited', code: 5 });
  assert.ok(ms < 5000);
});

test('what is left of the group is ended soon after the command', LONG, async (t) => {
  const { run } = harness(t);
  const holding = await run('sleep 60 & echo pid $!; exit 0');
  assert.deepEqual(holding.outcome, { kind: 'exited', code: 0 });
  assert.ok(holding.ms < 1000, `took ${holding.ms} ms`);
  assert.ok(pidsIn(holding.output).every(isGone));

  const silent = await run('sleep 60 >/dev/null 2>&1 & echo pid $!; exit 4');
  assert.deepEqual(silent.outcome, { kind: 'exited', code: 4 });
  assert.ok(pidsIn(silent.output).every(isGone));

  const deaf = await run(
    `sh -c 'trap "echo no" TERM; echo pid $$; sleep 60; sleep 60' & sleep 0.2`,
  );
  assert.deepEqual(deaf.outcome, { kind: 'exited', code: 0 });
  assert.ok(deaf.ms >= 690 && deaf.ms < 2000, `took ${deaf.ms} ms`);
  assert.match(deaf.output, /no\n/);
  assert.ok(pidsIn(deaf.output).every(isGone));

  // Without environment it carries no marker: the group alone gives it away.
  const bare = await run('env -i sleep 60 & echo pid $!; exit 0');
  assert.ok(pidsIn(bare.output).every(isGone));
});

test('who has left the group survives the end of the command', linuxOnly, async (t) => {
  const { run } = harness(t);
  const { outcome, output, ms } = await run(
    `setsid sh -c 'echo pid $$; exec sleep 60' & sleep 0.2`,
  );
  assert.deepEqual(outcome, { kind: 'exited', code: 0 });
  assert.ok(ms < 1000, `took ${ms} ms`);
  const [pid = 0] = pidsIn(output);
  assert.ok(!isGone(pid));
  signalGroup(pid, 'SIGKILL');
});

for (const cause of ['timed_out', 'cancelled', 'lost'] as const) {
  test(`who has left the group is ended by its marker: ${cause}`, linuxOnly, async (t) => {
    const { start } = harness(t, { killAfter: 2000 });
    const job = start(`setsid sh -c 'trap "" TERM; echo pid $$; exec sleep 60' & wait; sleep 60`);
    await job.says('pid');
    const [pid = 0] = pidsIn(job.output());
    job.end(cause);
    assert.deepEqual((await job.ended).outcome, { kind: cause });
    assert.ok(isGone(pid));
  });
}

test('who has left the group is none of a stopping worker’s business', linuxOnly, async (t) => {
  const { start } = harness(t);
  const job = start(`setsid sh -c 'echo pid $$; exec sleep 60' & wait`);
  await job.says('pid');
  const [pid = 0] = pidsIn(job.output());
  job.end('interrupted');
  assert.deepEqual((await job.ended).outcome, { kind: 'interrupted' });
  assert.ok(!isGone(pid));
  signalGroup(pid, 'SIGKILL');
});

test('what a command says after TERM is recorded', LONG, async (t) => {
  const { start, logs } = harness(t);
  const job = start(
    `trap 'echo cleaning up; sleep 0.3; echo cleaned; exit 1' TERM; echo up; while :; do sleep 0.05; done`,
  );
  await job.says('up');
  job.end('cancelled');
  assert.deepEqual((await job.ended).outcome, { kind: 'cancelled' });
  // On stderr dash says that the sleep was ended as well.
  assert.equal(textOf(logs, job.job.key).stdout, 'up\ncleaning up\ncleaned\n');
});

test('all that a command says before it is ended is recorded', LONG, async (t) => {
  const { start } = harness(t);
  // As much as a pipe holds, written in the moment of its end.
  const command = `trap 'head -c 60000 /dev/zero; exit 1' TERM; echo up; while :; do sleep 0.01; done`;
  for (let runs = 0; runs < 10; runs += 1) {
    const job = start(command);
    await job.says('up');
    job.end('interrupted');
    await job.ended;
    assert.equal(job.output().replaceAll('Terminated\n', '').length, 60_003);
  }
});

test('the whole group has kill_after to clean up, not just its shell', LONG, async (t) => {
  const { start } = harness(t);
  // TERM ends the outer shell at once; what it runs needs longer than a leftover gets.
  const job = start(
    `sh -c 'trap "sleep 0.9; echo saved; exit 0" TERM; echo up; while :; do sleep 0.05; done'; :`,
  );
  await job.says('up');
  job.end('interrupted');
  assert.deepEqual((await job.ended).outcome, { kind: 'interrupted' });
  assert.match(job.output(), /saved/);
});

test('a stopped command is woken to end', LONG, async (t) => {
  const { start } = harness(t, { killAfter: 20_000 });
  const job = start('echo pid $$; kill -STOP $$; sleep 60');
  await job.says('pid');
  const before = performance.now();
  job.end('cancelled');
  await job.ended;
  assert.ok(performance.now() - before < 5000);
});

test('the first cause stands, a lost lease kills at once', LONG, async (t) => {
  const { start } = harness(t, { killAfter: 60_000 });
  const stubborn = `trap '' TERM; echo up; while :; do sleep 0.05; done`;
  const lost = start(stubborn);
  await lost.says('up');
  const before = performance.now();
  lost.end('lost');
  assert.deepEqual((await lost.ended).outcome, { kind: 'lost' });

  const first = start(stubborn);
  await first.says('up');
  first.end('interrupted');
  first.end('cancelled');
  first.end('lost');
  assert.deepEqual((await first.ended).outcome, { kind: 'interrupted' });
  assert.ok(performance.now() - before < 5000);
  first.end('lost');
});

test('a command that ended before TERM was sent keeps its result', async (t) => {
  const { start } = harness(t);
  const job = start('exit 7');
  // Without giving the event loop a turn, so that its end cannot have been told yet.
  const enough = performance.now() + 100;
  while (performance.now() < enough);
  job.end('cancelled');
  assert.deepEqual((await job.ended).outcome, { kind: 'exited', code: 7 });
});

test(
  'a chain of processes that fork, leave and exit is caught',
  { ...LONG, ...linuxOnly },
  async (t) => {
    const { start, directory } = harness(t, { killAfter: 100 });
    const script = join(directory, 'hop');
    writeFileSync(script, '#!/bin/sh\necho pid $$\nsleep 0.005\nsetsid "$0" &\n');
    chmodSync(script, 0o755);
    const job = start(`./hop; sleep 60`);
    await until(() => pidsIn(job.output()).length > 5, 'it hopped');
    job.end('cancelled');
    assert.deepEqual((await job.ended).outcome, { kind: 'cancelled' });
    const before = job.output();
    assert.ok(pidsIn(before).every(isGone));
  },
);
