// queuectl wait and enqueue --wait: as soon as it is over, with the job's exit code, and what
// logs shows is then complete.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crew, killHard } from '../fixtures/crew.ts';
import { box, exitCode, QUEUECTL, untilOutput } from './box.ts';
import { line, shell, until, working } from './field.ts';
import { hasTmux, terminal } from './terminal.ts';

const noTmux = hasTmux ? false : 'needs tmux(1)';

test('one, several, any: the exit code of the first that failed, in the order asked', async (t) => {
  const cli = await working(t);
  await cli.ok(shell('fine', 'true'));
  await cli.ok(shell('three', 'sleep 0.2; exit 3'));
  await cli.ok(shell('four', 'exit 4'));
  await cli.ok(shell('long', 'exec sleep 60'));
  const wait = async (...args: string[]): Promise<[number | null, string]> => {
    const { code, stdout, stderr } = await cli.q(['wait', ...args]);
    assert.equal(stdout, '');
    return [code, stderr];
  };
  assert.deepEqual(await wait('fine'), [0, '']);
  assert.equal((await wait('fine', 'three', 'four'))[0], 3);
  assert.equal((await wait('four', 'three', 'fine'))[0], 4);
  assert.deepEqual(await wait('--any', 'long', 'fine'), [0, '']);
  assert.equal((await wait('--any', 'long', 'four'))[0], 4);
  assert.match((await wait('long', '--timeout', '50ms')).join(), /^125,.*is processing after 50ms/);
  assert.match((await wait('nosuch')).join(), /^125,queuectl: no job "nosuch"/);
  assert.match((await wait('fine', 'nosuch', '--any')).join(), /^125,queuectl: no job "nosuch"/);
  assert.equal((await wait())[0], 2);
  assert.equal((await wait('fine', '--timeout', 'soon'))[0], 2);
  assert.equal((await wait('fine', 'fine'))[0], 0);
});

test('a job that is deleted while somebody waits', async (t) => {
  const cli = box(t);
  await cli.ok(shell('a', 'true', '--delay', '1h'));
  const waiting = cli.start(['wait', 'a']);
  await until('it waits', () => watching(waiting.pid));
  await cli.ok(['delete', 'a', '--yes']);
  assert.equal(await exitCode(waiting), 125);
});

test('returns at once after the end, and logs is then complete', async (t) => {
  const cli = await working(t);
  // The job writes down when it was over; wait must not be noticeably later.
  const rounds = 100;
  const { stdout } = await line(
    cli,
    `for i in $(seq ${rounds}); do
       id=$(queuectl enqueue -q --shell 'seq 300; seq 300 >&2; sleep 0.02; date +%s%N')
       queuectl wait $id && over=$(date +%s%N) && queuectl logs $id > log
       echo $(grep -c . log) $(( (over - $(tail -n 1 log)) / 1000000 ))
     done`,
    { timeout: 90_000 },
  );
  const answers = stdout
    .trimEnd()
    .split('\n')
    .map((text) => text.split(' ').map(Number));
  assert.equal(answers.length, rounds);
  assert.deepEqual(new Set(answers.map(([lines]) => lines)), new Set([601]));
  const late = answers.map(([, ms]) => ms ?? Infinity).toSorted((a, b) => a - b);
  // 50 ms is the promise. Half of the rounds tell it on a busy machine, too; a lost wake-up
  // would be found by the poll, half a second late on average.
  assert.ok((late[rounds / 2] ?? Infinity) < 50, `median ${late[rounds / 2]} ms`);
});

test('enqueue --wait: one job, and thousands from a file', async (t) => {
  const cli = await working(t);
  const one = await cli.q(['enqueue', '--wait', '--id', 'a', '--shell', 'exit 9']);
  assert.deepEqual([one.code, one.stdout], [9, 'Enqueued a (pending)\n']);
  const jobs = Array.from({ length: 3000 }, (_, i) => ({
    id: `j${i}`,
    command: i === 2000 ? 'exit 5' : ':',
  }));
  const input = jobs.map((job) => JSON.stringify(job)).join('\n');
  const many = await cli.q(['enqueue', '--wait', '-'], { input, timeout: 60_000 });
  assert.deepEqual([many.code, many.stdout], [5, 'Enqueued 3000 jobs\n']);
  assert.equal(many.stderr, 'queuectl: job j2000 is dead: exit code 5\n');
});

