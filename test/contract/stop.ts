import assert from 'node:assert/strict';
import type { StopMode, StopRequest } from '../../src/store/store.ts';
import { identity, INTERRUPTED, settled, SUCCESS } from './values.ts';
import type { ContractTest } from './world.ts';

function request(parts: Partial<StopRequest> = {}): StopRequest {
  return { workers: null, supervisors: null, mode: 'graceful', stopBy: null, ...parts };
}

export function stop(test: ContractTest): void {
  test('a worker that was told to stop claims nothing, but ends what it runs', async (w) => {
    await w.add({ id: 'a' }, { id: 'b' }, { id: 'c' });
    const hand = await w.hand({ concurrency: 2 });
    const [a, b] = await hand.claim(2);
    assert.ok(a && b);
    await w.store.requestStop(request());
    assert.equal((await hand.attend()).stop, 'graceful');
    assert.deepEqual(await hand.claim(), []);
    assert.deepEqual(await hand.renew([a, b]), []);
    assert.equal(settled(await hand.end(a, SUCCESS)).state, 'completed');
    assert.equal(settled(await hand.end(b, INTERRUPTED)).state, 'pending');
    assert.deepEqual(await hand.claim(2), []);
    const other = await w.hand();
    assert.deepEqual(await other.claimAll(), ['b', 'c'], 'who starts later is not meant');
  });

  test('a request for everybody reaches every worker and supervisor that lives', async (w) => {
    const hands = [await w.hand(), await w.hand()];
    const ended = await w.hand();
    await w.store.endWorker(ended.key, 'done');
    await w.store.registerSupervisor({ identity: identity(), count: 1 });
    await w.store.requestStop(request({ mode: 'now' }));
    const stops = [...(await w.store.workers()), ...(await w.store.supervisors())];
    assert.deepEqual(
      stops.map((record) => record.stop),
      ['now', 'now', 'now'],
    );
    for (const hand of hands) assert.equal((await hand.attend()).stop, 'now');
    assert.equal((await ended.attend()).stop, null);
  });

  test('a request by key reaches those and no others', async (w) => {
    const hands = [await w.hand(), await w.hand(), await w.hand()];
    const supervisors = [
      await w.store.registerSupervisor({ identity: identity(), count: 1 }),
      await w.store.registerSupervisor({ identity: identity(), count: 1 }),
    ];
    const stops = async (): Promise<(StopMode | null)[]> =>
      [...(await w.store.workers()), ...(await w.store.supervisors())].map((record) => record.stop);

    await w.store.requestStop(request({ workers: [], supervisors: [] }));
    assert.deepEqual(await stops(), [null, null, null, null, null]);
    await w.store.requestStop(request({ workers: [hands[1]?.key ?? 0] }));
    assert.deepEqual(await stops(), [null, 'graceful', null, null, null]);
    await w.store.requestStop(request({ supervisors: [supervisors[1] ?? 0] }));
    assert.deepEqual(await stops(), [null, 'graceful', null, null, 'graceful']);
    const [worker, supervisor] = [hands[0]?.key ?? 0, supervisors[0] ?? 0];
    await w.store.requestStop(request({ workers: [worker, 999], supervisors: [supervisor] }));
    assert.deepEqual(await stops(), ['graceful', 'graceful', null, 'graceful', 'graceful']);
  });

  // Each step: a request, and what the worker is then told.
  const stories: [string, [StopMode, number | null, StopMode, number | null][]][] = [
    [
      'now stays now',
      [
        ['now', null, 'now', null],
        ['graceful', null, 'now', null],
      ],
    ],
    [
      'graceful becomes now',
      [
        ['graceful', null, 'graceful', null],
        ['now', null, 'now', null],
      ],
    ],
    [
      'a bound is set',
      [
        ['graceful', null, 'graceful', null],
        ['graceful', 900, 'graceful', 900],
      ],
    ],
    [
      'a bound stays',
      [
        ['graceful', 900, 'graceful', 900],
        ['graceful', null, 'graceful', 900],
      ],
    ],
    [
      'a later bound is nothing',
      [
        ['graceful', 900, 'graceful', 900],
        ['graceful', 950, 'graceful', 900],
      ],
    ],
    [
      'an earlier bound counts',
      [
        ['graceful', 900, 'graceful', 900],
        ['graceful', 850, 'graceful', 850],
      ],
    ],
  ];
  for (const [what, steps] of stories) {
    test(`a stop request only gets stricter: ${what}`, async (w) => {
      const hand = await w.hand();
      for (const [mode, stopBy, thenMode, thenStopBy] of steps) {
        await w.store.requestStop(request({ mode, stopBy }));
        const { stop: told, stopBy: bound } = await hand.attend();
        assert.deepEqual([told, bound], [thenMode, thenStopBy]);
      }
    });
  }

  test('attend tells nobody to stop who was not asked to', async (w) => {
    const { stop: told, stopBy } = await (await w.hand()).attend();
    assert.deepEqual([told, stopBy], [null, null]);
  });
}
