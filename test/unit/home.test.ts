// The home of a queue is ours alone: fault 13 and the first two rows of the security table.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { type ErrorCode, QueuectlError } from '../../src/errors.ts';
import { ensureHome, type Location, resolveLocation } from '../../src/location.ts';

const root = mkdtempSync(join(tmpdir(), 'queuectl-'));
const isRoot = process.geteuid?.() === 0;
const onWindows = process.platform === 'win32';
let at = root;
let n = 0;

beforeEach(() => {
  at = join(root, String(++n));
  mkdirSync(at, { mode: 0o700 });
});
after(() => rmSync(root, { recursive: true, force: true }));

function resolve(environment: Record<string, string>, db?: string): Location {
  return resolveLocation({ environment, db, homeDirectory: () => '' });
}
const homeAt = (path: string): Location => resolve({ QUEUECTL_HOME: path });
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

const modeOf = (path: string): number => statSync(path).mode & 0o7777;

for (const mask of [0o000, 0o022, 0o077, 0o777]) {
  test(`0700 under umask ${mask.toString(8)}`, { skip: onWindows }, () => {
    const location = homeAt(join(at, 'deep/er/q'));
    const before = process.umask(mask);
    try {
      ensureHome(location);
    } finally {
      assert.equal(process.umask(before), mask);
    }
    const { home, logs, workerLogs, jobLogs, roster } = location;
    for (const path of [
      join(at, 'deep'),
      join(at, 'deep/er'),
      home,
      logs,
      workerLogs,
      jobLogs,
      roster,
    ]) {
      assert.equal(modeOf(path), 0o700, path);
    }
    ensureHome(location);
    assert.deepEqual(readdirSync(home), ['logs', 'run']);
  });
}

test('what is missing in a home is made again', () => {
  const location = homeAt(join(at, 'q'));
  ensureHome(location);
  rmSync(location.logs, { recursive: true });
  ensureHome(location);
  assert.ok(statSync(location.jobLogs).isDirectory());
});

test('nothing above ~ or a named database is made', () => {
  const gone = join(at, 'gone');
  for (const location of [resolve({ HOME: gone }), resolve({}, join(gone, 'x.db'))]) {
    refused('unavailable', /the directory above it does not exist/, () => ensureHome(location));
  }
  assert.deepEqual(readdirSync(at), []);
});

test('SH-10: HOME=/dev/null', { skip: onWindows }, () => {
  const error = refused('unavailable', /\/dev\/null\/\.queuectl: a part of its path/, () =>
    ensureHome(resolve({ HOME: '/dev/null' })),
  );
  assert.match(error.hint ?? '', /QUEUECTL_HOME/);
});

test('a file in its place', () => {
  writeFileSync(join(at, 'q'), 'mine');
  refused('unavailable', /is a file, where a directory should be/, () =>
    ensureHome(homeAt(join(at, 'q'))),
  );
  refused('unavailable', /a part of its path is not/, () => ensureHome(homeAt(join(at, 'q/r'))));
});

test('--db with a directory', () => {
  refused('unavailable', /is a directory$/, () => resolve({}, at));
});

test('a linked database has the home of the file', { skip: onWindows }, () => {
  writeFileSync(join(at, 'real.db'), '');
  symlinkSync('real.db', join(at, 'link.db'));
  assert.match(resolve({}, join(at, 'link.db')).home, /real\.db\.d$/);
});

test('a home of ours that is open is closed', { skip: onWindows }, () => {
  for (const prepare of ['empty', 'queue.db']) {
    const home = join(at, prepare);
    mkdirSync(home);
    if (prepare !== 'empty') writeFileSync(join(home, prepare), '');
    chmodSync(home, 0o777);
    ensureHome(homeAt(home));
    assert.equal(modeOf(home), 0o700);
  }
});

test('a directory that has other uses is not closed', { skip: onWindows }, () => {
  const home = join(at, 'shared');
  mkdirSync(join(home, 'run'), { recursive: true });
  chmodSync(home, 0o755);
  ensureHome(homeAt(home));
  assert.equal(modeOf(home), 0o755);
  assert.equal(modeOf(join(home, 'logs')), 0o700);
});

