// Shell completion, asked as the scripts ask and through the shells themselves: a bash and a
// zsh on a terminal, a fish. What is typed is text: none of it may run.

import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { STATES } from '../../src/job.ts';
import { QUEUE_SETTINGS, SETTING_NAMES } from '../../src/config.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { unquote } from '../../src/cli/completion/lexer.ts';
import { type Box, box, QUEUECTL } from './box.ts';

const has = (program: string): boolean => spawnSync(program, ['--version']).error === undefined;
const shell = (name: string): { skip: string | false } => ({
  skip: !(has(name) && has('script')) && `needs ${name} and script`,
});

/** As bash has it unless told otherwise. */
const BREAKS = ' \t\n"\'@><=;|&(:';
const ODD_ID = 'a:b@c.1';
const ODD_QUEUE = 'video:hd';

/** What bash is offered for a line that ends at the cursor; the first is the kind. */
async function offered(cli: Box, line: string): Promise<string[]> {
  const answer = await cli.q(['__complete', 'bash', '--', BREAKS, line]);
  assert.deepEqual([answer.code, answer.stderr], [0, ''], line);
  return answer.stdout.trimEnd().split('\n');
}

async function words(cli: Box, line: string): Promise<string[]> {
  const [kind, ...rest] = await offered(cli, line);
  assert.equal(kind, 'words', line);
  return rest;
}

/** Jobs in each state that a job can be in without a worker, and one that died. */
async function fill(cli: Box): Promise<void> {
  await cli.ok(['enqueue', '--id', 'dead.1', '--max-retries', '0', '--', 'false']);
  await cli.ok(['worker', 'start', '--foreground', '--drain']);
  await cli.ok([
    'enqueue',
    '--id',
    ODD_ID,
    '--queue',
    ODD_QUEUE,
    '--',
    'echo',
    '$(touch ran)',
    '%F',
  ]);
  await cli.ok(['enqueue', '--id', 'plain', '--', 'true']);
}

test('commands and their second words, hidden ones left out', async (t) => {
  const cli = box(t);
  const first = new Set(
    [...COMMANDS].flatMap(([name, { group }]) => (group === null ? [] : name.split(' ', 1))),
  );
  assert.deepEqual(await words(cli, 'queuectl '), [...first]);
  assert.deepEqual(await words(cli, 'queuectl --json --db q.db dl'), ['dlq']);
  assert.deepEqual(await words(cli, 'queuectl dlq '), ['list', 'show', 'retry', 'purge']);
  assert.deepEqual(await words(cli, 'queuectl help dlq s'), ['show']);
  assert.deepEqual(await words(cli, 'queuectl nonsense '), []);
  assert.deepEqual(await words(cli, 'queuectl completion '), ['bash', 'zsh', 'fish', 'powershell']);
  assert.ok(!existsSync(cli.home), 'nothing was made');
});

test('flags: those not given yet, and those that may be repeated', async (t) => {
  const cli = box(t);
  assert.deepEqual(await words(cli, 'queuectl enqueue --que'), ['--queue']);
  assert.deepEqual(await words(cli, 'queuectl enqueue --queue a --que'), []);
  assert.deepEqual(await words(cli, 'queuectl enqueue --tag a=b --ta'), ['--tag']);
  assert.deepEqual(await words(cli, 'queuectl enqueue --shell --fi'), [], 'the value of a flag');
  const after = await words(cli, 'queuectl run -');
  assert.ok(after.includes('--') && after.includes('-h') && after.includes('--cwd'));
  // Free text: neither a guess nor a file.
  for (const line of [
    'queuectl enqueue --id ',
    'queuectl edit x --delay ',
    'queuectl wait a b --timeout 1',
  ]) {
    assert.deepEqual(await words(cli, line), [], line);
  }
});

test('values: choices, joined ones, settings', async (t) => {
  const cli = box(t);
  assert.deepEqual(await words(cli, 'queuectl list --state '), STATES);
  assert.deepEqual(await words(cli, 'queuectl list --state dead,p'), [
    'dead,pending',
    'dead,processing',
  ]);
  assert.deepEqual(await words(cli, 'queuectl list --state=failed,fa'), [], 'chosen already');
  assert.deepEqual(await words(cli, 'queuectl list --sort=new'), ['newest']);
  for (const command of ['worker start', 'service install']) {
    assert.deepEqual(await words(cli, `queuectl ${command} --log-format `), ['text', 'json']);
  }
  assert.deepEqual(await words(cli, 'queuectl config set '), SETTING_NAMES);
  assert.deepEqual(await words(cli, 'queuectl config get --queue q '), QUEUE_SETTINGS);
  assert.deepEqual(await words(cli, 'queuectl config set lease '), []);
});

