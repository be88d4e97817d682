// Field cases: what jobs print, and what queuectl prints. SH-05, SH-06, SH-12 to SH-18.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { box, exitCode, hasScript, untilOutput } from './box.ts';
import { type JobJson, line, shell, untilState, working } from './field.ts';

const skip = hasScript ? false : 'needs script(1)';

test('SH-05 · one row per job, and a last newline', { skip }, async (t) => {
  const cli = box(t);
  const command = 'echo one\necho two\n# 漢字 😀\ttab';
  await cli.ok(shell('m', command));
  await cli.ok(['enqueue', '--id', 'n', '--', 'true']);
  const table = await cli.ok(['list']);
  assert.match(table, /^ID .*COMMAND\nn .*true\nm .*one\\necho two.*tab\n$/);
  assert.equal((await cli.json<JobJson[]>(['list']))[1]?.command, command);
  const { shown } = await cli.terminal('queuectl list', { columns: 60 });
  assert.equal(shown.split('\r\n').length, 4);
});

test('SH-06 · `--json` is valid whatever a job printed', async (t) => {
  const cli = await working(t);
  await cli.ok(shell('b', 'printf "\\377\\376 \\033[31mred\\000\\n\\303" >&2; exit 1'));
  assert.equal((await cli.q(['wait', 'b'])).code, 1);
  for (const command of ['show b', 'list', 'dlq list', 'dlq show b', 'logs b', 'logs -f b']) {
    const { bytes } = await line(cli, `queuectl ${command} --json`);
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    for (const document of command === 'logs -f b' ? text.trimEnd().split('\n') : [text]) {
      JSON.parse(document);
    }
  }
  // A character that never ended is told of as well, as what it is: not one.
  const log = await cli.json<{ text: string }[]>(['logs', 'b']);
  const text = log.map((entry) => entry.text).join('');
  assert.equal(text, '\ufffd\ufffd \u001b[31mred\u0000\n\ufffd');
  const { bytes } = await line(cli, 'queuectl logs b --raw --stderr');
  assert.equal(bytes.toString('latin1'), '\u00ff\u00fe \u001b[31mred\u0000\n\u00c3');
});

test('SH-12 · no newline at the end, and very long lines', { skip }, async (t) => {
  const cli = await working(t);
  await cli.ok(shell('l', 'printf "a\\nb"'));
  await cli.ok(shell('k', 'head -c 200000 /dev/zero | tr "\\0" x; echo; printf end'));
  await cli.ok(['wait', 'l', 'k']);
  assert.equal(await cli.ok(['logs', 'l']), 'a\nb');
  const lines = (await cli.ok(['logs', 'k'])).split('\n');
  assert.deepEqual(
    lines.map(({ length }) => length),
    [200_000, 3],
  );
  assert.equal(await cli.ok(['logs', 'k', '-n', '1']), 'end');
  const { shown } = await cli.terminal('queuectl logs l; echo prompt; queuectl logs -f l; echo $?');
  assert.equal(shown, 'a\r\nb\r\nprompt\r\na\r\nb\r\n0\r\n');
});

test('SH-13 · progress bars: carriage returns, at once', async (t) => {
  const cli = await working(t);
  const go = join(cli.directory, 'go');
  await cli.ok(
    shell('g', `printf '10%%\\r'; until test -e ${go}; do sleep 0.05; done; printf '100%%\\n'`),
  );
  const follower = cli.start(['logs', '-f', 'g']);
  assert.equal(await untilOutput(follower, /\r/), '10%\r');
  assert.equal((await cli.json<JobJson>(['show', 'g'])).state, 'processing');
  writeFileSync(go, '');
  await cli.ok(['wait', 'g']);
  assert.equal(await cli.ok(['logs', 'g', '--raw']), '10%\r100%\n');
});

test('SH-14 · stdout and stderr in the order they came', async (t) => {
  const cli = await working(t);
  const pairs = Array.from({ length: 5 }, (_, i) => [`o${i}`, `e${i}`]).flat();
  await cli.ok(
    shell('o', 'for i in 0 1 2 3 4; do echo o$i; sleep 0.1; echo e$i >&2; sleep 0.1; done'),
  );
  await cli.ok(shell('both', 'exec 2>&1; for i in $(seq 0 199); do echo o$i; echo e$i >&2; done'));
  await cli.ok(['wait', 'o', 'both']);
  const words = async (...flags: string[]): Promise<string[]> =>
    (await cli.ok(['logs', ...flags])).trimEnd().split('\n');
  assert.deepEqual(await words('o'), pairs);
  assert.deepEqual(await words('o', '--stdout', '--stderr'), pairs);
  assert.deepEqual(await words('o', '--stdout'), ['o0', 'o1', 'o2', 'o3', 'o4']);
  assert.deepEqual(await words('o', '--stderr'), ['e0', 'e1', 'e2', 'e3', 'e4']);
  // In one stream the order is exact without pauses too.
  const exact = Array.from({ length: 200 }, (_, i) => [`o${i}`, `e${i}`]).flat();
  assert.deepEqual(await words('both'), exact);
});