test('one in which others may write is refused and left alone', { skip: onWindows }, () => {
  for (const [name, mode] of [
    ['tmp', 0o1777],
    ['group', 0o775],
  ] as const) {
    const home = join(at, name);
    mkdirSync(home);
    if (name === 'group') writeFileSync(join(home, 'other'), '');
    chmodSync(home, mode);
    refused('unavailable', /^others can write to/, () => ensureHome(homeAt(home)));
    assert.equal(modeOf(home), mode);
  }
});

test('a link of ours to a directory of ours is a home', { skip: onWindows }, () => {
  mkdirSync(join(at, 'disk'), { mode: 0o700 });
  symlinkSync('disk', join(at, 'q'));
  ensureHome(homeAt(join(at, 'q')));
  assert.deepEqual(readdirSync(join(at, 'disk')), ['logs', 'run']);
});

test('a link to nowhere or to a file is refused', { skip: onWindows }, () => {
  symlinkSync('nowhere', join(at, 'a'));
  writeFileSync(join(at, 'file'), 'mine');
  symlinkSync('file', join(at, 'b'));
  for (const name of ['a', 'b']) {
    refused('unavailable', /where a directory should be/, () => ensureHome(homeAt(join(at, name))));
  }
  assert.ok(!readdirSync(at).includes('nowhere'));
});

test('a link planted in the home is not followed', { skip: onWindows }, () => {
  mkdirSync(join(at, 'target'), { mode: 0o755 });
  for (const planted of ['logs', 'run']) {
    const home = join(at, `q-${planted}`);
    mkdirSync(home, { mode: 0o700 });
    symlinkSync('../target', join(home, planted));
    refused('unavailable', /where a directory should be/, () => ensureHome(homeAt(home)));
    assert.ok(lstatSync(join(home, planted)).isSymbolicLink());
  }
  assert.deepEqual(readdirSync(join(at, 'target')), []);
});

const needsRoot = { skip: isRoot ? false : 'needs root' };
/** Any user but root; nobody has this number. */
const SOMEBODY = 54_321;

test('somebody else’s home is refused, to root too', needsRoot, () => {
  const home = join(at, 'q');
  mkdirSync(home, { mode: 0o700 });
  chownSync(home, SOMEBODY, SOMEBODY);
  const { message } = refused('foreign_owner', /belongs to another user/, () =>
    ensureHome(homeAt(home)),
  );
  assert.match(message, new RegExp(`uid ${SOMEBODY}, you are 0`));
  assert.deepEqual(readdirSync(home), []);
});

test('somebody else’s link is refused, wherever it points', needsRoot, () => {
  mkdirSync(join(at, 'mine'), { mode: 0o700 });
  symlinkSync('mine', join(at, 'q'));
  execFileSync('chown', ['-h', String(SOMEBODY), join(at, 'q')]);
  refused('foreign_owner', /belongs to another user/, () => ensureHome(homeAt(join(at, 'q'))));
  assert.deepEqual(readdirSync(join(at, 'mine')), []);
});

/** Runs as SOMEBODY; both runtimes let root become another user for a while. */
function asSomebody(run: () => void): void {
  for (const path of [root, at]) chmodSync(path, 0o755);
  process.seteuid?.(SOMEBODY);
  try {
    run();
  } finally {
    process.seteuid?.(0);
  }
}

test('where we may not write', needsRoot, () => {
  const home = join(at, 'mine');
  const complete = join(at, 'complete');
  ensureHome(homeAt(complete));
  mkdirSync(home);
  execFileSync('chown', ['-R', String(SOMEBODY), home, complete]);
  for (const path of [home, complete]) chmodSync(path, 0o500);
  const closed = join(at, 'closed');
  mkdirSync(closed, { mode: 0o700 });
  asSomebody(() => {
    for (const path of [home, complete, join(at, 'new'), join(closed, 'q')]) {
      const error = refused('read_only', /permission denied$/, () => ensureHome(homeAt(path)));
      assert.match(error.hint ?? '', /QUEUECTL_HOME or --db/);
    }
    refused('foreign_owner', /you are 54321/, () => ensureHome(homeAt(at)));
  });
});
