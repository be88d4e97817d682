// Fault 10, at every write and sync there is; see fsync-fails.test.ts beside this folder.

import { diskErrorTests } from '../kit/disk-error-cases.ts';

diskErrorTests('the disk fails at every write and sync', {
  enqueue: [1, 1, 1],
  workerOnce: 1,
  workerBurst: 7,
});
