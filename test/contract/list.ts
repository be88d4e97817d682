import assert from 'node:assert/strict';
import type { Job, State } from '../../src/job.ts';
import { type ListQuery, SORT_ORDERS, type SortOrder } from '../../src/store/store.ts';
import { SECOND } from './env.ts';
import { allJobs } from './invariants.ts';
import { FAILURE, ids, names, one, query, refusal, SUCCESS } from './values.ts';
import type { ContractTest, World } from './world.ts';

const COMPARE: Record<SortOrder, (a: Job, b: Job) => number> = {
  newest: (a, b) => b.key - a.key,
  oldest: (a, b) => a.key - b.key,
  updated: (a, b) => b.updatedAt - a.updatedAt || b.key - a.key,
  priority: (a, b) => b.priority - a.priority || a.key - b.key,
};

/** Jobs of all kinds: queues, states, priorities, tags, ties in everything. */
async function populate(w: World): Promise<Job[]> {
  const colours = ['red', 'green', 'blue'];
  for (const [index, id] of names('job', 120).entries()) {
    const colour = colours[index % 3] ?? '';
    await w.add({
      id,
      command: index % 4 === 0 ? `convert ${id}.PNG` : `rm -f ${id}`,
      queue: index % 5 === 0 ? 'images' : 'default',
      priority: (index % 7) - 3,
      tags: index % 2 === 0 ? { colour, shape: 'round' } : { colour },
      maxRetries: index % 3 === 0 ? 0 : 3,
    });
    if (index % 6 === 0) w.env.advance(SECOND);
  }
  const hand = await w.hand();
  const claimed = await hand.claim(70);
  await hand.endAll(claimed.slice(0, 30), SUCCESS);
  w.env.advance(SECOND);
  await hand.endAll(claimed.slice(30, 60), FAILURE);
  await w.store.cancel(names('job', 120).slice(100));
  return await allJobs(w.store);
}

/** All pages of one query, `limit` at a time. */
async function pages(w: World, parts: Partial<ListQuery>): Promise<string[]> {
  const seen: string[] = [];
  for (;;) {
    const page = await w.store.list(query({ ...parts, cursor: seen.at(-1) ?? null }));
    seen.push(...ids(page.jobs));
    if (!page.more) return seen;
    assert.equal(page.jobs.length, parts.limit, 'a page with more behind it is full');
  }
}

const ACTIVE: readonly State[] = ['pending', 'failed', 'processing'];

/** Each filter beside what it means. */
const FILTERS: [string, Partial<ListQuery>, (job: Job) => boolean][] = [
  ['everything', {}, () => true],
  ['one state', { states: ['completed'] }, ({ state }) => state === 'completed'],
  ['some states', { states: ACTIVE }, ({ state }) => ACTIVE.includes(state)],
  ['a queue', { queue: 'images' }, ({ queue }) => queue === 'images'],
  [
    'a queue and some states',
    { queue: 'default', states: ['dead', 'cancelled'] },
    ({ queue, state }) => queue === 'default' && (state === 'dead' || state === 'cancelled'),
  ],
  ['a tag', { tags: [['colour', 'red']] }, ({ tags }) => tags['colour'] === 'red'],
  [
    'two tags, a state and a text',
    {
      tags: [
        ['colour', 'blue'],
        ['shape', 'round'],
      ],
      states: ['failed', 'completed', 'pending'],
      search: 'JOB',
    },
    ({ tags, state }) =>
      tags['colour'] === 'blue' &&
      tags['shape'] === 'round' &&
      ['failed', 'completed', 'pending'].includes(state),
  ],
  [
    'a text in the command',
    { search: 'convert', queue: 'default' },
    ({ command, queue }) => command.includes('convert') && queue === 'default',
  ],
  ['nothing that is there', { queue: 'no such queue' }, () => false],
];

