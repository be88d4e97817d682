// Fault 10: a write or a sync is answered with EIO or ENOSPC. An enqueue fails aloud, what was
// acknowledged is there when the queue is opened again, repeating with the same id makes one
// job, and what workers run ends in one terminal state (guarantees 1 to 4). Some of the
// points; all of them: long/fsync-fails.test.ts.

import { diskErrorTests } from './kit/disk-error-cases.ts';

diskErrorTests('the disk fails at some of the writes and syncs', {
  enqueue: [41, 11, 17],
  workerOnce: 29,
  workerBurst: null,
});
