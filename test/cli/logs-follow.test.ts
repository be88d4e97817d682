// queuectl logs -f: across attempts to the end, several jobs at once, and logs that come late
// or go away.

import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { box, exitCode, untilOutput } from './box.ts';
import { line, shell, working } from './field.ts';
import { hasTmux, terminal } from './terminal.ts';

const skip = hasTmux ? false : 'needs tmux(1)';

test('across attempts: why the last one failed, when the next begins', async (t) => {
  const cli = await working(t);
  await cli.ok(['config', 'set', 'backoff_base', '1']);
  const command = 'echo try $QUEUECTL_ATTEMPT; test $QUEUECTL_ATTEMPT = 3 || exit 7';
  await cli.ok(shell('r', command, '--max-retries', '5'));
  const { code, stdout, stderr } = await cli.q(['logs', '-f', 'r']);
  assert.deepEqual([code, stdout], [0, 'try 1\ntry 2\ntry 3\n']);
  assert.match(
    stderr,
    /^(queuectl: attempt [12] of r: exit code 7; (again in (1s|\d00ms)|again as soon as a worker is free|attempt [23] has begun)\n){2}$/,
  );
});

test('a job that has not begun: says that no worker runs, then shows all of it', async (t) => {
  const cli = box(t);
  await cli.ok(shell('a', 'echo one; echo two'));
  const follower = cli.start(['logs', '-f', 'a']);
  const output = untilOutput(follower, /two\n/);
  await untilOutput(follower, /no worker is running/, 'stderr');
  // Its log will be the first there is: not even the directory exists.
  await cli.ok(['worker', 'start']);
  assert.equal(await output, 'one\ntwo\n');
  assert.equal(await exitCode(follower), 0);
});

test('a log directory that is made late is noticed at once', async (t) => {
  const cli = await working(t);
  await cli.ok(shell('a', 'until test -e go; do sleep 0.02; done; date +%s%N; exec sleep 30'));
  const follower = cli.start(['logs', '-f', 'a']);
  const { code } = await cli.q(['wait', 'a', '--timeout', '1500ms']);
  assert.equal(code, 125);
  const output = untilOutput(follower, /\n/);
  writeFileSync(join(cli.directory, 'go'), '');
  const written = Number(await output) / 1e6;
  // Far below the second that polling alone would take, half of it on average.
  assert.ok(Date.now() - written < 400, `${Date.now() - written} ms`);
});

test('a log that somebody removes while it is followed', async (t) => {
  const cli = await working(t);
  const command = 'echo one; until test -e go; do sleep 0.02; done; echo two; exit 1';
  await cli.ok(
    shell(
      'a',
      `test $QUEUECTL_ATTEMPT = 2 && echo again && exit; ${command}`,
      '--max-retries',
      '1',
    ),
  );
  const follower = cli.start(['logs', '-f', 'a']);
  const all = untilOutput(follower, /again\n/);
  const told = untilOutput(follower, /attempt 1 of a/, 'stderr');
  await untilOutput(follower, /one\n/);
  rmSync(join(cli.home, 'logs', 'jobs'), { recursive: true });
  writeFileSync(join(cli.directory, 'go'), '');
  // What was lost is lost; what comes is shown.
  assert.match(await all, /^one\nagain\n$/);
  await told;
  assert.equal(await exitCode(follower), 0);
});

test('the removed log of an earlier attempt is told of, too', async (t) => {
  const cli = await working(t);
  await cli.ok(['config', 'set', 'backoff_base', '1']);
  await cli.ok(shell('a', 'echo hello; exit 1', '--max-retries', '1'));
  assert.equal((await cli.q(['wait', 'a'])).code, 1);
  const jobs = join(cli.home, 'logs', 'jobs');
  for (const directory of readdirSync(jobs)) {
    for (const name of readdirSync(join(jobs, directory))) {
      if (/^\d+\.1\./.test(name)) rmSync(join(jobs, directory, name));
    }
  }
  const first = await cli.q(['logs', 'a', '--attempt', '1']);
  assert.deepEqual([first.code, first.stdout], [0, '']);
  assert.match(first.stderr, /the log of a is incomplete: .* or it was removed\n/);
  const second = await cli.q(['logs', 'a', '--attempt', '2']);
  assert.deepEqual([second.code, second.stdout, second.stderr], [0, 'hello\n', '']);
});

