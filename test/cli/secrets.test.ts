// A canary: a secret that a job takes from its worker with `--env K`, and one that only the
// caller has, are nowhere but where they must be: in the environment of the workers, and of
// the job that asked for it.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { crew, until } from '../fixtures/crew.ts';

const CANARY = 'canary-of-the-worker-3f8a';
const CALLERS = 'canary-of-the-caller-71bc';

function filesUnder(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

test('a secret is in no file, no answer, no message and no argument', async (t) => {
  const queue = crew(t);
  const { home, directory } = queue;
  await queue.ok(['worker', 'start', '--count', '2'], { env: { TOKEN: CANARY } });
  const env = { TOKEN: CALLERS, OTHER_TOKEN: CALLERS };
  const add = (id: string, shell: string, ...flags: string[]): Promise<string> =>
    queue.ok(['enqueue', '--id', id, ...flags, '--env', 'TOKEN', '--shell', shell], { env });

  const asked = `[ "$TOKEN" = ${CANARY.slice(0, -4)}$END ] && touch has-it; sleep 60`;
  await add('holds', asked, '--env', `END=${CANARY.slice(-4)}`);
  await until('the job has it', () => readdirSync(directory).includes('has-it'));
  await add('fails', 'exit 3', '--max-retries', '0');
  await add('misses', 'true', '--max-retries', '0', '--env', 'OTHER_TOKEN');
  assert.equal((await queue.finished('misses')).outcome, 'spawn_failed');
  await queue.finished('fails');

  const said: string[] = [];
  for (const args of [
    ...['holds', 'fails', 'misses'].flatMap((id) => [
      ['show', id],
      ['--json', 'show', id],
      ['logs', id],
    ]),
    ['list'],
    ['--json', 'list'],
    ['dlq', 'list'],
    ['status'],
    ['--json', 'worker', 'list'],
    ['doctor'],
    ['config', 'list'],
    ['backup', join(directory, 'backup.db')],
    ['show', 'nobody'],
    ['--debug', 'enqueue', '{'],
    ['run', '--max-retries', '0', '--env', 'OTHER_TOKEN', '--', 'true'],
  ]) {
    const { stdout, stderr } = await queue.q(args, { env });
    said.push(stdout, stderr);
  }
  assert.doesNotMatch(said.join('\n'), /canary-of-the-(worker-3f8a|caller)/);

  // What the kernel shows to others of the same user.
  const ours = queue.processes();
  assert.ok(ours.length >= 3);
  for (const { args } of ours) assert.doesNotMatch(args, /canary-of-the-(worker-3f8a|caller)/);
  for (const { pid } of ours) {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
    assert.ok(!environment.includes(CALLERS), `process ${pid}`);
  }

  const look = (when: string): void => {
    const files = [...filesUnder(home), ...filesUnder(directory)];
    assert.ok(files.some((file) => file.endsWith('queue.db')));
    for (const file of files) {
      const content = readFileSync(file, 'latin1');
      for (const secret of [CANARY, CALLERS]) {
        assert.ok(!content.includes(secret), `${secret} in ${file}, ${when}`);
      }
    }
  };
  look('while it runs');
  const database = new DatabaseSync(join(home, 'queue.db'));
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  database.close();
  look('after a checkpoint');
  await queue.ok(['cancel', 'holds']);
  await queue.finished('holds');
  await queue.ok(['worker', 'stop']);
  look('at the end');
});

test('what is stored by nature is nobody else’s to read', async (t) => {
  const queue = crew(t);
  await queue.begin();
  await queue.ok(['enqueue', '--id', 'a', '--env', 'K=stored', '--stdin', '-', '--', 'cat'], {
    input: 'stored too',
  });
  await queue.finished('a');
  await queue.ok(['backup', join(queue.home, 'backup.db')]);
  for (const file of filesUnder(queue.home)) {
    assert.equal(statSync(file).mode & 0o077, 0, file);
  }
  const help = await queue.ok(['help', 'enqueue']);
  assert.match(help.replaceAll(/\s+/g, ' '), /stored with the job; without =V/);
});

test('the password of a database’s address is in no message', async (t) => {
  const queue = crew(t);
  const address = `postgres://user:${CANARY}@host:5432/db?password=${CANARY}`;
  for (const [args, env] of [
    [['--db', address, 'list'], {}],
    [['list'], { QUEUECTL_DB: address }],
    [['--debug', 'list'], { QUEUECTL_DB: address }],
    [['worker', 'start'], { QUEUECTL_DB: address }],
    [['doctor'], { QUEUECTL_DB: `postgresql://${CANARY}@host/db` }],
    [['list'], { QUEUECTL_DB: `mysql://user:${CANARY}@host/db` }],
  ] as const) {
    const { code, stdout, stderr } = await queue.q(args, { env });
    assert.notEqual(code, 0, args.join(' '));
    assert.doesNotMatch(stdout + stderr, new RegExp(CANARY), args.join(' '));
    assert.match(stdout + stderr, /postgres|mysql|address|database/i);
  }
});
