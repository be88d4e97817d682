// Where a queue lives: SH-10, SH-11. That its home is ours alone is tested in home.test.ts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, QueuectlError } from '../../src/errors.ts';
import { type LocationInput, resolveLocation } from '../../src/location.ts';

const noEntry = (): string => {
  throw new Error('uv_os_get_passwd returned ENOENT');
};

function resolve(
  environment: LocationInput['environment'],
  rest: Partial<LocationInput> = {},
): ReturnType<typeof resolveLocation> {
  const homeDirectory = (): string => '/home/entry';
  return resolveLocation({ environment, homeDirectory, cwd: () => '/at', ...rest });
}

test('all that a home holds', () => {
  assert.deepEqual(resolve({ HOME: '/home/me' }), {
    kind: 'sqlite',
    database: '/home/me/.queuectl/queue.db',
    home: '/home/me/.queuectl',
    makeParents: false,
    logs: '/home/me/.queuectl/logs',
    workerLogs: '/home/me/.queuectl/logs/workers',
    jobLogs: '/home/me/.queuectl/logs/jobs',
    wakeFile: '/home/me/.queuectl/wake',
    roster: '/home/me/.queuectl/run',
    jobEnvironment: { QUEUECTL_HOME: '/home/me/.queuectl' },
    allowNetworkFs: false,
  });
});

const DATABASES: readonly (readonly [
  string,
  Record<string, string>,
  string | undefined,
  string,
  object,
])[] = [
  ['HOME', { HOME: '/h' }, undefined, '/h/.queuectl/queue.db', { QUEUECTL_HOME: '/h/.queuectl' }],
  [
    'no HOME: the password file',
    {},
    undefined,
    '/home/entry/.queuectl/queue.db',
    { QUEUECTL_HOME: '/home/entry/.queuectl' },
  ],
  [
    'an empty HOME too',
    { HOME: '' },
    undefined,
    '/home/entry/.queuectl/queue.db',
    { QUEUECTL_HOME: '/home/entry/.queuectl' },
  ],
  [
    'QUEUECTL_HOME',
    { HOME: '/h', QUEUECTL_HOME: '/q' },
    undefined,
    '/q/queue.db',
    { QUEUECTL_HOME: '/q' },
  ],
  [
    'SH-11: a relative one',
    { QUEUECTL_HOME: './q' },
    undefined,
    '/at/q/queue.db',
    { QUEUECTL_HOME: '/at/q' },
  ],
  [
    'an empty one is not set',
    { HOME: '/h', QUEUECTL_HOME: '' },
    undefined,
    '/h/.queuectl/queue.db',
    { QUEUECTL_HOME: '/h/.queuectl' },
  ],
  [
    'QUEUECTL_DB',
    { HOME: '/h', QUEUECTL_DB: 'x.db' },
    undefined,
    '/at/x.db',
    { QUEUECTL_HOME: '/h/.queuectl', QUEUECTL_DB: '/at/x.db' },
  ],
  [
    'an empty one is not set',
    { HOME: '/h', QUEUECTL_DB: '' },
    undefined,
    '/h/.queuectl/queue.db',
    { QUEUECTL_HOME: '/h/.queuectl' },
  ],
  [
    '--db before QUEUECTL_DB',
    { QUEUECTL_HOME: 'q', QUEUECTL_DB: '/y' },
    '../x',
    '/x',
    { QUEUECTL_HOME: '/at/q', QUEUECTL_DB: '/x' },
  ],
];

for (const [name, environment, db, database, jobEnvironment] of DATABASES) {
  test(`the database: ${name}`, () => {
    const location = resolve(environment, { db });
    assert.equal(location.database, database);
    assert.deepEqual(location.jobEnvironment, jobEnvironment);
    const own = 'QUEUECTL_DB' in jobEnvironment;
    assert.equal(location.home, own ? `${database}.d` : database.replace('/queue.db', ''));
  });
}

test('with --db no home is needed', () => {
  const location = resolve({}, { db: '/x.db', homeDirectory: noEntry });
  assert.deepEqual(location.jobEnvironment, { QUEUECTL_DB: '/x.db' });
});

test('the directory is not asked for where paths are absolute', () => {
  assert.equal(resolve({ QUEUECTL_HOME: '/q' }, { cwd: noEntry }).home, '/q');
});

function refused(code: ErrorCode, message: RegExp, run: () => unknown): QueuectlError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof QueuectlError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return error;
  }
  assert.fail('was accepted');
}

test('SH-10: no HOME and no password entry', () => {
  for (const homeDirectory of [noEntry, () => '']) {
    const error = refused('unavailable', /^there is no home directory/, () =>
      resolve({}, { homeDirectory }),
    );
    assert.match(error.hint ?? '', /QUEUECTL_HOME/);
  }
});

test('a working directory that is gone', () => {
  refused('unavailable', /^the current directory does not exist/, () =>
    resolve({ QUEUECTL_HOME: 'q' }, { cwd: noEntry }),
  );
});

test('PostgreSQL: not here, and its password is not repeated', () => {
  for (const scheme of ['postgres', 'postgresql', 'PostgreSQL']) {
    const url = `${scheme}://me:hunter2@host/db`;
    for (const run of [
      () => resolve({}, { db: url }),
      () => resolve({ QUEUECTL_DB: url }),
      () => resolve({ QUEUECTL_HOME: url }),
    ]) {
      const { message, hint } = refused('unavailable', /does not speak PostgreSQL/, run);
      assert.doesNotMatch(message + hint, /hunter2|host/);
    }
  }
});

test('what is no path', () => {
  for (const db of [
    '',
    ' ',
    'mysql://me:hunter2@h/x',
    'file:x.db',
    ':memory:',
    '~',
    '~/q.db',
    'a\0b',
  ]) {
    const { message } = refused('invalid', /^--db must be/, () => resolve({}, { db }));
    assert.doesNotMatch(message, /hunter2/);
  }
  refused('invalid', /^QUEUECTL_HOME must be a path in full/, () =>
    resolve({ QUEUECTL_HOME: '~/q' }),
  );
});