test('files, directories and commands are left to the shell', async (t) => {
  const cli = box(t);
  const kinds = {
    files: [
      'queuectl enqueue --file ',
      'queuectl enqueue --env-file=x',
      'queuectl run --stdin ',
      'queuectl backup ',
      'queuectl --db ',
      'queuectl run -- ls ',
      'queuectl list > ',
      'queuectl list 2>x',
    ],
    directories: ['queuectl enqueue --cwd ', 'queuectl run --cwd=/'],
    commands: ['queuectl run -- ', 'queuectl enqueue --queue a -- l'],
  };
  for (const [kind, lines] of Object.entries(kinds)) {
    for (const line of lines) assert.deepEqual(await offered(cli, line), [kind], line);
  }
});

test('ids of jobs that the command can act on, newest first, and queues', async (t) => {
  const cli = box(t);
  await fill(cli);
  assert.deepEqual(await words(cli, 'queuectl show '), ['plain', ODD_ID, 'dead.1']);
  assert.deepEqual(await words(cli, 'queuectl show pl'), ['plain']);
  assert.deepEqual(await words(cli, 'queuectl wait plain '), [ODD_ID, 'dead.1'], 'not twice');
  assert.deepEqual(await words(cli, 'queuectl cancel '), ['plain', ODD_ID]);
  assert.deepEqual(await words(cli, 'queuectl edit p'), ['plain']);
  for (const verb of ['dlq show', 'dlq retry', 'retry', 'logs']) {
    assert.deepEqual(await words(cli, `queuectl ${verb} `), ['dead.1'], verb);
  }
  assert.deepEqual(await words(cli, 'queuectl worker start --queue '), ['default', ODD_QUEUE]);
  assert.deepEqual(await words(cli, 'queuectl edit --to-queue v'), [ODD_QUEUE]);
  // What bash takes for the word begins behind its word breaks, but for the @.
  assert.deepEqual(await words(cli, 'queuectl show a:'), ['b@c.1']);
  assert.deepEqual(await words(cli, 'queuectl show a:b@'), ['@c.1']);
  assert.deepEqual(await words(cli, "queuectl show 'a:b"), [ODD_ID]);
  assert.deepEqual(await words(cli, 'queuectl list --queue=video:'), ['hd']);
});

test('another database: --db as the shell would read it', async (t) => {
  const cli = box(t);
  await cli.ok([
    '--db',
    join(cli.directory, 'an other.db'),
    'enqueue',
    '--id',
    'there',
    '--',
    'true',
  ]);
  for (const db of [
    '"an other.db"',
    'an\\ other.db',
    "$DIR/'an other.db'",
    '~/an\\ other.db',
    '"${DIR}/an other.db"',
  ]) {
    const line = `queuectl --db ${db} show `;
    const answer = await cli.q(['__complete', 'bash', '--', BREAKS, line], {
      env: { HOME: cli.directory, DIR: cli.directory },
    });
    assert.equal(answer.stdout, 'words\nthere\n', line);
  }
  assert.deepEqual(await words(cli, 'queuectl --db $(echo q.db) show '), []);
});

test('at most 200 ids, the newest, found by their beginning among many', async (t) => {
  const cli = box(t);
  const jobs = Array.from({ length: 5000 }, (_, i) => `{"id": "job-${i}", "command": "true"}\n`);
  await cli.ok(['enqueue', '--quiet', '-'], { input: jobs.join('') });
  const newest = Array.from({ length: 200 }, (_, i) => `job-${4999 - i}`);
  assert.deepEqual(await words(cli, 'queuectl cancel '), newest);
  assert.deepEqual(await words(cli, 'queuectl cancel job-'), newest);
  assert.deepEqual(await words(cli, 'queuectl cancel job-12'), [
    ...Array.from({ length: 100 }, (_, i) => `job-${1299 - i}`),
    ...Array.from({ length: 10 }, (_, i) => `job-${129 - i}`),
    'job-12',
  ]);
});

