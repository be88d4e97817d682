// service install, status, uninstall: what systemd itself reads in the unit, what is run
// where a user manager is there (one of ours, that notes what it is asked), what is left to
// do where none is, and whose files are let alone.

import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { refuseOtherSystems } from '../../src/cli/service.ts';
import { readUnit, unitName, unitText } from '../../src/cli/service-unit.ts';
import { type Box, box, QUEUECTL } from './box.ts';

const linux = { skip: process.platform !== 'linux' && 'systemd is for Linux' };
const systemd = {
  skip: spawnSync('systemd-analyze', ['--version']).status !== 0 && 'needs systemd',
};

interface Service extends Box {
  /** Where units are. */
  readonly units: string;
  /** What systemctl and loginctl were asked, oldest first. */
  asked(): string[];
  /** The unit there is. */
  unit(): string;
}

/** `manager`: whether systemctl finds one. `failing`: what it fails at, and says so. */
function service(t: TestContext, manager: boolean, failing = 'nothing'): Service {
  const base = box(t);
  const bin = join(base.directory, 'bin');
  const notes = join(base.directory, 'asked.txt');
  const units = join(base.directory, 'config/systemd/user');
  mkdirSync(bin);
  writeFileSync(notes, '');
  const tool = `#!/bin/sh
    case "$*" in
      "--user show --property=Version") ${manager ? 'exit 0' : 'echo "Failed to connect to bus" >&2; exit 1'} ;;
    esac
    echo "$(basename "$0") $*" >> ${notes}
    case "$*" in
      *"${failing}"*) echo "Failed: of course" >&2; exit 1 ;;
      *is-enabled*) echo disabled; exit 1 ;;
      *is-active*) echo active ;;
      *Linger*) echo no ;;
    esac`;
  for (const name of ['systemctl', 'loginctl'])
    writeFileSync(join(bin, name), tool, { mode: 0o755 });
  const extra = { XDG_CONFIG_HOME: join(base.directory, 'config'), PATH: `${bin}:/usr/bin:/bin` };
  const env = { ...base.env, ...extra };
  const withEnv = <T extends { env?: Readonly<Record<string, string | undefined>> }>(
    options?: T,
  ) => ({
    ...options,
    env: { ...extra, ...options?.env },
  });
  return {
    ...base,
    env,
    q: async (args, options) => await base.q(args, withEnv(options)),
    ok: async (args, options) => await base.ok(args, withEnv(options)),
    json: async <T>(args: readonly string[], options = {}) =>
      await base.json<T>(args, withEnv(options)),
    refused: async (args, code, options) => await base.refused(args, code, withEnv(options)),
    units,
    asked: () => readFileSync(notes, 'utf8').split('\n').slice(0, -1),
    unit: () => {
      const [name = '', ...more] = readdirSync(units).filter((one) => one.endsWith('.service'));
      assert.deepEqual(more, []);
      return readFileSync(join(units, name), 'utf8');
    },
  };
}

test('without a manager: the unit is written, and what is left to do is said', linux, async (t) => {
  const cli = service(t, false);
  const { code, stdout, stderr } = await cli.q([
    'service',
    'install',
    '--count',
    '2',
    '--queue',
    'a',
  ]);
  const file = join(cli.units, 'queuectl.service');
  assert.equal(code, 0);
  assert.equal(stdout, `Wrote ${file}\n`);
  assert.equal(
    stderr,
    [
      'queuectl: no systemd of yours runs here (Failed to connect to bus)',
      'left to do:',
      '  systemctl --user daemon-reload',
      '  systemctl --user enable queuectl.service',
      '  loginctl enable-linger',
      '',
    ].join('\n'),
  );
  assert.deepEqual(readdirSync(cli.units), ['queuectl.service'], 'nothing temporary is left');
  assert.match(
    cli.unit(),
    /^ExecStart=".*\/queuectl" "worker" "start" "--foreground" "--count" "2" .*"--queue" "a"$/m,
  );
  assert.match(cli.unit(), new RegExp(`^Environment="QUEUECTL_HOME=${cli.home}"$`, 'm'));
  assert.match(cli.unit(), /^KillMode=mixed$/m);

  const missing = await cli.q(['service', 'install', '--json'], { env: { PATH: cli.home } });
  const answer = JSON.parse(missing.stdout) as { changed: boolean; left: string[]; why: string };
  assert.equal(answer.why, 'systemd is not installed here');
  assert.equal(answer.left.length, 3);
  assert.equal(answer.changed, true, 'another count and PATH');
});

