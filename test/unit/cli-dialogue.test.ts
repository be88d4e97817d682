// Questions, progress and hints: what is said to a person besides the answer.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask, mustBeAsked } from '../../src/cli/ask.ts';
import { enqueueMany } from '../../src/cli/bulk.ts';
import { Io } from '../../src/cli/io.ts';
import { Progress } from '../../src/cli/progress.ts';
import { unservedHint } from '../../src/cli/serving.ts';
import { QueuectlError } from '../../src/errors.ts';
import type { WorkerRecord } from '../../src/store/store.ts';
import { type FakeContext, type FakeOptions, fakeContext } from './cli-context.ts';

function ioOf(options: FakeOptions, quiet = false): { io: Io; context: FakeContext } {
  const context = fakeContext(options);
  const globals = { db: undefined, json: false, quiet, 'no-color': true };
  return {
    io: new Io(context, {
      ...globals,
      debug: false,
      help: false,
      version: false,
      'allow-network-fs': false,
    }),
    context,
  };
}

test('only a plain yes is one', async () => {
  const answers: [string[], boolean][] = [
    [['y\n'], true],
    [['YES\n'], true],
    [['y', 'es', '\r\n'], true],
    [['\n'], false],
    [['n\n'], false],
    [['yes please\n'], false],
    [['no\nyes\n'], false],
    [[], false],
    [['y'], true],
  ];
  for (const [stdin, expected] of answers) {
    const { io, context } = ioOf({ stdin, terminal: 80 });
    assert.equal(await ask(io, 'Delete?'), expected, JSON.stringify(stdin));
    assert.match(context.said.err, /^Delete\? \[y\/N\] /);
  }
});

test('nobody is asked without a terminal', () => {
  assert.throws(() => mustBeAsked(ioOf({}).io, 'purge'), QueuectlError);
  mustBeAsked(ioOf({ terminal: 80 }).io, 'purge');
});

test('progress is for terminals, redraws in place, and leaves nothing behind', () => {
  const { io, context } = ioOf({ terminal: 80 });
  const progress = new Progress(io);
  progress.update('Storing', 50_000, 200_000, 'jobs');
  assert.equal(
    context.said.err,
    `\r\u001b[KStoring ${'█'.repeat(6)}${'░'.repeat(18)} 50,000 of 200,000 jobs`,
  );
  // The clock has not moved: not drawn again.
  progress.update('Storing', 60_000, 200_000, 'jobs');
  assert.ok(!context.said.err.includes('60,000'));
  progress.clear();
  assert.ok(context.said.err.endsWith('\r\u001b[K'));

  for (const { io: silent, context: said } of [ioOf({}), ioOf({ terminal: 80 }, true)]) {
    const none = new Progress(silent);
    none.update('Reading', 1, null, 'jobs');
    none.clear();
    assert.equal(said.said.err, '');
  }
});

test('the hint names the queues that nobody serves', () => {
  const worker = (queues: string[] | null, stop: WorkerRecord['stop'] = null): WorkerRecord => ({
    key: 1,
    name: 'w1',
    identity: { host: '', bootId: '', pidNamespace: '', pid: 1, startTime: '' },
    supervisor: null,
    queues,
    concurrency: 1,
    ready: true,
    startedAt: 0,
    heartbeatAt: 0,
    leaseUntil: 0,
    stop,
    jobs: [],
  });
  assert.equal(unservedHint([], []), null);
  assert.match(unservedHint([], ['a']) ?? '', /^no worker is running; .*: queuectl worker start$/);
  assert.match(unservedHint([worker(null, 'graceful')], ['a']) ?? '', /^all workers are stopping/);
  assert.equal(unservedHint([worker(null)], ['a', 'b']), null);
  assert.equal(unservedHint([worker(['a']), worker(['b'])], ['a', 'b']), null);
  assert.equal(
    unservedHint([worker(['a'])], ['a', 'b', 'c', 'b']),
    'no worker serves the queues b and c; start one with: queuectl worker start --queue b --queue c',
  );
});

test('a stream that fails over a line waits for no other', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'queuectl-stream-'));
  t.after(() => rmSync(home, { recursive: true }));
  const { io, context } = ioOf({ env: { QUEUECTL_HOME: home }, cwd: home });
  let reads = 0;
  context.stdin.read = () => {
    reads += 1;
    const lines = new TextEncoder().encode('{"id": "a", "command": "true"}\n{bad\n');
    // Whoever asks again would wait until somebody writes, and so would its process.
    return reads === 1 ? Promise.resolve(lines) : Promise.withResolvers<never>().promise;
  };
  const flags = { 'if-absent': false, 'skip-invalid': false, wait: false, stream: true };
  await assert.rejects(enqueueMany('-', flags, io), /^QueuectlError: line 2: malformed JSON/);
  assert.equal(reads, 1);
  assert.match(context.said.out, /^Enqueued a /);
});