test('SH-15 · what a job says while it is being stopped', async (t) => {
  const cli = await working(t);
  const trap =
    'trap "echo cleaning up; sleep 0.3; echo cleaned; exit 1" TERM; echo up; while :; do sleep 0.05; done';
  await cli.ok(shell('cancelled', trap));
  await cli.ok(shell('timed', trap, '--timeout', '1500ms'));
  await cli.ok(shell('stopped', trap));
  for (const id of ['cancelled', 'stopped']) {
    await untilOutput(cli.start(['logs', '-f', id]), /up/);
  }
  await cli.ok(['cancel', 'cancelled']);
  assert.equal((await cli.q(['wait', 'cancelled'])).code, 130);
  assert.equal((await cli.q(['wait', 'timed'])).code, 124);
  await cli.ok(['worker', 'stop', '--now']);
  const states = { cancelled: 'cancelled', timed: 'dead', stopped: 'pending' };
  for (const [id, state] of Object.entries(states)) {
    assert.match(await cli.ok(['logs', id]), /^up\n(Terminated\n)?cleaning up\ncleaned\n$/);
    assert.equal((await cli.json<JobJson>(['show', id])).state, state);
  }
});

test('SH-16 · following too early, the unknown, and a reader that leaves', async (t) => {
  const cli = box(t);
  await cli.ok(shell('f', 'for i in 1 2 3 4; do echo $i; sleep 0.1; done', '--delay', '500ms'));
  const early = cli.start(['logs', '-f', 'f']);
  const shown = untilOutput(early, /4\n/);
  await cli.ok(['worker', 'start']);
  assert.equal(await shown, '1\n2\n3\n4\n');
  assert.equal(await exitCode(early), 0);
  for (const args of [['nosuch'], ['-f', 'nosuch'], ['-f', 'f', 'nosuch']]) {
    await cli.refused(['logs', ...args], 3);
  }
  await cli.ok(shell('h', 'while sleep 0.1; do echo tick; done'));
  const head = await line(cli, 'queuectl logs -f h | head -1');
  assert.deepEqual([head.stdout, head.stderr], ['tick\n', '']);
  // Also of a job that says nothing more, or has not begun.
  await cli.ok(['cancel', 'h']);
  await cli.q(['wait', 'h']);
  await cli.ok(shell('silent', 'echo ready; sleep 60'));
  assert.equal((await line(cli, 'queuectl logs -f silent | grep -m1 ready')).stdout, 'ready\n');
  await cli.ok(shell('never', 'true', '--delay', '1h'));
  assert.equal((await line(cli, 'queuectl logs -f never | true')).code, 0);
  assert.equal((await cli.json<JobJson>(['show', 'silent'])).state, 'processing');
});

test('SH-17 · the log is complete when the job is finished', async (t) => {
  const cli = await working(t);
  const ids = Array.from({ length: 40 }, (_, i) => `z${i}`);
  const input = ids.map((id) => JSON.stringify({ id, command: 'seq 500; seq 500 >&2; echo last' }));
  await cli.ok(['enqueue', '-'], { input: input.join('\n') });
  const { stdout } = await line(
    cli,
    `for i in ${ids.join(' ')}; do queuectl wait $i; queuectl logs $i | grep -c .; done`,
  );
  assert.equal(stdout, '1001\n'.repeat(ids.length));
});

test('SH-18 · stdout is for the answer', async (t) => {
  const cli = box(t);
  const added = await cli.q(['enqueue', '--json', '--id', 's', '--', 'true']);
  assert.equal((JSON.parse(added.stdout) as JobJson).id, 's');
  assert.match(
    added.stderr,
    /^hint: no worker is running; start one with: queuectl worker start\n$/,
  );
  const quiet = await cli.q(['enqueue', '--quiet', '--id', 'q', '--', 'true']);
  assert.deepEqual([quiet.stdout, quiet.stderr], ['q\n', '']);
  assert.equal(typeof (await cli.json(['status'])), 'object');
  assert.deepEqual(await cli.json(['list', '--state', 'dead', '--queue', 'nosuch']), []);
  for (const command of ['list', 'dlq list', 'worker list', 'config list', 'status']) {
    await cli.json(command.split(' '));
  }
  for (const [command, code] of [
    ['show nosuch', 3],
    ['wait nosuch', 125],
    ['lits', 2],
    ['cancel', 2],
  ] as const) {
    const answer = await cli.q(['--json', ...command.split(' ')]);
    assert.deepEqual([answer.code, answer.stdout], [code, '']);
  }
});

test('a log that is gone or was never kept is told of', async (t) => {
  const cli = await working(t);
  await cli.ok(shell('a', 'echo lost'));
  await cli.ok(['wait', 'a']);
  await line(cli, `rm -r ${join(cli.home, 'logs', 'jobs', '0')}`);
  for (const args of [['a'], ['-f', 'a']]) {
    const { code, stdout, stderr } = await cli.q(['logs', ...args]);
    assert.deepEqual([code, stdout], [0, '']);
    assert.match(stderr, /^queuectl: the log of a is incomplete/);
  }
  // And it harms nothing but itself.
  await cli.ok(shell('b', 'echo kept'));
  await untilState(cli, 'b', 'completed');
  assert.equal(await cli.ok(['logs', 'b']), 'kept\n');
});
