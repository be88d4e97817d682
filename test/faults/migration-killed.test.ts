// Fault 25: whoever makes a database, or brings one to a newer schema, is killed at each
// statement. It is there as a whole or not at all, and what the dead have left behind is
// cleared away without a hand being raised against the living (guarantee 12).

import assert from 'node:assert/strict';
import { existsSync, linkSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { MIGRATIONS, SCHEMA_VERSION } from '../../src/store/sqlite/schema.ts';
import { type Crew, crew } from '../fixtures/crew.ts';
import { arm } from './kit/failpoint.ts';
import { inspect } from './kit/inspect.ts';
import { nextRelease } from './kit/next-release.ts';

const ENQUEUE = ['enqueue', '--if-absent', '--id', 'job', '--', 'true'];

function drafts(queue: Crew): string[] {
  return readdirSync(queue.home).filter((name) => name.includes('.new'));
}

suite('killed while it makes the database', { concurrency: 2 }, () => {
  test('at each statement: there is none, and the next one makes it', async (t) => {
    const queue = crew(t);
    const database = join(queue.home, 'queue.db');
    let nth = 1;
    for (; ; nth += 1) {
      const point = arm(queue, 'migrate-statement', 'kill', nth);
      const { code } = await queue.q(ENQUEUE, { env: point.env });
      if (!point.hasFired()) {
        assert.equal(code, 0, 'past its last statement');
        break;
      }
      assert.equal(code, null);
      assert.ok(!existsSync(database), `statement ${nth}: a part of a database`);
      // Each removes what the one before it has left: one draft and its WAL, not all.
      assert.ok(drafts(queue).length <= 3, drafts(queue).join());
    }
    const statements = MIGRATIONS.join('').match(/^CREATE |^INSERT /gm)?.length ?? 0;
    assert.ok(nth > statements, `${nth} steps for ${statements} statements`);
    const { version, integrity } = inspect(database);
    assert.deepEqual([version, integrity], [SCHEMA_VERSION, 'ok']);
    assert.deepEqual(drafts(queue), []);
    assert.equal(statSync(database).mode & 0o777, 0o600);
    assert.equal((await queue.json<unknown[]>(['list'])).length, 1);
  });

  for (const [step, made] of [
    ['create-before-link', false],
    ['create-after-link', true],
  ] as const) {
    test(`at ${step}: whoever opens next finds ${made ? 'all' : 'none'} of it`, async (t) => {
      const queue = crew(t);
      const database = join(queue.home, 'queue.db');
      const { env } = arm(queue, step, 'kill');
      assert.equal((await queue.q(ENQUEUE, { env })).code, null);
      assert.equal(existsSync(database), made);
      assert.equal(drafts(queue).length, 1);
      assert.deepEqual(await queue.json(['list']), []);
      assert.deepEqual(drafts(queue), []);
      await queue.ok(ENQUEUE);
      assert.equal(inspect(database).integrity, 'ok');
      assert.equal(statSync(database).nlink, 1);
    });
  }

  test('while others made it: the next workers clear its draft away', async (t) => {
    const queue = crew(t);
    const slow = arm(queue, 'create-before-link', 'stop');
    const late = queue.q(ENQUEUE, { env: slow.env });
    const pid = await slow.stopped();
    await queue.ok(ENQUEUE);
    await queue.ok(['worker', 'start', '--drain']);
    assert.equal(drafts(queue).length, 1, 'the draft of one who lives is left alone');
    process.kill(pid, 'SIGKILL');
    assert.equal((await late).code, null);
    await queue.begin();
    assert.deepEqual(drafts(queue), []);
  });

  test('one that lives keeps its draft, and joins the database of a faster one', async (t) => {
    const queue = crew(t);
    const slow = arm(queue, 'create-before-link', 'stop');
    const late = queue.q(['enqueue', '--id', 'late', '--', 'true'], { env: slow.env });
    await slow.stopped();
    await queue.ok(ENQUEUE);
    assert.equal(drafts(queue).length, 1);
    slow.proceed();
    assert.equal((await late).code, 0);
    assert.deepEqual(drafts(queue), []);
    assert.equal((await queue.json<unknown[]>(['list'])).length, 2);
  });

  test('what is not a draft of ours stays, whatever it is called', async (t) => {
    const queue = crew(t);
    const { env } = arm(queue, 'create-after-link', 'kill');
    assert.equal((await queue.q(ENQUEUE, { env })).code, null);
    const [draft = ''] = drafts(queue);
    // Of another database, of a pid namespace that we cannot look into, and of nobody.
    const others = [
      draft.replace('queue.db', 'other.db'),
      draft.replace(/-\d+\./, '-1.'),
      'queue.db.new',
      'queue.db.0011223344556677.new',
    ];
    for (const name of others) writeFileSync(join(queue.home, name), 'mine');
    // This is ours, of one who was killed while it put its draft into WAL mode.
    writeFileSync(join(queue.home, `${draft}-journal`), '');
    await queue.ok(ENQUEUE);
    await queue.begin();
    assert.deepEqual(drafts(queue).toSorted(), others.toSorted());
    // Nor is a database that somebody has given a second name.
    linkSync(join(queue.home, 'queue.db'), join(queue.home, 'second-name'));
    await queue.ok(ENQUEUE);
    assert.ok(existsSync(join(queue.home, 'second-name')));
  });
});

test('killed at each statement of a migration: the old schema or the new one', async (t) => {
  const queue = crew(t);
  const database = join(queue.home, 'queue.db');
  await queue.ok(ENQUEUE);
  const before = inspect(database);
  const next = await nextRelease(t, [
    'ALTER TABLE job ADD COLUMN note TEXT;\nCREATE INDEX job_note ON job (note);\n',
    'CREATE TABLE later (x INTEGER) STRICT;\nINSERT INTO later SELECT count(*) FROM job;\n',
  ]);
  let nth = 1;
  for (; ; nth += 1) {
    const point = arm(queue, 'migrate-statement', 'kill', nth);
    const { code } = await queue.q(['status'], { env: point.env, executable: next });
    if (!point.hasFired()) {
      assert.equal(code, 0, 'past its last statement');
      break;
    }
    assert.equal(code, null);
    assert.deepEqual(inspect(database), before, `statement ${nth}`);
    // The release that made it goes on with it.
    assert.equal((await queue.json<unknown[]>(['list'])).length, 1);
  }
  assert.equal(nth, 4 + 2 + 1);
  const after = inspect(database);
  assert.deepEqual([after.version, after.integrity], [SCHEMA_VERSION + 2, 'ok']);
  assert.deepEqual(after.objects, [...before.objects, 'job_note', 'later'].toSorted());
});
