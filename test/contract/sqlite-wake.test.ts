// The wake file: how a commit in one process wakes who waits in another.

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { lstat, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { systemEnv } from '../../src/env.ts';
import { createWakeFile, touchWakeFile, watchWakeFile } from '../../src/store/sqlite/wake.ts';
import { TestEnv } from './env.ts';
import { placeTest, plainJob } from './sqlite-place.ts';
import { names } from './values.ts';

placeTest('a link planted for the wake file is not followed to make one', async (place) => {
  const target = join(place.directory, 'target');
  await symlink(target, place.wakeFile);
  const store = await place.open();
  await store.enqueue([plainJob()]);
  await assert.rejects(stat(target), { code: 'ENOENT' });
});

placeTest('a wake file that somebody removed is made again, and rings again', async (place) => {
  const store = await place.open();
  let rings = 0;
  const watch = store.watch(() => (rings += 1));
  try {
    await rm(place.wakeFile);
    const peer = await place.peer();
    await peer.open();
    for (const id of names('j', 50)) {
      const before = rings;
      await peer.call('enqueue', [plainJob({ id })]);
      await systemEnv.sleep(10);
      if (rings > before) break;
      assert.notEqual(id, 'j49', 'no ring after 50 commits');
    }
    const { mode } = await lstat(place.wakeFile);
    assert.equal((mode & 0o777).toString(8), '600');
  } finally {
    watch.close();
  }
});

/** A clock whose waits are over when the test says so. */
class HeldEnv extends TestEnv {
  readonly waits = new EventEmitter();
  readonly #held: (() => void)[] = [];

  override sleep(_ms: number, signal?: AbortSignal): Promise<void> {
    this.waits.emit('begun');
    return new Promise((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(new Error('closed')));
      this.#held.push(resolve);
    });
  }

  release(): void {
    this.#held.shift()?.();
  }
}

placeTest('an event that comes while a second look is due gets one of its own', async (place) => {
  createWakeFile(place.wakeFile);
  const env = new HeldEnv();
  const looks = new EventEmitter();
  const watch = watchWakeFile(place.wakeFile, env, () => looks.emit('look'));
  try {
    const first = once(env.waits, 'begun');
    touchWakeFile(place.wakeFile, env.now());
    await first;
    const second = once(looks, 'look');
    const touching = setInterval(() => touchWakeFile(place.wakeFile, env.now()), 5);
    await second;
    clearInterval(touching);
    // Bun misses a change right after another: now only one more second look finds it.
    const own = once(env.waits, 'begun');
    env.release();
    await own;
    const last = once(looks, 'look');
    env.release();
    await last;
  } finally {
    watch.close();
  }
});

placeTest('a watch where no file can be made never rings and never fails', async (place) => {
  const nowhere = join(place.directory, 'nowhere', 'wake');
  const watch = watchWakeFile(nowhere, systemEnv, () => assert.fail('it rang'));
  touchWakeFile(nowhere, systemEnv.now());
  await assert.rejects(stat(nowhere), { code: 'ENOENT' });
  watch.close();
});
