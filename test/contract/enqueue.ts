import assert from 'node:assert/strict';
import type { NewJob } from '../../src/job.ts';
import { HOUR, shuffled } from './env.ts';
import { allJobs, everything } from './invariants.ts';
import { ids, names, one, query, refusal, SUCCESS } from './values.ts';
import type { ContractTest } from './world.ts';

/** Names that JavaScript objects already have are names like any other. */
const OBJECT_NAMES = ['__proto__', 'constructor', 'hasOwnProperty', 'toString'];

/** An object whose own key this is, also where assignment would set the prototype. */
function own(name: string, value: string): Record<string, string> {
  return Object.fromEntries([[name, value]]);
}

export function enqueue(test: ContractTest): void {
  test('what was asked for is stored, every field of it', async (w) => {
    const asked: NewJob = {
      id: 'night:report@3.1_x-y',
      kind: 'command',
      command: `printf '%s\\n' "naïve ☃ 🦦" > 'out file'`,
      spec: {
        args: ['printf', '', 'a b', '"quoted"', '\n', '🦦'],
        env: { A: '1', EMPTY: '' },
        env_from: ['TOKEN'],
        stdin: '/in put',
      },
      cwd: '/home/ö/my files',
      path: '/opt/bin:/bin',
      queue: 'gpu jobs',
      priority: -7,
      maxRetries: 12,
      timeout: 90_000,
      runAt: w.env.now() + HOUR,
      delay: null,
      tags: { host: 'a.b', '': 'empty name', 'sp ace': '' },
    };
    const created = one(await w.store.enqueue([asked]));
    const { delay: _, ...stored } = asked;
    assert.deepEqual(await w.store.find(asked.id), {
      ...stored,
      key: created.key,
      state: 'pending',
      attempts: 0,
      lastAttempt: 0,
      createdAt: w.env.now(),
      updatedAt: w.env.now(),
      cancelRequested: false,
      last: null,
    });
    assert.deepEqual(created, { key: created.key, id: asked.id, state: 'pending', created: true });
  });

  test('a job that asks for nothing special gets nothing special', async (w) => {
    await w.add({ id: 'plain', path: null });
    const { spec, path, tags, timeout, runAt } = await w.job('plain');
    assert.deepEqual(
      { spec, path, tags, timeout, runAt },
      {
        spec: {},
        path: null,
        tags: {},
        timeout: null,
        runAt: null,
      },
    );
  });

  test('answers come in the order given and keys grow with arrival', async (w) => {
    const given = shuffled(names('j', 50), w.env);
    const first = await w.add(...given.map((id) => ({ id })));
    const second = await w.add({ id: 'later' });
    assert.deepEqual(ids(first), given);
    const keys = [...first, ...second].map(({ key }) => key);
    assert.deepEqual(
      keys,
      keys.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(keys).size, keys.length);
    assert.deepEqual(ids(await allJobs(w.store)), [...given, 'later']);
  });

  test('a taken id is refused by name, and nothing of that call is stored', async (w) => {
    await w.bring('taken', 'completed');
    const before = await everything(w.store);
    const call = w.add({ id: 'a', queue: 'new queue' }, { id: 'taken' }, { id: 'b' });
    await assert.rejects(call, refusal('id_taken', '"taken"'));
    assert.deepEqual(await everything(w.store), before);
    await w.add({ id: 'a', queue: 'new queue' }, { id: 'b' });
  });

  test('an id twice in one call is refused by name, and nothing is stored', async (w) => {
    const call = w.add({ id: 'a' }, { id: 'twice' }, { id: 'b' }, { id: 'twice' });
    await assert.rejects(call, refusal('id_taken', '"twice"'));
    assert.deepEqual(await allJobs(w.store), []);
    assert.deepEqual((await w.store.stats()).counts, []);
  });

  test('ifAbsent leaves the stored job as it is and answers with it', async (w) => {
    const stored = await w.bring('there', 'dead');
    const answers = await w.store.enqueue(
      [
        w.newJob({ id: 'new' }),
        w.newJob({ id: 'there', command: 'other', priority: 9, queue: 'other' }),
        w.newJob({ id: 'last' }),
      ],
      { ifAbsent: true },
    );
    assert.deepEqual(
      answers.map(({ id, state, created }) => [id, state, created]),
      [
        ['new', 'pending', true],
        ['there', 'dead', false],
        ['last', 'pending', true],
      ],
    );
    assert.equal(answers[1]?.key, stored.key);
    assert.deepEqual(await w.job('there'), stored);
  });

  test('ifAbsent makes one job of an id that comes twice in one call', async (w) => {
    const twice = [
      w.newJob({ id: 'x', command: 'first' }),
      w.newJob({ id: 'x', command: 'second' }),
    ];
    const [first, second] = await w.store.enqueue(twice, { ifAbsent: true });
    assert.deepEqual([first?.created, second?.created], [true, false]);
    assert.equal(first?.key, second?.key);
    assert.equal((await w.job('x')).command, 'first');
  });

  test('enqueueing again after a lost reply makes one job (guarantee 2)', async (w) => {
    const job = w.newJob({ id: 'report' });
    await w.store.enqueue([job]);
    const again = one(await w.store.enqueue([job], { ifAbsent: true }));
    assert.equal(again.created, false);
    const hand = await w.hand();
    assert.deepEqual(await hand.claimAll(), ['report']);
  });

  test('a delay counts from the moment the job is stored', async (w) => {
    await w.add({ id: 'later', delay: HOUR });
    w.env.advance(HOUR);
    await w.add({ id: 'much later', delay: HOUR }, { id: 'at once', delay: 0 });
    const runAts = await Promise.all(['later', 'much later', 'at once'].map((id) => w.job(id)));
    assert.deepEqual(
      runAts.map(({ runAt }) => (runAt ?? 0) - w.env.now()),
      [0, HOUR, 0],
    );
  });

  test('no job stores nothing', async (w) => {
    assert.deepEqual(await w.store.enqueue([]), []);
    assert.deepEqual((await w.store.stats()).counts, []);
  });

  test('onProgress hears of growing numbers while the jobs are written', async (w) => {
    const heard: number[] = [];
    const jobs = names('j', 5000).map((id) => w.newJob({ id }));
    await w.store.enqueue(jobs, { onProgress: (written) => heard.push(written) });
    assert.ok(heard.length > 0);
    assert.deepEqual(
      heard,
      [...new Set(heard)].toSorted((a, b) => a - b),
    );
    assert.ok(heard.every((written) => written > 0 && written <= jobs.length));
  });

  test('an onProgress that throws stores nothing', async (w) => {
    const jobs = names('j', 5000).map((id) => w.newJob({ id }));
    const onProgress = (): never => {
      throw new Error('the progress bar is broken');
    };
    await assert.rejects(w.store.enqueue(jobs, { onProgress }));
    assert.deepEqual(await allJobs(w.store), []);
    await w.add({ id: 'j0' });
  });

  test('names that objects already have work as ids, queues, tags and variables', async (w) => {
    for (const name of OBJECT_NAMES) {
      const spec = { env: own(name, 'x') };
      await w.add({ id: name, queue: name, tags: own(name, 'y'), spec });
      const job = await w.job(name);
      assert.deepEqual(Object.entries(job.tags), [[name, 'y']]);
      assert.deepEqual(Object.entries(job.spec.env ?? {}), [[name, 'x']]);

      const hand = await w.hand({ queues: [name] });
      const claimed = await hand.claimOne();
      assert.equal(claimed.id, name);
      assert.deepEqual(Object.entries(claimed.spec.env ?? {}), [[name, 'x']]);
      await hand.end(claimed, SUCCESS);
      const tagged = await w.store.list(query({ queue: name, tags: [[name, 'y']] }));
      assert.deepEqual(ids(tagged.jobs), [name]);
      assert.deepEqual(await w.store.cancel([name]), ['already_finished']);
    }
    const counts = (await w.store.stats()).counts.map(({ queue }) => queue);
    assert.deepEqual(counts.toSorted(), OBJECT_NAMES.toSorted());
  });

  test('the longest command comes back as it was', async (w) => {
    const command = '☃'.repeat(42_666);
    await w.add({ id: 'long', command });
    assert.equal((await w.job('long')).command, command);
  });

  test('jobs from many places keep theirs', async (w) => {
    const places = [
      { cwd: '/a', path: '/bin' },
      { cwd: '/a', path: null },
      { cwd: '/a', path: '' },
      { cwd: '/b', path: '/bin' },
    ];
    const jobs = names('j', 40).map((id, index) => ({ id, ...places[index % places.length] }));
    await w.add(...jobs);
    const stored = await allJobs(w.store);
    assert.deepEqual(
      stored.map(({ id, cwd, path }) => ({ id, cwd, path })),
      jobs,
    );
  });

  test('an id or a key that nobody has finds nothing', async (w) => {
    assert.equal(await w.store.find('nobody'), null);
    assert.deepEqual(await w.store.attempts(4711), []);
  });
}
