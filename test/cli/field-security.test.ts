// The boundary is who may enqueue: other users, planted links, paths, terminals, and the
// directory that queuectl is called in. faults.md, Security.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { type Box, box, hasScript, QUEUECTL } from './box.ts';
import { isRoot, type JobJson, line, shell, until, working } from './field.ts';

/** A user who is neither root nor the owner of anything here. */
const STRANGER = 54_321;

/** What a stranger is told; they may enter the sandbox, as they may enter /tmp. */
function asStranger(
  cli: Box,
  args: string[],
  env: Record<string, string>,
): [number | null, string] {
  for (const directory of [dirname(cli.directory), cli.directory]) chmodSync(directory, 0o755);
  const { status, stdout, stderr } = spawnSync(QUEUECTL, args, {
    cwd: '/',
    env: { PATH: '/usr/bin:/bin', ...env },
    encoding: 'utf8',
    ...(isRoot && { uid: STRANGER, gid: STRANGER }),
  });
  return [status, stdout + stderr];
}

const needsRoot = isRoot ? false : 'needs root, to be somebody else';

function owned(path: string, mode: number): string {
  mkdirSync(path, { mode });
  chmodSync(path, mode);
  chownSync(path, STRANGER, STRANGER);
  return path;
}

test("somebody else's home is refused, and left alone", { skip: needsRoot }, async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'a', '--', 'true']);
  const mine = join(cli.directory, 'mine');
  mkdirSync(mine);
  for (const [mode, home] of [
    [0o700, cli.home],
    [0o777, mine],
    [0o755, mine],
    [0o755, '/etc'],
  ] as const) {
    if (home === mine) chmodSync(mine, mode);
    for (const args of [['list'], ['enqueue', '--', 'true'], ['worker', 'start']]) {
      const [status, said] = asStranger(cli, args, { QUEUECTL_HOME: home });
      assert.equal(status, 5, said);
      assert.match(said, /^queuectl: .* belongs to another user .*\nhint: .*\n$/);
    }
  }
  assert.deepEqual(readdirSync(mine), []);
  // Root is a stranger too: its files would lock the owner out.
  const theirs = owned(join(cli.directory, 'theirs'), 0o700);
  const env = { QUEUECTL_HOME: theirs };
  assert.match(await cli.refused(['enqueue', '--', 'true'], 5, { env }), /belongs to another user/);
  assert.deepEqual(readdirSync(theirs), []);
});

test('a home that cannot be written is refused at once', { skip: needsRoot }, async (t) => {
  const cli = box(t);
  const home = owned(join(cli.directory, 'theirs'), 0o700);
  const ask = (...args: string[]): [number | null, string] =>
    asStranger(cli, args, { QUEUECTL_HOME: home });
  assert.equal(ask('enqueue', '--id', 'a', '--', 'true')[0], 0);
  for (const part of ['', 'run', 'logs', 'logs/jobs', 'logs/workers']) {
    const directory = join(home, part);
    chmodSync(directory, 0o500);
    const [status, said] = ask('worker', 'start');
    assert.equal(status, 5, said);
    assert.match(said, /^queuectl: cannot write to .*: permission denied\nhint: .*\n$/, part);
    chmodSync(directory, 0o700);
  }
  const log = join(home, 'logs', 'workers', 'workers.log');
  writeFileSync(log, '', { mode: 0o400 });
  chownSync(log, STRANGER, STRANGER);
  assert.match(ask('worker', 'start')[1], /cannot log to .*permission denied/);
  assert.equal(ask('worker', 'list')[0], 0);
});

test('no HOME and no password entry', { skip: needsRoot }, (t) => {
  const cli = box(t);
  const [status, said] = asStranger(cli, ['status'], {});
  assert.equal(status, 5);
  assert.match(said, /^queuectl: there is no home directory: .*\nhint: .*QUEUECTL_HOME.*\n$/);
});

test('umask 000: files 0600, directories 0700, and jobs keep their umask', async (t) => {
  const cli = box(t);
  const made = join(cli.directory, 'made');
  const { stdout } = await line(
    cli,
    `umask 000; queuectl enqueue --id a --shell 'umask; touch ${made}; exit 1' --max-retries 0;` +
      'queuectl worker start --count 2 --concurrency 2; queuectl wait a; queuectl logs a;' +
      'queuectl config set lease 20s; queuectl --db other.db enqueue -- true',
  );
  assert.match(stdout, /^0000$/m);
  assert.equal(statSync(made).mode & 0o777, 0o666);
  const all = (root: string): string[] =>
    readdirSync(root, { recursive: true, encoding: 'utf8' }).map((name) => join(root, name));
  const other = join(cli.directory, 'other.db');
  const paths = [cli.home, ...all(cli.home), other, `${other}.d`, ...all(`${other}.d`)];
  // Database, WAL, shm, wake file, rosters, both kinds of log.
  assert.ok(paths.length >= 14, paths.join());
  for (const path of paths) {
    const stats = statSync(path);
    assert.equal(stats.mode & 0o777, stats.isDirectory() ? 0o700 : 0o600, path);
  }
});