test('it only looks: nothing is made, and a database that cannot be read is silent', async (t) => {
  const cli = box(t);
  await fill(cli);
  const database = join(cli.home, 'queue.db');
  const before = readdirSync(cli.home);
  assert.deepEqual(await words(cli, 'queuectl show pl'), ['plain']);
  assert.deepEqual(readdirSync(cli.home), before);

  const other = new DatabaseSync(database);
  t.after(() => other.close());
  other.exec("BEGIN IMMEDIATE; UPDATE job SET id = 'plainer' WHERE id = 'plain'");
  assert.deepEqual(await words(cli, 'queuectl show pl'), ['plain'], 'a writer is in no way');
  other.exec('COMMIT');
  assert.deepEqual(await words(cli, 'queuectl show pl'), ['plainer'], 'what only the WAL has');
  other.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT; BEGIN IMMEDIATE');
  assert.deepEqual(await words(cli, 'queuectl show pl'), [], 'it does not wait for a lock');
  other.exec('ROLLBACK; PRAGMA user_version = 999; PRAGMA locking_mode = NORMAL; BEGIN; COMMIT');
  assert.deepEqual(await words(cli, 'queuectl show pl'), [], 'of a newer version');

  truncateSync(database, 5000);
  assert.deepEqual(await words(cli, 'queuectl show pl'), [], 'damaged');
  writeFileSync(database, 'no database at all');
  assert.deepEqual(await words(cli, 'queuectl show pl'), [], 'foreign');
  truncateSync(database);
  assert.deepEqual(await words(cli, 'queuectl show pl'), [], 'empty');
  const nowhere = await cli.q(['__complete', 'bash', '--', BREAKS, 'queuectl --db : show '], {
    env: { QUEUECTL_HOME: '~/x', HOME: '' },
  });
  assert.deepEqual([nowhere.code, nowhere.stderr], [0, '']);
});

test('descriptions stay on their line, whatever the command of a job is', async (t) => {
  const cli = box(t);
  const command = `x\t\n\u001b]0;title\u0007${'long '.repeat(100)}`;
  await cli.ok(['enqueue', '-'], { input: JSON.stringify({ id: 'odd', command }) });
  for (const name of ['zsh', 'fish']) {
    const { stdout } = await cli.q(['__complete', name, '--', 'show', '']);
    const shown = stdout.split('\n').find((line) => line.startsWith('odd')) ?? '';
    assert.match(shown, /^odd[:\t]pending {2}x\\+t\\+n\\+e\]0;title/);
    assert.ok(shown.length < 90, shown);
    assert.doesNotMatch(shown.slice(4), /\p{Cc}/u);
  }
  const { stdout } = await cli.q(['__complete', 'powershell', '=show', '=']);
  assert.match(stdout, /^words\n\n\nodd\tpending {2}x/);
});

test('quotes are taken off as bash does', shell('bash'), async (t) => {
  const { directory } = box(t);
  for (const word of [`a\\ b'c d'"e f"`, `"a\\"b\\$c"'\\'`, `''`, `"a'b"`, `x\\\\y`, `"\\q"`]) {
    const { stdout } = await promisify(execFile)('bash', ['-c', `printf %s ${word}`], {
      cwd: directory,
    });
    assert.equal(unquote(word), stdout, word);
  }
});

/** Where `queuectl` in PATH is the executable, and files have names that need quotes. */
function surroundings(cli: Box): NodeJS.ProcessEnv {
  mkdirSync(join(cli.directory, 'sub dir'));
  writeFileSync(join(cli.directory, 'file one'), '');
  return {
    ...cli.env,
    PATH: `${dirname(QUEUECTL)}:${cli.env['PATH'] ?? ''}`,
    HOME: cli.directory,
    ZDOTDIR: cli.directory,
    TERM: 'xterm',
    LC_ALL: 'C.UTF-8',
  };
}

/** But for what shells keep about themselves. */
function filesOf(cli: Box): string[] {
  return readdirSync(cli.directory)
    .filter((name) => !name.startsWith('.'))
    .toSorted();
}

interface Typed {
  readonly setup: string;
  /** Ends where TAB is pressed. One that holds a `$(` or a backtick is then thrown away. */
  readonly lines: readonly string[];
}

