// What a command gets: its program, arguments, environment, directory, stdin, descriptors,
// signals and limits (SH-01, 03, 08, 09, 22, 23), as if typed at the prompt it came from.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { BUN, harness, linuxOnly, tempDirectory, testOnBun } from './command-support.ts';

const FIXTURE = resolve(import.meta.dirname, '../fixtures/run-command.ts');

interface FixtureEnd {
  readonly outcome: Record<string, unknown>;
  readonly output: string;
}

/**
 * Runs the fixture under this runtime; `wrap` gets its command line as `"$@"`. In
 * `directory` it leaves its files when it does not get to its end.
 */
function runFixture(directory: string, wrap: string, command: string): FixtureEnd[] {
  const args = ['-c', wrap, 'sh', process.execPath, FIXTURE, command];
  const output = execFileSync('/bin/sh', args, {
    encoding: 'utf8',
    env: { ...process.env, TMPDIR: directory },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return JSON.parse(output.slice(output.indexOf('[{'))) as FixtureEnd[];
}

test('arguments arrive byte for byte', async (t) => {
  const { run } = harness(t);
  const args = [
    'printf',
    '[%s]',
    'hello  world',
    '',
    'x\ty',
    '*',
    "it's",
    '$HOME',
    '\\n',
    'é😀',
    '-',
  ];
  const { stdout } = await run({ spec: { args } });
  assert.equal(
    stdout,
    args
      .slice(2)
      .map((arg) => `[${arg}]`)
      .join(''),
  );
});

test('the shell gets its command as it is', async (t) => {
  const { run } = harness(t);
  const { stdout } = await run('printf "%s " "%n" "%%" "%(x)s" "{{y}}" "${Z:-z}" "\\$W"; echo $0');
  assert.equal(stdout, '%n %% %(x)s {{y}} z $W /bin/sh\n');
  // Not options of the shell.
  assert.deepEqual((await run('-c echo')).outcome, { kind: 'exited', code: 127 });
});

test('PATH and directory of the job find the program', async (t) => {
  const { run, directory } = harness(t);
  for (const name of ['bin', 'work']) mkdirSync(join(directory, name));
  const script = '#!/bin/sh\necho "$0 in $PWD"\n';
  for (const name of ['bin/mytool', 'work/run.sh']) {
    writeFileSync(join(directory, name), script);
    chmodSync(join(directory, name), 0o755);
  }
  const bin = join(directory, 'bin');
  const cwd = join(directory, 'work');
  const said = async (args: string[], more: object): Promise<string> =>
    (await run({ cwd, spec: { args, ...more } })).stdout.trimEnd();
  const path = `${bin}:/usr/bin:/bin`;
  assert.equal(
    (await run({ cwd, path, spec: { args: ['mytool'] } })).stdout,
    `${bin}/mytool in ${cwd}\n`,
  );
  assert.equal(await said(['mytool'], { env: { PATH: path } }), `${bin}/mytool in ${cwd}`);
  assert.equal(await said(['mytool'], { env: { PATH: '../bin' } }), `../bin/mytool in ${cwd}`);
  assert.equal(await said(['./run.sh'], {}), `./run.sh in ${cwd}`);
  assert.equal(await said(['run.sh'], { env: { PATH: ':/bin' } }), `./run.sh in ${cwd}`);
  // One that may not be executed does not hide a later one that may.
  writeFileSync(join(cwd, 'mytool'), script);
  assert.equal(await said(['mytool'], { env: { PATH: `.:${bin}` } }), `${bin}/mytool in ${cwd}`);
});

test('a command is called as it was typed', { skip: !existsProc() && 'needs /proc' }, async (t) => {
  const { run } = harness(t);
  const { stdout } = await run({ spec: { args: ['cat', '/proc/self/cmdline'] } });
  assert.equal(stdout, 'cat\0/proc/self/cmdline\0');
});

function existsProc(): boolean {
  return process.platform === 'linux';
}

test('the environment is the worker’s, less ours, and the job’s own', async (t) => {
  const base = {
    HOME: '/home/me',
    PATH: '/worker/bin',
    PWD: '/worker',
    UNSET: undefined,
    TOKEN: 'secret',
    QUEUECTL_DB: 'postgres://u:password@h/d',
    QUEUECTL_MARKER: 'of the job that the worker was started from',
  };
  const jobEnv = { QUEUECTL_HOME: '/q' };
  const { run, directory, databaseId } = harness(t, { baseEnv: base, jobEnv });
  const own = {
    __proto__: null,
    'a.b': '1',
    'x-y': '2',
    E: '',
    P: '50% $HOME `x` "q"',
    NL: 'a\nb=c',
    'BASH_FUNC_f%%': '() { echo hi; }',
    constructor: 'c',
    U: 'zażółć 😀',
    QUEUECTL_MARKER: 'never',
  };
  const env = Object.assign(Object.create(null) as Record<string, string>, own);
  Object.defineProperty(env, '__proto__', { value: 'p', enumerable: true });
  const { stdout } = await run({
    path: '/bin:/usr/bin',
    queue: 'q1',
    number: 1,
    attempts: 2,
    maxRetries: 3,
    spec: { args: ['env', '-0'], env, env_from: ['TOKEN'] },
  });
  const seen = stdout
    .split('\0')
    .filter((entry) => entry !== '')
    .toSorted();
  assert.deepEqual(
    seen,
    [
      'HOME=/home/me',
      'PATH=/bin:/usr/bin',
      `PWD=${directory}`,
      'QUEUECTL_ATTEMPT=1',
      'QUEUECTL_HOME=/q',
      'QUEUECTL_JOB_ID=job-1',
      `QUEUECTL_MARKER=${databaseId}:1`,
      'QUEUECTL_MAX_RETRIES=3',
      'QUEUECTL_QUEUE=q1',
      'QUEUECTL_RETRIES_LEFT=2',
      'QUEUECTL_RUN_TOKEN=1',
      'TOKEN=secret',
      'BASH_FUNC_f%%=() { echo hi; }',
      'E=',
      'NL=a\nb=c',
      'P=50% $HOME `x` "q"',
      'U=zażółć 😀',
      '__proto__=p',
      'a.b=1',
      'constructor=c',
      'x-y=2',
    ].toSorted(),
  );
  const last = await run({
    path: '/bin:/usr/bin',
    attempts: 9,
    maxRetries: 3,
    command: 'echo $QUEUECTL_RETRIES_LEFT',
  });
  assert.equal(last.stdout, '0\n');
});

test('a variable that the worker lacks fails the job, by name', async (t) => {
  const { run } = harness(t, { baseEnv: { PATH: '/bin' } });
  for (const name of ['MY_TOKEN', '__proto__', 'constructor']) {
    const { outcome } = await run({ spec: { env_from: [name] } });
    assert.equal(outcome.kind, 'spawn_failed');
    assert.ok(outcome.kind === 'spawn_failed' && outcome.code === 126 && !outcome.transient);
    assert.match(outcome.error, new RegExp(`variable ${name} is not set`));
  }
});

test('stdin is empty, or the file named', async (t) => {
  const { run, directory } = harness(t);
  assert.equal((await run('cat; echo end')).stdout, 'end\n');
  const stdin = join(directory, 'in');
  writeFileSync(stdin, 'from a file');
  assert.equal((await run({ spec: { stdin, args: ['cat'] } })).stdout, 'from a file');
});

testOnBun('/dev/stdout and /dev/stderr can be written to', async (t) => {
  const { run } = harness(t);
  const { stdout, stderr, outcome } = await run(
    'echo one > /dev/stderr; echo two | tee /dev/stderr; echo three > /dev/stdout',
  );
  assert.deepEqual(outcome, { kind: 'exited', code: 0 });
  assert.equal(stderr, 'one\ntwo\n');
  assert.equal(stdout, 'two\nthree\n');
});

test('a command has three descriptors and no other', linuxOnly, async (t) => {
  const { run } = harness(t);
  const { stdout } = await run(
    'for fd in $(seq 0 50); do test -e /proc/$$/fd/$fd && echo $fd; done',
  );
  assert.equal(stdout, '0\n1\n2\n');
});

test('attempts leave no descriptor behind', linuxOnly, async (t) => {
  const { run, start } = harness(t);
  const kinds = [
    'true',
    'echo hi',
    'sleep 0.03; echo late >&2',
    'sleep 60 & exit 0',
    '/nonexistent',
  ];
  const round = async (): Promise<void> => {
    await Promise.all([
      ...kinds.map((command) => run(command)),
      run({ spec: { args: ['nonexistent'] } }),
      run({ spec: { args: ['cat'], stdin: '/etc/passwd' } }),
    ]);
    const cancelled = start('echo up; exec sleep 60');
    await cancelled.says('up');
    cancelled.end('cancelled');
    await cancelled.ended;
  };
  await round();
  const before = readdirSync('/proc/self/fd').length;
  // 200 attempts, 40 at a time.
  for (let rounds = 0; rounds < 5; rounds += 1) {
    await Promise.all(Array.from({ length: 5 }, round));
  }
  // The runtime closes what it had duplicated in a thread of its own.
  for (let tries = 0; readdirSync('/proc/self/fd').length > before && tries < 100; tries += 1) {
    await run('sleep 0.01');
  }
  assert.ok(readdirSync('/proc/self/fd').length <= before);
});

test('no signal is ignored or blocked, however the worker was started', linuxOnly, (t) => {
  const [end] = runFixture(
    tempDirectory(t),
    `trap '' PIPE HUP INT TERM CHLD; exec "$@"`,
    'grep -E "Sig(Ign|Blk)" /proc/self/status; yes | head -1',
  );
  assert.deepEqual(end?.outcome, { kind: 'exited', code: 0 });
  assert.equal(end?.output, 'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\ny\n');
});

test('a command has no terminal, in a session of its own', linuxOnly, (t) => {
  const directory = tempDirectory(t);
  const wrapped = join(directory, 'wrapped');
  // `script` gives it a terminal.
  const wrap = `printf '#!/bin/sh\\nexec "%s" "%s" "%s"\\n' "$@" > ${wrapped}; chmod +x ${wrapped}
    script -qec ${wrapped} /dev/null < /dev/null`;
  const command =
    'test -t 0 || test -t 1 || test -t 2 || echo no tty; (: < /dev/tty) 2>&1 || echo no /dev/tty';
  const [end] = runFixture(directory, wrap, command);
  assert.match(end?.output ?? '', /^no tty\n(.*\n)?no \/dev\/tty\n$/);
});

testOnBun('the limit on open files is the one asked for', async (t) => {
  const softLimit = (): string =>
    /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1] ?? '';
  const before = softLimit();
  const { run } = harness(t, { nofile: 333 });
  assert.equal((await run('ulimit -Sn')).stdout, '333\n');
  const hard = (await run('ulimit -Hn')).stdout;
  assert.notEqual(hard, '333\n');
  assert.equal(softLimit(), before);
  const beyond = harness(t, { nofile: 2 ** 40 });
  assert.equal((await beyond.run('ulimit -Sn')).stdout, hard);
  // With more files open here than the child may have: it gets our limit, and runs.
  const few = harness(t, { nofile: 5 });
  assert.equal((await few.run('ulimit -Sn')).stdout, `${before}\n`);
});

test('no descriptors left: given back, and nothing runs', linuxOnly, (t) => {
  const directory = tempDirectory(t);
  // Enough for the runtime itself, not for an attempt; found by trying.
  const seen = new Set<string>();
  for (let limit = BUN ? 4 : 16; limit < 60 && seen.size < 2; limit += 1) {
    let ends: FixtureEnd[];
    try {
      ends = runFixture(directory, `ulimit -n ${limit}; exec "$@"`, 'echo ran');
    } catch {
      continue; // the runtime did not even start
    }
    for (const { outcome, output } of ends) {
      if (outcome['kind'] === 'spawn_failed') {
        assert.equal(outcome['transient'], true, JSON.stringify(outcome));
        assert.equal(output, '');
      } else {
        assert.deepEqual(outcome, { kind: 'exited', code: 0 });
      }
      seen.add(String(outcome['kind']));
    }
  }
  assert.deepEqual([...seen].toSorted(), ['exited', 'spawn_failed']);
});