test('planted links are not followed, their targets unchanged', async (t) => {
  const cli = await working(t);
  await cli.ok(shell('first', 'echo first'));
  await cli.ok(['wait', 'first']);
  await cli.ok(['worker', 'stop']);
  const victim = join(cli.directory, 'victim');
  writeFileSync(victim, 'precious, and no log at all\n', { mode: 0o644 });
  const before = statSync(victim);
  const plant = (path: string): void => {
    rmSync(path, { force: true });
    symlinkSync(victim, path);
  };
  const logs = join(cli.home, 'logs');
  const jobLogs = join(logs, 'jobs', '0');

  plant(join(cli.home, 'wake'));
  for (let key = 1; key < 9; key += 1) plant(join(jobLogs, `${key}.1.log`));
  await cli.ok(['worker', 'start']);
  await cli.ok(shell('second', 'echo second'));
  await cli.ok(['wait', 'second']);
  assert.equal(await cli.ok(['logs', 'second']), 'second\n');
  // Nor is one read.
  const { stdout } = await cli.q(['logs', 'first']);
  assert.equal(stdout, '');
  await cli.ok(['worker', 'stop']);

  plant(join(logs, 'workers', 'workers.log'));
  assert.match(await cli.refused(['worker', 'start'], 5), /cannot log to .*: it is a link/);
  renameSync(join(logs, 'jobs'), join(logs, 'away'));
  plant(join(logs, 'jobs'));
  assert.match(await cli.refused(['list'], 5), /jobs is a link/);
  rmSync(join(logs, 'jobs'));
  renameSync(join(logs, 'away'), join(logs, 'jobs'));
  plant(join(cli.home, 'queue.db'));
  await cli.refused(['list'], 6);

  assert.equal(readFileSync(victim, 'utf8'), 'precious, and no log at all\n');
  const after = statSync(victim);
  assert.deepEqual([after.mtimeMs, after.mode], [before.mtimeMs, before.mode]);
});

test('no path through an id or the name of a queue', async (t) => {
  const cli = box(t);
  const names = ['../x', '..', '.', '/etc/passwd', 'a/b', 'a\\b', '%2e%2e/x', 'a b', '', '-x'];
  for (const name of names) {
    await cli.refused(['enqueue', `--id=${name}`, '--', 'true'], 2);
    await cli.refused(['enqueue', `--queue=${name}`, '--', 'true'], 2);
    await cli.refused(['worker', 'start', `--queue=${name}`], 2);
  }
  assert.ok(!existsSync(cli.home));
  for (const name of names.slice(0, -1)) {
    for (const command of ['show', 'logs', 'cancel', 'retry'])
      await cli.refused([command, name], 3);
  }
  // What is allowed makes no trouble either.
  await cli.ok(['worker', 'start']);
  for (const id of ['CON', 'a..b', '...', 'x'.repeat(128), '@:_a-.']) {
    await cli.ok(shell(id, 'echo $QUEUECTL_JOB_ID', '--queue', id));
    await cli.ok(['wait', id]);
    assert.equal(await cli.ok(['logs', id]), `${id}\n`);
  }
});

/** Writes the clipboard, clears, retitles, colours, backs up, begins C1 and reversed text. */
const ATTACK = '\u001b]52;c;aGk\u0007\u001b[2J\u001b]0;pwn\u0007\u001b[31m\b\u009b31m\u202e\u007f';

const skip = hasScript ? false : 'needs script(1)';

