// The storage alone, as a worker uses it: claims jobs and records their success, turn by
// turn, without starting anything. Arguments: a home, how many jobs, how many a turn, and
// how many jobs to enqueue before. Prints ms and how many were recorded.

import { systemEnv } from '../../src/env.ts';
import { resolveLocation } from '../../src/location.ts';
import { selfIdentity } from '../../src/platform/identity.ts';
import { parseJob } from '../../src/spec.ts';
import { openStore } from '../../src/store/open.ts';
import type { Ended } from '../../src/store/store.ts';

const [home = '', jobs = '', slots = '', enqueue = ''] = process.argv.slice(2);
const store = await openStore(
  resolveLocation({ environment: { QUEUECTL_HOME: home }, homeDirectory: () => '' }),
  { env: systemEnv, patience: 10_000 },
);
const context = {
  cwd: '/',
  path: '/usr/bin:/bin',
  now: () => systemEnv.now(),
  newId: () => systemEnv.newId(),
};
await store.enqueue(
  Array.from({ length: Number(enqueue) }, () => parseJob({ args: ['true'] }, context)),
);
const { key: worker } = await store.registerWorker({
  identity: selfIdentity(),
  supervisor: null,
  queues: null,
  concurrency: Number(slots),
});
const backoff = { base: 2, max: 3_600_000 };
let ended: Ended[] = [];
let recorded = 0;
const begun = performance.now();
while (recorded < Number(jobs)) {
  const result = await store.turn({ worker, ended, backoff, slots: Number(slots), lease: 30_000 });
  recorded += ended.length;
  if (result.claimed.length === 0) break;
  ended = result.claimed.map((attempt) => ({
    attempt,
    outcome: { kind: 'exited', code: 0 },
    logBytes: 0,
    random: 0,
  }));
}
const ms = performance.now() - begun;
await store.endWorker(worker, 'stopped');
await store.close();
console.log(JSON.stringify({ ms, recorded }));
