// QUEUECTL_FAILPOINT itself: what is not understood is refused by whoever opens the
// database, so that no fault test passes for nothing; and no job inherits it.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { box } from './box.ts';

suite('failpoints', { concurrency: 2 }, () => {
  test('an unknown step or action is refused, and the steps are told', async (t) => {
    const cli = box(t);
    for (const armed of ['claimed:kill', 'open:die', 'open', 'open:kill@0', 'open:kill@x', '']) {
      for (const args of [['list'], ['enqueue', '--', 'true'], ['worker', 'start']]) {
        const env = { QUEUECTL_FAILPOINT: armed };
        const told = await cli.refused(args, 2, { env });
        assert.match(told, /there is no failpoint ".*"\nhint: .*, claim-after-commit, /, armed);
      }
    }
    const env = { QUEUECTL_FAILPOINT: 'after-spawn:error' };
    assert.match(await cli.refused(['list'], 2, { env }), /nothing can fail at after-spawn/);
    assert.ok(!existsSync(cli.home), 'nothing was made');
  });

  test('an error is told with its step', async (t) => {
    const cli = box(t);
    const env = { QUEUECTL_FAILPOINT: 'enqueue-before-commit:error' };
    const told = await cli.refused(['enqueue', '--', 'true'], 5, { env });
    assert.equal(told, 'queuectl: failpoint enqueue-before-commit\n');
    assert.deepEqual(await cli.json(['list']), []);
  });

  test('it acts in the process that makes the file, and in no other', async (t) => {
    const cli = box(t);
    const once = join(cli.directory, 'once');
    const env = { QUEUECTL_FAILPOINT: 'open:error', QUEUECTL_FAILPOINT_ONCE: once };
    await cli.refused(['list'], 5, { env });
    assert.match(readFileSync(once, 'utf8'), /^\d+$/);
    await cli.ok(['list'], { env });
    const nowhere = { ...env, QUEUECTL_FAILPOINT_ONCE: join(cli.directory, 'no/where') };
    await cli.refused(['list'], 2, { env: nowhere });
  });

  test('workers get it, their jobs do not', async (t) => {
    const cli = box(t);
    const once = join(cli.directory, 'once');
    const env = { QUEUECTL_FAILPOINT: 'open:error@9', QUEUECTL_FAILPOINT_ONCE: once };
    await cli.ok(['worker', 'start'], { env });
    await cli.ok(['enqueue', '--id', 'job', '--shell', 'env']);
    await cli.ok(['wait', 'job']);
    assert.doesNotMatch(await cli.ok(['logs', 'job']), /FAILPOINT/);
    await cli.ok(['worker', 'stop']);

    await cli.ok(['worker', 'start'], {
      env: { ...env, QUEUECTL_FAILPOINT: 'record-after-commit:error' },
    });
    await cli.ok(['enqueue', '--id', 'other', '--', 'true']);
    await cli.ok(['wait', 'other']);
    await cli.ok(['worker', 'stop']);
    assert.ok(existsSync(once), 'a worker got it');
  });
});