test('terminal escapes are shown, never sent, whatever field they came in', { skip }, async (t) => {
  const cli = box(t);
  const attacked = { command: `echo '${ATTACK}'; exit 1 # ${ATTACK}`, max_retries: 0 };
  const field = { tags: { [`t${ATTACK}`]: ATTACK }, env: { [`E${ATTACK}`]: ATTACK } };
  const jobs = [
    { id: 'shell', ...attacked, ...field },
    { id: 'args', args: [`./${ATTACK}`, ATTACK], max_retries: 0 },
    { id: 'cwd', command: 'true', cwd: `/tmp/${ATTACK}`, max_retries: 0 },
    { id: 'stdin', command: 'true', stdin: `/no/${ATTACK}`, max_retries: 0 },
    { id: 'from', command: 'true', env_from: [`V${ATTACK}`], max_retries: 0 },
  ];
  await cli.ok(['enqueue', '-'], { input: jobs.map((job) => JSON.stringify(job)).join('\n') });
  const db = join(cli.directory, ATTACK, 'q.db');
  const calls = `
    worker start | wait shell args cwd stdin from | list | dlq list | status | worker list
    logs shell | logs -f shell | logs shell args | dlq show args | show shell --json
    list --json | logs shell --json | logs -f shell --json | wait --json shell
    list --search "$A" | list --queue "$A" | list --state "$A" | list --cursor "$A"
    list --tag "k=$A" | show shell | show args | show cwd | show stdin | show from
    show "$A" | "$A" | "--$A" | help "$A" | logs "$A" | wait "$A" | cancel "$A" | dlq retry "$A"
    config get "$A" | config set lease "$A" | worker start --queue "$A" | --db "$DB" list
    enqueue "{\\"$A\\":1}" | enqueue "{$A" | enqueue --id "$A" -- x | enqueue --file "$A"
    enqueue --env-file "$A" -- x | enqueue --delay "$A" -- x | enqueue --run-at "$A" -- x
    logs shell --attempt "$A"`;
  const lines = calls.split(/[|\n]/).map((call) => `queuectl ${call.trim()}`);
  const script = join(cli.directory, 'script');
  writeFileSync(script, `A='${ATTACK}'; DB='${db}'\n${lines.join('\n')}\n`);
  const { shown } = await cli.terminal(`sh ${script}; echo over`, { columns: 200 });
  assert.ok(shown.endsWith('over\r\n'));
  // Colours and progress are ours, lines end as terminals want it, the rest must be text.
  const text = shown
    .replaceAll(/\u001b\[(?:[0-9;]*)m/g, '')
    .replaceAll('\r\u001b[K', '')
    .replaceAll('\r\n', '\n');
  const sent = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e].{0,40}/su.exec(text);
  assert.equal(sent, null, JSON.stringify(sent?.[0]));
  assert.ok(text.includes('\\e]52;c;aGk\\x07'));
  // To a program they are what they were.
  assert.equal((await cli.json<JobJson>(['show', 'shell'])).command, attacked.command);
});

test('nothing in the current directory is read or run', async (t) => {
  const cli = box(t);
  const place = join(cli.directory, 'hostile');
  const trap = join(cli.directory, 'trapped');
  mkdirSync(place);
  const script = `require('fs').writeFileSync(${JSON.stringify(trap)}, '')`;
  for (const name of ['.env', '.env.local', '.env.production']) {
    const text = `QUEUECTL_HOME=${trap}\nQUEUECTL_DB=${trap}\nNODE_OPTIONS=--require=./x.cjs\n`;
    writeFileSync(join(place, name), text);
  }
  for (const name of ['bunfig.toml', '.bunfig.toml']) {
    writeFileSync(join(place, name), 'preload = ["./x.cjs"]\n');
  }
  writeFileSync(join(place, 'package.json'), '{"main":"x.cjs","imports":{"#x":"./x.cjs"}}');
  writeFileSync(join(place, 'tsconfig.json'), '{"compilerOptions":{"paths":{"*":["./x.cjs"]}}}');
  for (const name of ['x.cjs', 'index.js', 'main.ts']) writeFileSync(join(place, name), script);
  for (const name of ['valibot', 'string-width', 'fastest-levenshtein']) {
    mkdirSync(join(place, 'node_modules', name), { recursive: true });
    writeFileSync(join(place, 'node_modules', name, 'index.js'), script);
  }
  for (const name of ['sh', 'ps', 'queuectl', 'stty']) {
    writeFileSync(join(place, name), `#!/bin/sh\n: > ${trap}\n`, { mode: 0o755 });
  }
  const before = readdirSync(place, { recursive: true, encoding: 'utf8' }).length;
  await cli.ok(['worker', 'start'], { cwd: place });
  await cli.ok(shell('a', 'echo 漢字'), { cwd: place });
  await cli.ok(['wait', 'a'], { cwd: place });
  for (const [args, code] of [
    [['list'], 0],
    [['lits'], 2],
    [['enqueue', '{"comand":1}'], 2],
    [['logs', 'a'], 0],
    [['worker', 'stop'], 0],
  ] as const) {
    assert.equal((await cli.q(args, { cwd: place })).code, code);
  }
  assert.ok(!existsSync(trap));
  assert.equal(readdirSync(place, { recursive: true, encoding: 'utf8' }).length, before);
  assert.ok(lstatSync(join(cli.home, 'queue.db')).isFile());
});

test('a secret taken from the worker is stored and shown nowhere', async (t) => {
  const cli = box(t);
  const secret = `canary-${'x9'.repeat(8)}`;
  await cli.ok(['worker', 'start'], { env: { TOKEN: secret } });
  await cli.ok(['enqueue', '--id', 'a', '--env', 'TOKEN', '--', 'sh', '-c', 'test -n "$TOKEN"'], {
    env: { TOKEN: secret },
  });
  await cli.ok(['wait', 'a']);
  const text = `${await cli.ok(['show', 'a'])}${JSON.stringify(await cli.json(['show', 'a']))}`;
  assert.ok(!text.includes(secret));
  await until('nothing holds it', async () => {
    const { stdout } = await line(cli, `grep -rlaF ${secret} "${cli.home}"; true`);
    return stdout === '' ? true : undefined;
  });
});