test('with a manager: it is enabled, and started when asked', linux, async (t) => {
  const cli = service(t, true);
  const first = await cli.q(['service', 'install']);
  assert.match(
    first.stderr,
    /^The workers start at boot\.\nhint: .*systemctl --user start queuectl\.service\n$/,
  );
  const enabling = [
    'systemctl --user daemon-reload',
    'systemctl --user enable queuectl.service',
    'loginctl --no-ask-password enable-linger',
  ];
  assert.deepEqual(cli.asked(), enabling);
  // The same again: what runs goes on. With something else it has to start anew.
  const [reload = '', enable = '', linger = ''] = enabling;
  await cli.ok(['service', 'install', '--now']);
  await cli.ok(['service', 'install', '--now', '--concurrency', '4']);
  assert.deepEqual(cli.asked().slice(3), [
    reload,
    enable,
    'systemctl --user start queuectl.service',
    linger,
    reload,
    enable,
    'systemctl --user restart queuectl.service',
    linger,
  ]);
  assert.match(cli.unit(), /"--concurrency" "4"/);
});

test('a step that fails is told, with all that is left', linux, async (t) => {
  const cli = service(t, true, 'enable-linger');
  const answer = await cli.json<{ done: string[]; left: string[]; why: string }>([
    'service',
    'install',
    '--now',
  ]);
  assert.equal(answer.done.length, 3);
  assert.deepEqual(answer.left, ['loginctl enable-linger']);
  assert.match(answer.why, /Failed: of course/);
});

test('a unit that queuectl did not write is let alone', linux, async (t) => {
  const cli = service(t, true);
  const file = join(cli.units, 'queuectl.service');
  mkdirSync(cli.units, { recursive: true });
  writeFileSync(file, '[Service]\nExecStart=/bin/true\n');
  assert.match(
    await cli.refused(['service', 'install'], 4),
    /not written by queuectl\nhint: .*--force/,
  );
  assert.match(await cli.refused(['service', 'uninstall'], 4), /not written by queuectl/);
  assert.match(
    await cli.ok(['service', 'status']),
    /installed +no: the file there was not written/,
  );
  assert.equal(readFileSync(file, 'utf8'), '[Service]\nExecStart=/bin/true\n');

  // Masked; and a link to one of ours, which somebody keeps elsewhere.
  const ours = join(cli.directory, 'kept.service');
  await cli.ok(['--db', join(cli.directory, 'q.db'), 'service', 'install', '--force']);
  copyFileSync(join(cli.units, unitName(join(cli.directory, 'q.db'), true)), ours);
  const before = cli.asked().length;
  for (const target of ['/dev/null', ours]) {
    rmSync(file);
    symlinkSync(target, file);
    assert.match(await cli.refused(['service', 'install'], 4), /not written by queuectl/);
    assert.match(await cli.refused(['service', 'uninstall'], 4), /not written by queuectl/);
    assert.equal(readlinkSync(file), target);
  }
  assert.equal(cli.asked().length, before, 'systemd was not asked for anything');
  await cli.ok(['service', 'install', '--force']);
  assert.match(readFileSync(file, 'utf8'), /ExecStart/);
});

test('each database has a unit of its own', linux, async (t) => {
  const cli = service(t, false);
  const [one, two] = ['one.db', 'a-b c.db'].map((name) => join(cli.directory, name));
  await cli.ok(['service', 'install']);
  await cli.ok(['--db', one ?? '', 'service', 'install']);
  await cli.ok(['service', 'install'], { env: { QUEUECTL_DB: two } });
  const escape = spawnSync('systemd-escape', ['--path', two ?? ''], { encoding: 'utf8' });
  const names = readdirSync(cli.units);
  assert.equal(names.length, 3);
  if (systemd.skip === false) assert.ok(names.includes(`queuectl-${escape.stdout.trim()}.service`));
  const other = await cli.refused(['service', 'install'], 4, {
    env: { QUEUECTL_HOME: cli.directory },
  });
  assert.match(other, /serves another queue: .*home\/queue\.db\nhint: --db/);
  assert.ok(unitName(`/${'x'.repeat(4000)}`, true).length < 250);
});

