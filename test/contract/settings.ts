import assert from 'node:assert/strict';
import { names } from './values.ts';
import type { ContractTest } from './world.ts';

export function settings(test: ContractTest): void {
  test('only what was set is stored, and every connection sees it', async (w) => {
    assert.deepEqual(await w.store.settings(), new Map());
    await w.store.setSetting('max_retries', '7');
    await w.store.setSetting('timeout', '1m30s');
    await w.store.setSetting('max_retries', '8');
    const other = await w.open();
    const stored = new Map([
      ['max_retries', '8'],
      ['timeout', '1m30s'],
    ]);
    assert.deepEqual(await other.settings(), stored);
    await other.setSetting('max_retries', null);
    await other.setSetting('never set', null);
    assert.deepEqual(await w.store.settings(), new Map([['timeout', '1m30s']]));
  });

  test('any name and text is kept as it is', async (w) => {
    for (const name of ['__proto__', 'constructor', 'a b', 'é']) {
      await w.store.setSetting(name, `${name} "quoted" \n 🦦`);
      assert.equal((await w.store.settings()).get(name), `${name} "quoted" \n 🦦`);
    }
    await w.store.setSetting('empty', '');
    assert.equal((await w.store.settings()).get('empty'), '');
  });

  test('a job takes max_retries and timeout from the settings when it is stored', async (w) => {
    const unset = { maxRetries: null, timeout: null };
    await w.add({ id: 'before', ...unset });
    await w.store.setSetting('max_retries', '9');
    await w.store.setSetting('timeout', '90s');
    await w.add(
      { id: 'after', ...unset },
      { id: 'own', maxRetries: 0, timeout: 5000 },
      { id: 'no timeout', maxRetries: null, timeout: 0 },
    );
    await w.store.setSetting('max_retries', '1');
    await w.store.setSetting('timeout', null);
    const limits = async (id: string): Promise<[number, number | null]> => {
      const { maxRetries, timeout } = await w.job(id);
      return [maxRetries, timeout];
    };
    assert.deepEqual(await limits('before'), [3, null]);
    assert.deepEqual(await limits('after'), [9, 90_000]);
    assert.deepEqual(await limits('own'), [0, 5000]);
    assert.deepEqual(await limits('no timeout'), [9, null]);

    const hand = await w.hand();
    const claimed = await hand.claim(4);
    assert.deepEqual(
      claimed.map(({ id, maxRetries, timeout }) => [id, maxRetries, timeout]),
      await Promise.all(claimed.map(async ({ id }) => [id, ...(await limits(id))])),
    );
  });

  test('a stored text that is no value counts as not set: jobs are still taken', async (w) => {
    await w.store.setSetting('max_retries', 'many');
    await w.store.setSetting('timeout', '-1');
    await w.add(...names('j', 2).map((id) => ({ id, maxRetries: null, timeout: null })));
    const { maxRetries, timeout } = await w.job('j1');
    assert.deepEqual([maxRetries, timeout], [3, null]);
  });
}