test('Ctrl-C ends the waiting and not the job, and says so', async (t) => {
  const cli = box(t);
  await cli.ok(shell('a', 'true', '--delay', '1h'));
  await cli.ok(shell('b', 'true', '--delay', '1h'));
  for (const [ids, said] of [
    [['a'], /job a goes on\nhint: queuectl wait a waits again, queuectl cancel a ends it\n$/],
    [['a', 'b'], /2 jobs that have not finished go on\n$/],
  ] as const) {
    const waiting = cli.start(['wait', ...ids]);
    const told = untilOutput(waiting, said, 'stderr');
    await until('it waits', () => watching(waiting.pid));
    waiting.kill('SIGINT');
    await told;
    assert.equal(await exitCode(waiting), 130);
  }
  assert.equal((await cli.json<{ state: string }>(['show', 'a'])).state, 'pending');
});

test('a job whose worker is gone, and nobody there who could take it up: told', async (t) => {
  const queue = crew(t);
  await queue.enqueue('a', 'sleep 60');
  const [worker] = await queue.begin();
  await until('it runs', async () => (await queue.show('a')).state === 'processing');
  await killHard(...queue.supervisors(), worker?.pid ?? 0);
  const { code, stderr } = await queue.q(['wait', 'a', '--timeout', '100ms']);
  assert.equal(code, 125);
  assert.match(stderr, /hint: the worker that ran it is gone/);
});

test('a job that waits for itself is told so at once, and another of that name is not', async (t) => {
  const cli = await working(t);
  const wait = `${QUEUECTL} wait self`;
  await cli.ok(shell('self', wait));
  assert.equal((await cli.q(['wait', 'self'])).code, 125);
  assert.match(await cli.ok(['logs', 'self']), /would wait for its own end\nhint: /);
  await cli.ok(shell('first', 'true'));
  await cli.ok(shell('any', `${QUEUECTL} wait --any any first`));
  assert.equal((await cli.q(['wait', 'any'])).code, 0);
  // A job of that name in another queue.
  const other = box(t);
  await other.ok(shell('namesake', 'true'));
  await other.ok(['worker', 'start', '--drain', '--foreground']);
  await cli.ok(shell('namesake', `QUEUECTL_HOME=${other.home} ${QUEUECTL} wait namesake`));
  assert.equal((await cli.q(['wait', 'namesake'])).code, 0);
});

test('on a terminal, waiting for many shows how far they are', { skip: noTmux }, async (t) => {
  const cli = await working(t);
  // The first is the last to end: others are counted all the same.
  await cli.ok(shell('long', 'until test -e go; do sleep 0.05; done'));
  await cli.ok(shell('short', 'true'));
  const screen = await terminal(t, cli);
  screen.type('queuectl wait long short; echo "code $?"');
  await screen.shows(/Waiting .* 1 of 2 jobs finished/);
  writeFileSync(join(cli.directory, 'go'), '');
  // It leaves nothing behind.
  assert.match(await screen.shows(/code 0/), /"code \$\?"\ncode 0/);
});

test('waiting costs next to nothing', { skip: process.platform !== 'linux' }, async (t) => {
  const cli = await working(t);
  await cli.ok(shell('a', 'exec sleep 60'));
  await cli.ok(shell('b', 'true', '--delay', '1h'));
  const all = [
    ['wait', 'a'],
    ['logs', '-f', 'a'],
    ['logs', '-f', 'b'],
  ].map((args) => cli.start(args));
  for (const { pid } of all) await until('it waits', () => watching(pid));
  const before = all.map(({ pid }) => cpuTicks(pid));
  await cli.q(['wait', 'a', '--timeout', '5s']);
  const after = all.map(({ pid }) => cpuTicks(pid));
  // Of 500: 1 % and a little.
  for (const [i, ticks] of after.entries()) assert.ok(ticks - (before[i] ?? 0) <= 8, `${i}`);
});

/** Whether a process has an inotify watch: it has begun to wait. */
function watching(pid: number | undefined): Promise<true | undefined> {
  const directory = `/proc/${pid}/fd`;
  const targets = readdirSync(directory).map((fd) => {
    try {
      return readlinkSync(`${directory}/${fd}`);
    } catch {
      return ''; // closed meanwhile
    }
  });
  return Promise.resolve(targets.some((target) => target.includes('inotify')) ? true : undefined);
}

function cpuTicks(pid: number | undefined): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