test('uninstall stops, disables and removes; what fails can be repeated', linux, async (t) => {
  const cli = service(t, true, 'disable');
  assert.match(await cli.refused(['service', 'uninstall'], 3), /no service is installed/);
  await cli.ok(['service', 'install']);
  const { code } = await cli.q(['service', 'uninstall']);
  assert.equal(code, 5);
  assert.ok(existsSync(join(cli.units, 'queuectl.service')));

  writeFileSync(
    join(cli.directory, 'bin/systemctl'),
    `#!/bin/sh\necho "$*" >> ${cli.directory}/later\n`,
  );
  await cli.ok(['service', 'uninstall']);
  assert.deepEqual(readdirSync(cli.units), []);
  assert.equal(
    readFileSync(join(cli.directory, 'later'), 'utf8'),
    '--user show --property=Version\n--user disable --now queuectl.service\n--user daemon-reload\n',
  );
});

test('uninstall without a manager takes back what enabling has made', linux, async (t) => {
  const cli = service(t, false);
  await cli.ok(['service', 'install']);
  const wants = join(cli.units, 'default.target.wants');
  mkdirSync(wants);
  symlinkSync(join(cli.units, 'queuectl.service'), join(wants, 'queuectl.service'));
  symlinkSync('/usr/lib/systemd/user/other.service', join(wants, 'other.service'));
  const { stderr } = await cli.q(['service', 'uninstall']);
  assert.match(stderr, /workers that run go on; queuectl worker stop/);
  assert.deepEqual(readdirSync(cli.units), ['default.target.wants']);
  assert.deepEqual(readdirSync(wants), ['other.service']);
});

test(
  'status: installed, enabled, active, and whether stopping has the time it needs',
  linux,
  async (t) => {
    const cli = service(t, true);
    const before = await cli.json<Record<string, unknown>>(['service', 'status']);
    assert.deepEqual(
      [before['installed'], before['database'], before['workers']],
      [false, null, null],
    );
    assert.ok(!existsSync(cli.home), 'it only looks');
    await cli.ok(['config', 'set', 'grace', '2m']);
    await cli.ok(['service', 'install', '--count', '3']);
    assert.match(cli.unit(), /^TimeoutStopSec=135$/m);
    const after = await cli.json<Record<string, unknown>>(['service', 'status']);
    const database = join(cli.home, 'queue.db');
    assert.deepEqual(after, {
      unit: 'queuectl.service',
      file: join(cli.units, 'queuectl.service'),
      installed: true,
      database,
      workers: ['--count', '3', '--concurrency', '1'],
      enabled: 'disabled',
      active: 'active',
      lingers: false,
    });
    const short = await cli.q(['service', 'status']);
    assert.match(short.stderr, /^hint: loginctl enable-linger\n$/);
    await cli.ok(['config', 'set', 'grace', '10m']);
    const { stderr } = await cli.q(['service', 'status']);
    assert.match(
      stderr,
      /longer than the unit leaves.*\nhint: queuectl service install --count 3 --concurrency 1\n/,
    );

    const elsewhere = service(t, false);
    const { stdout, stderr: why } = await elsewhere.q(['service', 'status']);
    assert.match(stdout, /^installed +no$/m);
    assert.match(why, /no systemd of yours/);
  },
);

