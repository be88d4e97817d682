// A dead job and its last attempt, for the tests of the command line.

import type { Attempt, Job } from '../../src/job.ts';

export const ATTEMPT: Attempt = {
  number: 2,
  runToken: 17,
  worker: 'w3',
  host: 'box',
  pid: 4242,
  startedAt: Date.UTC(2026, 10, 25, 9, 0, 1, 5),
  finishedAt: Date.UTC(2026, 10, 25, 9, 0, 2),
  outcome: 'exited',
  exitCode: 9,
  signal: null,
  error: null,
  logBytes: 12,
};

export const JOB: Job = {
  key: 1,
  id: 'a',
  kind: 'command',
  command: 'exit 9',
  spec: {},
  cwd: '/srv',
  path: '/bin',
  queue: 'default',
  priority: 0,
  state: 'dead',
  attempts: 2,
  lastAttempt: 2,
  maxRetries: 1,
  timeout: 1500,
  tags: {},
  createdAt: Date.UTC(2026, 10, 25, 9),
  updatedAt: Date.UTC(2026, 10, 25, 9, 0, 2),
  runAt: null,
  cancelRequested: false,
  last: ATTEMPT,
};