/** Types into a shell on a terminal, where `p` notes its arguments; answers those. */
async function typeInto(
  t: TestContext,
  cli: Box,
  command: string,
  { setup, lines }: Typed,
): Promise<{ readonly ran: string[]; readonly shown: string }> {
  const noted = join(cli.directory, 'noted.txt');
  writeFileSync(noted, '');
  const child = spawn('script', ['-qec', `stty cols 200; exec ${command}`, '/dev/null'], {
    cwd: cli.directory,
    env: surroundings(cli),
  });
  const closed = once(child, 'close');
  t.after(() => child.kill('SIGKILL'));
  let shown = '';
  let typedSoFar = 0;
  let onShown = (): void => {};
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
    onShown();
  });
  child.stdin.on('error', () => {});
  const type = async (text: string): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const end = `line-${(typedSoFar += 1)}-done`;
    onShown = () => shown.includes(end) && resolve(undefined);
    void closed.then(() => reject(new Error(`it ended: ${shown}`)));
    child.stdin.write(`${text}echo line''-${typedSoFar}-done\n`);
    await promise;
  };
  await type(`${setup}\np() { printf '<%s>' "$@" >> ${noted}; echo >> ${noted}; }\n`);
  for (const line of lines) await type(`${line}\t${/[`(]/.test(line) ? '\u0015' : '\n'}`);
  child.stdin.write('exit\n');
  await closed;
  return { ran: readFileSync(noted, 'utf8').trimEnd().split('\n'), shown };
}

const COMPLETED: readonly (readonly [line: string, ran: string])[] = [
  ['p show a:b', '<show><a:b@c.1>'],
  ['p show a:b@', '<show><a:b@c.1>'],
  ['p show "a:b', '<show><a:b@c.1>'],
  ['p list --state=failed,de', '<list><--state=failed,dead>'],
  ['p edit --to-queue=video:', '<edit><--to-queue=video:hd>'],
  ['p enqueue --file fi', '<enqueue><--file><file one>'],
  ['p enqueue --file=fi', '<enqueue><--file=file one>'],
  ['p enqueue --cwd su', '<enqueue><--cwd><sub dir/>'],
  ['p run -- queuec', '<run><--><queuectl>'],
  ['p run -- ls fi', '<run><--><ls><file one>'],
  ['p config set lease ', '<config><set><lease>'],
  ['p show nobody', '<show><nobody>'],
  // Not run, neither by TAB nor afterwards.
  ['p run $(touch ran) --cw', ''],
  ['p cancel `touch ran` > x a:', ''],
  ['p enqueue -- "$(touch ran)" fi', ''],
];

const EXPECTED = COMPLETED.flatMap(([, ran]) => (ran === '' ? [] : [ran]));
const LINES = COMPLETED.map(([line]) => line);

test('bash on a terminal', shell('bash'), async (t) => {
  const cli = box(t);
  await fill(cli);
  const { ran, shown } = await typeInto(t, cli, 'bash --norc --noprofile', {
    // Twice: a new shell in a terminal reads its ~/.bashrc again.
    setup: `${'source <(queuectl completion bash)\n'.repeat(2)}complete -o nosort -F _queuectl p`,
    lines: LINES,
  });
  assert.deepEqual(ran, EXPECTED, shown);
  assert.deepEqual(filesOf(cli), ['file one', 'noted.txt', 'sub dir']);
});

test('zsh on a terminal', shell('zsh'), async (t) => {
  const cli = box(t);
  await fill(cli);
  const { ran, shown } = await typeInto(t, cli, 'zsh -f -i', {
    setup: `autoload -Uz compinit && compinit -u -D\n${'source <(queuectl completion zsh)\n'.repeat(2)}compdef _queuectl p`,
    lines: [...LINES, 'p show $(', 'p cancel '],
  });
  assert.deepEqual(
    ran.slice(0, EXPECTED.length).map((line) => line.replace('dir>', 'dir/>')),
    EXPECTED,
    shown,
  );
  assert.match(
    shown,
    /a:b@c\.1 +-- pending {2}echo '\$\(touch ran\)' %F/,
    'what the job is, as text',
  );
  assert.doesNotMatch(shown, /_queuectl:|shift count/);
  assert.deepEqual(filesOf(cli), ['file one', 'noted.txt', 'sub dir']);
});

test('zsh finds it in $fpath, and says what is missing', shell('zsh'), async (t) => {
  const cli = box(t);
  const env = surroundings(cli);
  const run = async (script: string) =>
    await promisify(execFile)('zsh', ['-f', '-c', script], { cwd: cli.directory, env });
  const { stderr } = await run('source <(queuectl completion zsh)');
  assert.match(stderr, /^queuectl: run "autoload -Uz compinit && compinit" before/);
  const { stdout } = await run(
    'queuectl completion zsh > _queuectl; fpath=($PWD $fpath); autoload -Uz compinit && compinit -u -D; echo $_comps[queuectl]',
  );
  assert.equal(stdout, '_queuectl\n');
});

test('fish', shell('fish'), async (t) => {
  const cli = box(t);
  await fill(cli);
  const env = surroundings(cli);
  const complete = async (line: string): Promise<string[]> => {
    const script = `${'queuectl completion fish | source\n'.repeat(2)}alias qq queuectl\ncomplete -C $argv[1]`;
    const { stdout, stderr } = await promisify(execFile)('fish', ['-N', '-c', script, line], {
      cwd: cli.directory,
      env,
    });
    assert.equal(stderr, '', line);
    return stdout.split('\n').slice(0, -1);
  };
  assert.deepEqual(await complete('queuectl cancel '), [
    'plain\tpending  true',
    `${ODD_ID}\tpending  echo '$(touch ran)' %F`,
  ]);
  assert.deepEqual(await complete(`${QUEUECTL} cancel pl`), ['plain\tpending  true']);
  assert.deepEqual(await complete('qq cancel pl'), ['plain\tpending  true']);
  assert.deepEqual(await complete('queuectl list --state=failed,de'), ['--state=failed,dead']);
  assert.deepEqual(await complete('queuectl edit --to-queue video:'), [ODD_QUEUE]);
  assert.deepEqual(await complete('queuectl edit --to-queue "vi'), [ODD_QUEUE]);
  assert.deepEqual(await complete('queuectl enqueue --file fi'), ['file one']);
  assert.deepEqual(await complete('queuectl enqueue --file=fi'), ['--file=file one']);
  assert.deepEqual(
    (await complete('queuectl enqueue --cwd ')).map((line) => line.split('\t', 1).join()),
    ['sub dir/'],
  );
  assert.ok(
    (await complete('queuectl run -- queuec')).some((line) => line.startsWith('queuectl\t')),
  );
  assert.deepEqual(await complete('queuectl run -- ls fi'), ['file one']);
  assert.deepEqual(await complete('queuectl config set lease '), []);
  assert.deepEqual(await complete('queuectl show nobody'), []);
  assert.deepEqual(await complete('queuectl enqueue (touch ran) "$(touch ran)" --fi'), [
    '--file\tone JSON job a line; - reads stdin',
  ]);
  assert.deepEqual(filesOf(cli), ['file one', 'sub dir']);
});

test('bash: by its path, by a name of its own, in strict mode', shell('bash'), async (t) => {
  const cli = box(t);
  await fill(cli);
  symlinkSync(QUEUECTL, join(cli.directory, 'another name'));
  const ask = async (name: string, first: string): Promise<string> => {
    const script = `set -euo pipefail; source <("$0" completion bash); COMP_LINE="$1 show pl" COMP_POINT=$(( \${#1} + 8 ))
      _queuectl "$2" pl show; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await promisify(execFile)(
      'bash',
      ['--norc', '-c', script, QUEUECTL, name, first],
      {
        cwd: cli.directory,
        // Not in PATH: only the one that is named can answer.
        env: { ...cli.env, HOME: cli.directory, PATH: '/usr/bin:/bin' },
      },
    );
    return stdout;
  };
  assert.equal(await ask(QUEUECTL, QUEUECTL), 'plain\n');
  assert.equal(await ask('./another\\ name', './another name'), 'plain\n');
  assert.equal(await ask('~/another\\ name', '~/another name'), 'plain\n');
});

test('completion SHELL: a script, an unknown shell, none', async (t) => {
  const cli = box(t);
  const powershell = await cli.ok(['completion', 'powershell']);
  assert.match(
    powershell,
    /^Register-ArgumentCompleter -Native -CommandName 'queuectl', 'queuectl\.exe' /m,
  );
  assert.match(
    await cli.refused(['completion', 'zhs'], 2),
    /bash, zsh, fish or powershell, not "zhs", did you mean zsh\?/,
  );
  assert.match(await cli.refused(['completion'], 2), /needs a shell/);
  assert.match(await cli.refused(['completion', 'bash', '--json'], 2), /no JSON/);
  assert.ok(!existsSync(cli.home));
});
