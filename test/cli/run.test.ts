// queuectl run: a command as a job, at a prompt and in a script. Its output, its exit code,
// and what happens to the job when whoever watches it leaves.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { type Box, box, exitCode, untilOutput } from './box.ts';
import { type JobJson, line, until, untilState, working } from './field.ts';
import { hasTmux, type Terminal, terminal } from './terminal.ts';

const skip = hasTmux ? false : 'needs tmux(1)';

test('each stream to its own, and the exit code of the command', async (t) => {
  const cli = await working(t);
  const answer = await cli.q(['run', '--shell', 'echo out; echo err >&2; printf end; exit 7']);
  assert.equal(answer.code, 7);
  assert.equal(answer.stdout, 'out\nend');
  assert.match(answer.stderr, /^err\nqueuectl: job \S+ is dead: exit code 7\n$/);
  const quiet = await cli.q(['run', '--quiet', '--shell', 'echo out; exit 7']);
  assert.deepEqual(quiet, { code: 7, stdout: 'out\n', stderr: '' });
});

test('exit codes: timed out, not found, not executable, killed, cancelled', async (t) => {
  const cli = await working(t);
  writeFileSync(join(cli.directory, 'plain'), '');
  const cases: [number, ...string[]][] = [
    [0, '--', 'true'],
    [124, '--timeout', '200ms', '--', 'sleep', '60'],
    [127, '--', 'no-such-program'],
    [126, '--', './plain'],
    [137, '--shell', 'kill -KILL $$'],
    [143, '--shell', 'exit 143'],
    [125, '--no-such-flag', '--', 'true'],
    [125],
  ];
  for (const [code, ...args] of cases) {
    const answer = await cli.q(['run', ...args]);
    assert.equal(answer.code, code, `${args.join(' ')}: ${answer.stderr}`);
    assert.equal(answer.stdout, '');
    if (code > 0) assert.match(answer.stderr, /^queuectl: ./m);
  }
  const run = cli.start(['run', '--id', 'x', '--shell', 'echo up; exec sleep 60']);
  await untilOutput(run, /up/);
  await cli.ok(['cancel', 'x']);
  assert.equal(await exitCode(run), 130);
  // Deleted before it began: nobody will ever answer.
  const gone = cli.start(['run', '--id', 'y', '--delay', '1h', '--', 'true']);
  await untilOutput(gone, /starts in 1h/, 'stderr');
  await cli.ok(['delete', 'y', '--yes']);
  assert.equal(await exitCode(gone), 125);
});

test('retries: says why and when, and answers with the last attempt', async (t) => {
  const cli = await working(t);
  const command = 'echo try $QUEUECTL_ATTEMPT; test $QUEUECTL_ATTEMPT = 2 || exit 3';
  const answer = await cli.q(['run', '--max-retries', '2', '--shell', command]);
  assert.deepEqual([answer.code, answer.stdout], [0, 'try 1\ntry 2\n']);
  assert.match(answer.stderr, /^queuectl: attempt 1: exit code 3; again in [12]s\n$/);
});

test('--json: the output document by document, then the job', async (t) => {
  const cli = await working(t);
  const { code, stdout } = await cli.q(['run', '--json', '--shell', 'echo out; echo err >&2']);
  assert.equal(code, 0);
  const documents = stdout
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as Record<string, unknown>);
  const said = documents
    .slice(0, -1)
    .map(({ stream, text }) => `${String(stream)}: ${String(text)}`);
  assert.deepEqual(
    said.toSorted((a, b) => a.localeCompare(b)),
    ['stderr: err\n', 'stdout: out\n'],
  );
  assert.equal(documents.at(-1)?.['state'], 'completed');
});

test('a reader that leaves: quiet, the job goes on and that is said', async (t) => {
  const cli = await working(t);
  const { code, stdout, stderr } = await line(
    cli,
    'set -o pipefail; queuectl run --id h -- sh -c "yes | head -c 1000000; sleep 60" | head -1',
  );
  assert.deepEqual([code, stdout], [141, 'y\n']);
  assert.match(stderr, /^queuectl: nobody reads its output any more; job h goes on; .*cancel h\n$/);
  assert.equal((await cli.json<JobJson>(['show', 'h'])).state, 'processing');
});

