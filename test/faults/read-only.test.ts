// Fault 13: the directory or the database cannot be written, or belongs to somebody else.
// Exit code 5, one sentence that says which of it and why, a hint; nothing is changed.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { type Box, box, QUEUECTL } from '../cli/box.ts';
import { crew } from '../fixtures/crew.ts';
import { mountTinyDisk, unmountable } from './kit/tiny-disk.ts';

/** Modes mean something to them, unlike to root. */
const NOBODY = 65_534;
const CALLS = [['enqueue', '--', 'true'], ['list'], ['status'], ['worker', 'start']];

const skip =
  process.platform === 'linux' && process.getuid?.() === 0 ? false : 'needs root, to be another';

let shared = '';
before(() => {
  // Whoever works in a directory of root's own could not reach dist/.
  shared = realpathSync(mkdtempSync(join(tmpdir(), 'queuectl-shared-')));
  chmodSync(shared, 0o755);
  copyFileSync(QUEUECTL, join(shared, 'queuectl'));
});
after(() => rmSync(shared, { recursive: true }));

interface Nobody {
  readonly home: string;
  readonly database: string;
  ok(args: readonly string[]): Promise<void>;
  /** Each call is refused with 5, a message that starts so, and a hint. */
  assertRefused(message: string, calls?: readonly string[][]): Promise<void>;
}

/** A queue that a user without any rights has used before. */
async function nobody(t: TestContext, options: { readonly used: boolean }): Promise<Nobody> {
  const base: Box = box(t);
  const { home } = base;
  chmodSync(dirname(home), 0o711);
  mkdirSync(home, { mode: 0o700 });
  chownSync(home, NOBODY, NOBODY);
  const as = ['--reuid', '65534', '--regid', '65534', '--clear-groups', join(shared, 'queuectl')];
  const call = { executable: 'setpriv', cwd: '/' };
  const ok = async (args: readonly string[]): Promise<void> => {
    await base.ok([...as, ...args], call);
  };
  if (options.used) await ok(['enqueue', '--id', 'first', '--', 'true']);
  return {
    home,
    database: join(home, 'queue.db'),
    ok,
    assertRefused: async (message, calls = CALLS) => {
      for (const args of calls) {
        const said = await base.refused([...as, ...args], 5, call);
        assert.ok(said.startsWith(`queuectl: ${message}`), `${args.join(' ')}: ${said}`);
        assert.match(said, /\nhint: .+\n$/);
      }
    },
  };
}

test('a home that may not be written: 5, and nothing is changed', { skip }, async (t) => {
  const user = await nobody(t, { used: true });
  const bytes = readFileSync(user.database);
  chmodSync(user.home, 0o500);
  await user.assertRefused(`cannot write to ${user.home}: permission denied`);
  chmodSync(user.home, 0o700);
  assert.ok(bytes.equals(readFileSync(user.database)));
  assert.deepEqual(readdirSync(user.home).toSorted(), ['logs', 'queue.db', 'run', 'wake']);
  await user.ok(['show', 'first']);
});

test('a home that may not be made: 5', { skip }, async (t) => {
  const user = await nobody(t, { used: false });
  rmSync(user.home, { recursive: true });
  await user.assertRefused(`cannot make the directory ${user.home}: permission denied`);
});

test('a database that may only be read: what writes is 5', { skip }, async (t) => {
  const user = await nobody(t, { used: true });
  const bytes = readFileSync(user.database);
  chmodSync(user.database, 0o400);
  await user.assertRefused(`${user.database} cannot be written`, [['enqueue', '--', 'true']]);
  await user.assertRefused('the workers did not start: ', [['worker', 'start']]);
  assert.ok(bytes.equals(readFileSync(user.database)));
  await user.ok(['show', 'first']);
});

test('a database that may not even be read: 5', { skip }, async (t) => {
  const user = await nobody(t, { used: true });
  chmodSync(user.database, 0o000);
  await user.assertRefused(`${user.database} cannot be `);
  chmodSync(user.database, 0o600);
  await user.ok(['show', 'first']);
});

test("somebody else's home, and somebody else's database in our own: 5", { skip }, async (t) => {
  const user = await nobody(t, { used: true });
  chownSync(user.home, 1, 1);
  chmodSync(user.home, 0o755);
  await user.assertRefused(`${user.home} belongs to another user (uid 1, you are 65534)`);
  chownSync(user.home, NOBODY, NOBODY);
  chownSync(user.database, 1, 1);
  chmodSync(user.database, 0o666);
  await user.assertRefused(`${user.database} belongs to another user (uid 1)`);
});

test(
  'a file system that is mounted read-only: 5, until it is not',
  { skip: unmountable },
  async (t) => {
    const queue = crew(t);
    if (mountTinyDisk(queue, queue.home, 2048) === null) return t.skip('may not mount here');
    await queue.enqueue('first', 'true');
    const remount = (how: string): void => {
      assert.equal(spawnSync('mount', ['-o', `remount,${how}`, queue.home]).status, 0);
    };
    remount('ro');
    try {
      for (const args of CALLS) {
        const said = await queue.refused(args, 5);
        assert.match(
          said,
          /^queuectl: cannot write to .*home: the file system is read-only\nhint: /,
        );
      }
    } finally {
      remount('rw');
    }
    await queue.begin();
    assert.equal((await queue.finished('first')).state, 'completed');
  },
);