export function list(test: ContractTest): void {
  for (const sort of SORT_ORDERS) {
    test(`${sort}: pages of any size neither repeat nor skip a job, whatever the filter`, async (w) => {
      const jobs = await populate(w);
      const sorted = jobs.toSorted(COMPARE[sort]);
      for (const [what, filter, fits] of FILTERS) {
        const right = ids(sorted.filter(fits));
        for (const limit of [1, 7, 50, 1000]) {
          assert.deepEqual(await pages(w, { ...filter, sort, limit }), right, `${what}, ${limit}`);
        }
      }
    });
  }

  test('a page shows jobs as find does', async (w) => {
    await populate(w);
    for (const job of (await w.store.list(query({ limit: 120 }))).jobs) {
      assert.deepEqual(await w.store.find(job.id), job);
    }
  });

  test('`more` is exact where a page ends with the list', async (w) => {
    await w.add(...names('j', 4).map((id) => ({ id })));
    const more = async (limit: number): Promise<boolean> =>
      (await w.store.list(query({ limit }))).more;
    assert.deepEqual([await more(3), await more(4), await more(5)], [true, false, false]);
  });

  test('a state named twice shows its jobs once', async (w) => {
    await w.add(...names('j', 4).map((id) => ({ id })));
    const page = await w.store.list(query({ states: ['pending', 'pending'], limit: 3 }));
    assert.deepEqual([ids(page.jobs), page.more], [['j3', 'j2', 'j1'], true]);
    const rest = await pages(w, { states: ['pending', 'dead', 'pending'], limit: 2 });
    assert.deepEqual(rest, ['j3', 'j2', 'j1', 'j0']);
  });

  test('a cursor that nobody has is refused by name', async (w) => {
    await w.add({ id: 'j' });
    for (const sort of SORT_ORDERS) {
      const call = w.store.list(query({ sort, cursor: 'nobody' }));
      await assert.rejects(call, refusal('not_found', '"nobody"'));
    }
  });

  test('a cursor continues after its job even if that fits the filter no more', async (w) => {
    await w.add(...names('j', 5).map((id) => ({ id })));
    const first = await w.store.list(query({ states: ['pending'], limit: 2 }));
    assert.deepEqual(ids(first.jobs), ['j4', 'j3']);
    await w.store.cancel(['j3']);
    const second = await w.store.list(query({ states: ['pending'], cursor: 'j3' }));
    assert.deepEqual(ids(second.jobs), ['j2', 'j1', 'j0']);
  });

  test('a place in the list outlives its job: changed, or deleted', async (w) => {
    await w.add(...names('j', 6).map((id, i) => ({ id, priority: i % 2 })));
    for (const sort of SORT_ORDERS) {
      const all = await w.store.list(query({ sort }));
      const last = all.jobs[2] ?? assert.fail();
      const rest = (await w.store.list(query({ sort, cursor: last }))).jobs;
      assert.deepEqual(ids(rest), ids(all.jobs).slice(3), sort);
      await w.store.cancel([last.id]);
      await w.store.delete([last.id]);
      const after = (await w.store.list(query({ sort, cursor: last }))).jobs;
      assert.deepEqual(ids(after), ids(rest), sort);
      await w.add({ id: last.id, priority: last.priority });
    }
  });

  test('a story is the job and its attempts', async (w) => {
    const { hand, claimed } = await w.running('j');
    await hand.end(claimed, FAILURE);
    const job = await w.job('j');
    assert.deepEqual(await w.store.story('j'), { job, history: await w.store.attempts(job.key) });
    assert.equal(await w.store.story('nobody'), null);
  });

  test('tags match exactly, whatever they are called', async (w) => {
    const tricky = [
      '__proto__',
      'a.b',
      '$.a',
      '"',
      "'",
      '\\',
      '[0]',
      '%',
      '',
      'é',
      '🦦',
      '\n',
      'key',
    ];
    for (const [index, name] of tricky.entries()) {
      await w.add({ id: `n${index}`, tags: Object.fromEntries([[name, 'v']]) });
      await w.add({ id: `v${index}`, tags: { name } });
    }
    for (const [index, name] of tricky.entries()) {
      const byName = await w.store.list(query({ tags: [[name, 'v']] }));
      assert.deepEqual(ids(byName.jobs), [`n${index}`], `the name ${JSON.stringify(name)}`);
      const byValue = await w.store.list(query({ tags: [['name', name]] }));
      assert.deepEqual(ids(byValue.jobs), [`v${index}`], `the value ${JSON.stringify(name)}`);
    }
    for (const tag of [
      ['a', 'v'],
      ['A.B', 'v'],
      ['name', 'É'],
      ['name', 'a'],
    ] as const) {
      assert.deepEqual((await w.store.list(query({ tags: [tag] }))).jobs, []);
    }
  });

  test('a tag and its contradiction match nothing', async (w) => {
    await w.add({ id: 'j', tags: { a: '1', b: '2' } });
    const both = await w.store.list(
      query({
        tags: [
          ['a', '1'],
          ['b', '2'],
          ['a', '1'],
        ],
      }),
    );
    assert.deepEqual(ids(both.jobs), ['j']);
    const clash = query({
      tags: [
        ['a', '1'],
        ['a', '2'],
      ],
    });
    assert.deepEqual((await w.store.list(clash)).jobs, []);
  });

  test('a search is for plain text, in id or command, in either case of ASCII', async (w) => {
    await w.add(
      { id: 'Backup_DB', command: 'pg_dump' },
      { id: 'b', command: 'tar --exclude=50% x_y' },
      { id: 'c', command: 'tar --exclude=505 xzy' },
      { id: 'd', command: 'dir C:\\temp' },
      { id: 'e', command: `echo 'naïve NAÏVE'` },
    );
    const found = async (search: string): Promise<string[]> =>
      ids((await w.store.list(query({ search, sort: 'oldest' }))).jobs);
    assert.deepEqual(await found('backup_db'), ['Backup_DB']);
    assert.deepEqual(await found('PG_DUMP'), ['Backup_DB']);
    assert.deepEqual(await found('50%'), ['b']);
    assert.deepEqual(await found('x_y'), ['b']);
    assert.deepEqual(await found('_'), ['Backup_DB', 'b']);
    assert.deepEqual(await found('%'), ['b']);
    assert.deepEqual(await found('C:\\t'), ['d']);
    assert.deepEqual(await found('\\'), ['d']);
    assert.deepEqual(await found("'naïve"), ['e']);
    assert.deepEqual(await found('50*'), []);
    assert.deepEqual((await found('')).length, 5);
  });

  test('a job with a long history is one row of a page', async (w) => {
    const { hand, claimed } = await w.running('j');
    await hand.end(claimed, FAILURE);
    w.env.advance(10 * SECOND);
    await hand.claimOne();
    const job = one((await w.store.list(query())).jobs);
    assert.equal(job.last?.number, 2);
  });
}