test('its stdin is not the job’s, unless asked', async (t) => {
  const cli = await working(t);
  const loop = 'printf "a\\nb\\n" | while read x; do queuectl run -- sh -c "cat; echo $x"; done';
  assert.equal((await line(cli, loop)).stdout, 'a\nb\n');
  assert.equal((await line(cli, 'echo data | queuectl run --stdin - -- cat')).stdout, 'data\n');
});

test('signals without a terminal detach; the job goes on', async (t) => {
  const cli = await working(t);
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    const run = cli.start(['run', '--id', name, '--shell', 'echo up; exec sleep 60']);
    await untilOutput(run, /up/);
    const told = untilOutput(run, /goes on/, 'stderr');
    run.kill(name);
    await told;
    assert.equal(await exitCode(run), code);
    assert.equal((await cli.json<JobJson>(['show', name])).state, 'processing');
    await cli.ok(['cancel', name]);
  }
});

test('a success whose output has a hole in it is none to a program', async (t) => {
  const cli = await working(t);
  await cli.ok(['config', 'set', 'log_max_bytes', '4096']);
  const command = 'echo up; until test -e go; do sleep 0.05; done; seq 1 100000';
  const run = cli.start(['run', '--id', 'a', '--shell', command]);
  await untilOutput(run, /up/);
  const said = untilOutput(run, /not all of its output was passed on\nhint: /, 'stderr');
  const pid = run.pid ?? assert.fail('no process');
  process.kill(pid, 'SIGSTOP');
  writeFileSync(join(cli.directory, 'go'), '');
  await untilState(cli, 'a', 'completed');
  process.kill(pid, 'SIGCONT');
  await said;
  assert.equal(await exitCode(run), 125);
});

test('Ctrl-C is heard while a job prints without end', { skip }, async (t) => {
  const cli = await working(t);
  const pane = await terminal(t, cli);
  pane.type('queuectl run --id a -- yes abcdefgh');
  await pane.shows(/abcdefgh\nabcdefgh/);
  pane.press('C-c');
  await pane.shows(/\[D\/c\]/);
  pane.type('c');
  await pane.shows(/job a is cancelled/);
});

test('inside a job that holds the only slot it says why nothing happens', async (t) => {
  const cli = await working(t, 1);
  await cli.ok(['enqueue', '--id', 'outer', '--shell', 'queuectl run --id inner -- echo hi'], {
    env: { PATH: `${join(import.meta.dirname, '../../dist')}:${cli.env['PATH'] ?? ''}` },
  });
  await untilOutput(cli.start(['logs', '-f', 'outer']), /the only slot is held by job outer/);
  await cli.ok(['worker', 'start']);
  assert.equal((await cli.q(['wait', 'outer'])).code, 0);
});

test('Ctrl-C: detach', { skip }, async (t) => {
  const { cli, pane } = await running(t, 'a');
  pane.press('C-c');
  await pane.shows(/Detach .* cancel it\? \[D\/c\]/);
  pane.type('d');
  await pane.shows(/job a goes on; queuectl logs -f a, queuectl cancel a\n/);
  pane.type('echo code $?');
  await pane.shows(/^code 130/m);
  assert.equal((await cli.json<JobJson>(['show', 'a'])).state, 'processing');
});

test('Ctrl-C: cancel', { skip }, async (t) => {
  const { cli, pane } = await running(t, 'a');
  pane.press('C-c');
  await pane.shows(/\[D\/c\]/);
  pane.type('c');
  await pane.shows(/job a is cancelled/);
  pane.type('echo code $?');
  await pane.shows(/^code 130/m);
  await untilState(cli, 'a', 'cancelled');
});