test('several jobs: whole lines behind their ids, long ones in one piece', async (t) => {
  const cli = await working(t);
  // More than is held of a line, of characters that lie across every border.
  const long = "head -c 300000 /dev/zero | tr '\\0' x; printf %s 'é漢😀'; echo";
  await cli.ok(shell('alpha', `printf half; sleep 0.1; echo way; ${long}`));
  await cli.ok(shell('b', "printf 'out-'; printf 'err-' >&2; sleep 0.05; echo put; echo or >&2"));
  await cli.ok(['wait', 'alpha', 'b']);
  for (const flags of [[], ['-f']]) {
    const { stdout } = await cli.q(['logs', 'alpha', 'b', ...flags]);
    const lines = stdout.trimEnd().split('\n');
    assert.deepEqual(lines.toSorted(), [
      'alpha | halfway',
      `alpha | ${'x'.repeat(300_000)}é漢😀`,
      'b     | err-or',
      'b     | out-put',
    ]);
  }
  assert.equal(
    (await cli.q(['logs', 'alpha', 'b', '-n', '1', '--stdout'])).stdout.replaceAll('x', ''),
    'alpha | é漢😀\nb     | out-put\n',
  );
});

test('several jobs: a line that an attempt leaves open is not continued by the next', async (t) => {
  const cli = await working(t);
  await cli.ok(['config', 'set', 'backoff_base', '1']);
  const command = 'echo "start $QUEUECTL_ATTEMPT"; printf "tail $QUEUECTL_ATTEMPT"; exit 3';
  await cli.ok(shell('a', command, '--max-retries', '1'));
  await cli.ok(shell('b', 'true'));
  const { stdout } = await cli.q(['logs', '-f', 'a', 'b']);
  assert.equal(stdout, 'a | start 1\na | tail 1\na | start 2\na | tail 2\n');
});

test('several jobs at once: lines never mix', async (t) => {
  const cli = await working(t);
  const command =
    'for i in $(seq 300); do printf "$QUEUECTL_JOB_ID-"; echo "$i-$QUEUECTL_JOB_ID"; done';
  const ids = ['a', 'bb', 'ccc', 'dddd'];
  for (const id of ids) await cli.ok(shell(id, command));
  const { stdout } = await cli.q(['logs', '-f', ...ids]);
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.length, 1200);
  for (const id of ids) {
    const own = lines.filter((text) => text.startsWith(`${id.padEnd(4)} | `));
    const expected = Array.from(
      { length: 300 },
      (_, i) => `${id.padEnd(4)} | ${id}-${i + 1}-${id}`,
    );
    assert.deepEqual(own, expected);
  }
});

test(
  'prefixes have colours on a terminal only, and survive a carriage return',
  { skip },
  async (t) => {
    const cli = await working(t);
    await cli.ok(shell('a', "printf '10%%\\r20%%\\r\\n\\033[31mred\\n'"));
    await cli.ok(shell('b', 'echo other'));
    await cli.ok(['wait', 'a', 'b']);
    const { shown } = await cli.terminal('queuectl logs a b');
    assert.equal(
      shown.replaceAll('\u001b', '^'),
      '^[36ma |^[39m 10%\r^[36ma |^[39m 20%\r\r\n' +
        '^[36ma |^[39m \\e[31mred\r\n^[33mb |^[39m other\r\n',
    );
    const plain = await cli.terminal('NO_COLOR=1 queuectl logs a b');
    assert.match(plain.shown, /^a \| 10%\ra \| 20%/);
    assert.equal(
      (await line(cli, 'queuectl logs b a -n 1')).stdout,
      'b | other\na | \u001b[31mred\n',
    );
  },
);

test('Ctrl-C ends it and not the job', { skip }, async (t) => {
  const cli = await working(t);
  await cli.ok(shell('a', 'printf waiting; exec sleep 60'));
  const pane = await terminal(t, cli);
  pane.type('queuectl logs -f a');
  await pane.shows(/^waiting$/m);
  pane.press('C-c');
  pane.type('echo code $?');
  await pane.shows(/^code 130/m);
  assert.equal((await cli.json<{ state: string }>(['show', 'a'])).state, 'processing');
});