/** What systemd makes of a unit: its own dump of it. It refuses to do that for root. */
async function readBySystemd(cli: Service, name: string): Promise<string> {
  const runtime = join(cli.directory, 'runtime');
  mkdirSync(runtime);
  for (const open of [dirname(cli.directory), cli.directory, runtime]) chmodSync(open, 0o777);
  const drop =
    process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
  const line = [...drop, '/lib/systemd/systemd', '--user', '--test', `--unit=${name}`];
  const [file = '', ...args] = line;
  const { stdout } = await promisify(execFile)(file, args, {
    env: {
      PATH: '/usr/bin:/bin',
      HOME: runtime,
      XDG_RUNTIME_DIR: runtime,
      XDG_CONFIG_HOME: join(cli.directory, 'config'),
    },
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout.split(`-> Unit ${name}:\n`)[1]?.split('-> Unit ')[0] ?? '';
}

/** The words of a line that systemd has quoted, which it does as for a shell. */
async function wordsOf(line: string): Promise<string[]> {
  const script = `eval "set -- $1"; printf '%s\\0' "$@"`;
  const { stdout } = await promisify(execFile)('bash', ['-c', script, 'bash', line]);
  return stdout.split('\0').slice(0, -1);
}

for (const odd of ['a %h%% $HOME ${X} b', `q'u"o\\te ;`, 'ünï 文']) {
  test(
    `systemd reads a program, a database and a PATH with ${odd} as they are`,
    systemd,
    async (t) => {
      const cli = service(t, false);
      const place = join(cli.directory, odd);
      mkdirSync(place);
      const program = join(place, `queuectl ${odd}`);
      copyFileSync(QUEUECTL, program);
      const database = join(place, 'q.db');
      const path = `/usr/bin:${place}`;
      // Its manager is not asked: whoever runs this may have one.
      const env = {
        ...cli.env,
        QUEUECTL_HOME: cli.home,
        PATH: `${join(cli.directory, 'bin')}:${path}`,
      };
      const args = [
        '--db',
        database,
        'service',
        'install',
        '--queue',
        'a:b@c',
        '--log-format',
        'json',
      ];
      await promisify(execFile)(program, args, { env });
      const [name = ''] = readdirSync(cli.units);

      const dump = await readBySystemd(cli, name);
      assert.match(dump, /Unit Load State: loaded/);
      const environment = [...dump.matchAll(/^\t+Environment: (.*)$/gm)].map(([, value]) => value);
      assert.deepEqual(environment, [
        `QUEUECTL_HOME=${cli.home}`,
        `QUEUECTL_DB=${database}`,
        `PATH=${env.PATH}`,
      ]);
      const { stderr } = await promisify(execFile)(
        'systemd-analyze',
        ['--user', '--man=no', 'verify', join(cli.units, name)],
        {
          env: { ...cli.env, XDG_RUNTIME_DIR: join(cli.directory, 'runtime') },
        },
      );
      assert.equal(stderr, '');

      // What systemd would run, with its $$ undone as it does, is the program.
      const [, shown = ''] = /^\t+Command Line: (.*)$/m.exec(dump) ?? [];
      const argv = await wordsOf(shown);
      const start = argv.indexOf('worker');
      assert.deepEqual(
        argv.slice(start).join(' '),
        'worker start --foreground --count 1 --concurrency 1 --queue a:b@c --log-format json',
      );
      const [file = '', ...first] = argv.slice(0, start);
      const { stdout } = await promisify(execFile)(file, [
        ...first.map((word) => word.replaceAll('$$', '$')),
        '--version',
      ]);
      assert.match(stdout, /^queuectl \d/);
      const known = readUnit(cli.unit());
      assert.equal(known?.database, database);
    },
  );
}

test('a program whose name systemd takes in no way is started through a shell', () => {
  const text = unitText({
    program: [`/a "b" $c/queuectl`],
    arguments: [],
    environment: {},
    database: '/q.db',
    stopWithin: 35_000,
  });
  const line = String.raw`ExecStart="/bin/sh" "-c" "exec \"$$0\" \"$$@\"" "/a \"b\" $$c/queuectl" "worker" "start" "--foreground"`;
  assert.ok(text.includes(`\n${line}\n`), text);
});

test('other systems are told what to use instead', () => {
  refuseOtherSystems('linux');
  for (const [platform, what] of [
    ['darwin', /macOS/],
    ['win32', /Windows/],
    ['freebsd', /freebsd/],
  ] as const) {
    assert.throws(() => refuseOtherSystems(platform), { code: 'usage', message: what });
  }
});