test(
  'Ctrl-C twice detaches with a word, and the shell has its terminal back',
  { skip },
  async (t) => {
    const { cli, pane } = await running(t, 'a');
    pane.press('C-c');
    await pane.shows(/\[D\/c\]/);
    pane.press('z');
    await pane.shows(/\[D\/c\] z/);
    pane.press('C-c');
    await pane.shows(/job a goes on/);
    pane.type('echo code $?; cat');
    await pane.shows(/^code 130/m);
    pane.type('typed');
    await pane.shows(/^typed\ntyped/m);
    assert.equal((await cli.json<JobJson>(['show', 'a'])).state, 'processing');
  },
);

test('Ctrl-C while a cancelled job still ends: does not wait for it', { skip }, async (t) => {
  const trap = 'trap "" TERM; echo up; while :; do sleep 0.1; done';
  const { cli, pane } = await running(t, 'a', trap);
  await cli.ok(['config', 'set', 'kill_after', '1s']);
  pane.press('C-c');
  await pane.shows(/\[D\/c\]/);
  pane.type('c');
  await pane.shows(/ending job a; Ctrl-C does not wait for it/);
  pane.press('C-c');
  await pane.shows(/job a is being cancelled; queuectl wait a\n/);
  assert.equal((await cli.q(['wait', 'a'])).code, 130);
});

test('a job that ends while the question stands takes it back', { skip }, async (t) => {
  const { cli, pane } = await running(
    t,
    'a',
    'echo up; until test -e go; do sleep 0.05; done; exit 3',
  );
  pane.press('C-c');
  await pane.shows(/\[D\/c\]/);
  writeFileSync(join(cli.directory, 'go'), '');
  await pane.shows(/job a is dead: exit code 3\n/);
  pane.type('echo code $?');
  await pane.shows(/^code 3/m);
});

test('Ctrl-C before the job has begun', { skip }, async (t) => {
  const cli = box(t);
  const pane = await terminal(t, cli);
  pane.type('queuectl run --id a -- true');
  await pane.shows(/no worker is running/);
  pane.press('C-c');
  await pane.shows(/\[D\/c\]/);
  pane.press('Enter');
  await pane.shows(/job a stays in the queue/);
  assert.equal((await cli.json<JobJson>(['show', 'a'])).state, 'pending');
  pane.type('clear; queuectl run --id b -- true');
  await pane.shows(/no worker is running/);
  pane.press('C-c');
  await pane.shows(/\[D\/c\]/);
  pane.type('c');
  await pane.shows(/job b is cancelled/);
});

/** A shell that outlives the terminal, and writes down the exit code of what it runs. */
const outliving = (call: string): string => `sh -c 'trap : HUP INT; ${call}; echo $? >code'`;

async function codeOf({ directory }: Box): Promise<number> {
  const file = join(directory, 'code');
  const read = (): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');
  return Number(await until('run ends', () => Promise.resolve(read().trim() || undefined)));
}

test('stdin is no terminal: Ctrl-C detaches without a question', { skip }, async (t) => {
  const cli = await working(t);
  const pane = await terminal(t, cli);
  const run = (id: string): string => `queuectl run --id ${id} --shell "echo ${id}; sleep 60"`;
  for (const [id, call] of [
    ['a', `${run('a')} </dev/null`],
    ['b', `${run('b')} <&-`],
    ['c', `: | ${run('c')}`],
  ] as const) {
    pane.type(`clear; rm -f code; ${outliving(call)}`);
    await pane.shows(new RegExp(`^${id}$`, 'm'));
    pane.press('C-c');
    const shown = await pane.shows(new RegExp(`job ${id} goes on; .* cancel ${id}$`, 'm'));
    assert.doesNotMatch(shown, /Detach/);
    assert.equal(await codeOf(cli), 130);
    assert.equal((await cli.json<JobJson>(['show', id])).state, 'processing');
  }
});

