// Faults 1 and 4, and the kill test of the project: workers, supervisors, running commands
// and enqueuers are killed, frozen past their leases and told to stop at seeded moments, while
// jobs are enqueued, cancelled, retried and settings changed. Then the checker with its nine
// invariants (guarantees 1 to 9). STORM_SEED repeats the decisions of a storm.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { storm } from './kit/storm.ts';
import { told } from './kit/tell.ts';

/** A storm that left one of these out would prove less than its name says. */
const MIXED_IN = [
  ...['worker', 'supervisor', 'command', 'enqueuer'].map((whom) => `kill ${whom}`),
  'freeze worker',
  'terminate worker',
  'enqueue single',
  'enqueue bulk',
  // What was answered counts: a retry of nothing is none.
  'enqueue unknown',
  'cancel cancelled',
  'cancel cancel_requested',
  'retry retried',
  'set',
  'stop',
];

test(
  'a storm of 200 kills loses no job, doubles none and leaves nothing',
  {
    timeout: 300_000,
  },
  async (t) => {
    const seed = Number(process.env['STORM_SEED'] ?? Date.now() % 1_000_000);
    t.diagnostic(`STORM_SEED=${seed}`);
    const report = await storm({
      seed,
      workers: 6,
      concurrency: 2,
      ms: 75_000,
      kills: 200,
      jobs: 1000,
      tempo: { least: 200, most: 500, lease: 2000 },
      // Few wait, so that what was lost runs again soon, and would meet what is left of it.
      backlog: 40,
      drainWithin: 120_000,
      signal: t.signal,
    });
    for (const line of told(report)) t.diagnostic(line);
    const findings = report.findings.map(({ invariant, told: what }) => `${invariant}: ${what}`);
    assert.deepEqual(findings, []);
    assert.ok(report.kills >= 200, `${report.kills} kills are hardly a storm`);
    const had = { ...report.deeds, ...report.steps, ...report.summary.answers };
    for (const what of MIXED_IN) assert.ok((had[what] ?? 0) > 0, `the storm had no ${what}`);
    // Otherwise the fence was not there to be seen: a worker came back too late, and was told so.
    const { results, leases } = report.refused;
    assert.ok(results + leases > 0, 'nobody came too late');
  },
);
