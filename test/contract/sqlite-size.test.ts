// What a finished job costs on disk: at most 400 bytes, its attempt and all indexes included.

import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { systemEnv } from '../../src/env.ts';
import { placeTest, plainJob } from './sqlite-place.ts';

const JOBS = 20_000;
const BATCH = 500;
const MOST = 400;

placeTest(`${JOBS} finished jobs with UUIDs take at most ${MOST} bytes each`, async (place) => {
  const store = await place.open();
  const command = 'convert "/data/photos/2026/IMG_01234.png" -resize 50% out.webp';
  const jobs = Array.from({ length: JOBS }, () => plainJob({ id: systemEnv.newId(), command }));
  await store.enqueue(jobs);
  const { key: worker } = await store.registerWorker({
    identity: { host: 'h', bootId: 'b', pidNamespace: '', pid: 1, startTime: '1' },
    supervisor: null,
    queues: null,
    concurrency: BATCH,
  });
  const turn = { worker, backoff: { base: 2, max: 1000 }, lease: 30_000 };
  let { claimed } = await store.turn({ ...turn, ended: [], slots: BATCH });
  while (claimed.length > 0) {
    const ended = claimed.map((attempt) => ({
      attempt,
      outcome: { kind: 'exited', code: 0 } as const,
      logBytes: 1234,
      random: 0,
    }));
    ({ claimed } = await store.turn({ ...turn, ended, slots: BATCH }));
  }
  const { counts } = await store.stats();
  assert.deepEqual(counts, [{ queue: 'default', state: 'completed', n: JOBS }]);
  await store.close();
  place.rows('PRAGMA wal_checkpoint(TRUNCATE)');
  const perJob = (await stat(place.database)).size / JOBS;
  assert.ok(perJob <= MOST, `${Math.ceil(perJob)} bytes`);
});