test('the terminal is closed: the job goes on, run does not', { skip }, async (t) => {
  const cli = await working(t);
  // While it prints nothing, in the middle of a line, and of a character.
  for (const [id, command] of [
    ['a', 'echo up; exec sleep 60'],
    ['b', String.raw`echo up; printf "x\\303"; exec sleep 60`],
  ] as const) {
    const pane = await terminal(t, cli);
    const quoted = command.replaceAll('"', String.raw`\"`);
    pane.type(outliving(`queuectl run --id ${id} --shell "${quoted}"`));
    await pane.shows(id === 'a' ? /^up$/m : /^x/m);
    pane.close();
    assert.equal(await codeOf(cli), 129);
    assert.equal((await cli.json<JobJson>(['show', id])).state, 'processing');
    rmSync(join(cli.directory, 'code'));
  }
});

test('the terminal is closed while the question stands', { skip }, async (t) => {
  const cli = await working(t);
  const pane = await terminal(t, cli);
  pane.type(outliving('queuectl run --id a --shell "echo up; printf x; exec sleep 60"'));
  await pane.shows(/^x/m);
  pane.press('C-c');
  await pane.shows(/\[D\/c\]/);
  pane.close();
  // The signal may come before the end of input or after it.
  assert.ok([129, 130].includes(await codeOf(cli)));
  assert.equal((await cli.json<JobJson>(['show', 'a'])).state, 'processing');
});

test('TERM while the question stands is the answer', { skip }, async (t) => {
  const cli = await working(t);
  const pane = await terminal(t, cli);
  const run = 'sh -c "echo \\$\\$ >pid; exec queuectl run --id a --shell \\"echo up; sleep 60\\""';
  pane.type(outliving(run));
  await pane.shows(/^up$/m);
  pane.press('C-c');
  await pane.shows(/\[D\/c\]/);
  process.kill(Number(readFileSync(join(cli.directory, 'pid'), 'utf8')), 'SIGTERM');
  await pane.shows(/job a goes on/);
  assert.equal(await codeOf(cli), 143);
  assert.equal((await cli.json<JobJson>(['show', 'a'])).state, 'processing');
});

test('escapes on a terminal, bytes in a pipe; --raw; a narrow terminal', { skip }, async (t) => {
  const cli = await working(t);
  const pane = await terminal(t, cli, { columns: 30 });
  const command = String.raw`printf 'a\033[31mb\303\251\n%040d\nend' 0`;
  pane.type(`clear; queuectl run -q --shell "${command.replaceAll('\\', '\\\\')}"`);
  assert.match(await pane.shows(/^end\n\$/m), /^a\\e\[31mbé\n0{30}\n0{10}\nend\n\$/m);
  pane.type(`clear; queuectl run -q --raw --shell "${command.replaceAll('\\', '\\\\')}"`);
  // Not only its end, which the screen still shows from before.
  await pane.shows(/^abé\n0{30}\n0{10}\nend\n\$/m);
  const piped = await cli.q(['run', '-q', '--shell', command]);
  assert.equal(piped.stdout, `a\u001b[31mbé\n${'0'.repeat(40)}\nend`);
});

test('a bulk enqueue of 100,000 jobs shows its progress and clears it', { skip }, async (t) => {
  const cli = box(t);
  const pane = await terminal(t, cli);
  pane.type(`seq 100000 | sed 's/.*/{"command":"true"}/' | queuectl enqueue -`);
  await pane.shows(/^(Reading|Storing) [█░ ]*[\d,]+/m);
  const shown = await pane.shows(/^Enqueued 100,000 jobs$/m);
  assert.doesNotMatch(shown, /Reading|Storing/);
});

/** `run` in a terminal, and the job has begun to speak. */
async function running(
  t: TestContext,
  id: string,
  command = 'echo up; exec sleep 60',
): Promise<{ cli: Awaited<ReturnType<typeof working>>; pane: Terminal }> {
  const cli = await working(t);
  const pane = await terminal(t, cli);
  pane.type(`queuectl run --id ${id} --shell '${command}'`);
  await pane.shows(/^up$/m);
  return { cli, pane };
}
