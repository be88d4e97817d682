// Fault 46: the reader of the command line goes away (`list | head -1`). A quiet end: exit code
// 0, nothing on stderr, and nobody who goes on writing or waiting for ever.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { suite, test } from 'node:test';
import { QUEUECTL } from '../cli/box.ts';
import { type Crew, crew } from '../fixtures/crew.ts';

interface Ended {
  readonly code: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** `queuectl … | head …` in a shell; `code` is that of queuectl. */
async function piped(queue: Crew, args: string, reader: string): Promise<Ended> {
  const script = `{ queuectl ${args}; echo $? > code; } | ${reader}; cat code`;
  const PATH = `${dirname(QUEUECTL)}:${process.env['PATH'] ?? ''}`;
  const child = spawn('sh', ['-c', script], {
    cwd: queue.directory,
    env: { ...queue.env, PATH },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Whoever hangs is ended with its whole pipeline.
    detached: true,
  });
  const timer = setTimeout(() => process.kill(-(child.pid ?? 0), 'SIGKILL'), 20_000);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  await once(child, 'close');
  clearTimeout(timer);
  const lines = Buffer.concat(out).toString().trimEnd().split('\n');
  const code = lines.pop() ?? '';
  return { code, stdout: lines.join('\n'), stderr: Buffer.concat(err).toString() };
}

const TALKS = 'i=0; while [ $i -lt 600 ]; do echo line $i; i=$((i+1)); sleep 0.05; done';

suite('a reader that goes away', { concurrency: 2 }, () => {
  test('from what is long', async (t) => {
    const queue = crew(t);
    const jobs = Array.from({ length: 5000 }, (_, i) => `{"command":"true ${i}"}`).join('\n');
    await queue.ok(['enqueue', '-'], { input: jobs });
    for (const args of ['list --limit 5000', '--json list --limit 5000', 'list -q --limit 5000']) {
      const { code, stderr, stdout } = await piped(queue, args, 'head -1');
      assert.deepEqual([code, stderr], ['0', ''], args);
      assert.notEqual(stdout, '', args);
    }
    // Nobody reads from the start.
    for (const args of ['list', 'status', 'config list', 'help']) {
      const { code, stderr } = await piped(queue, args, 'true');
      assert.deepEqual([code, stderr.replace(/^hint: no worker.*\n/, '')], ['0', ''], args);
    }
  });

  test('from what is followed', async (t) => {
    const queue = crew(t);
    await queue.begin();
    await queue.enqueue('job', TALKS, { max_retries: 0 });
    for (const args of ['logs -f job', '--json logs -f job']) {
      const { code, stderr, stdout } = await piped(queue, args, 'head -2');
      assert.deepEqual([code, stderr], ['0', ''], args);
      assert.equal(stdout.split('\n').length, 2, args);
    }
    await queue.ok(['cancel', 'job']);
    await queue.finished('job');
  });

  test('from a job that is silent', async (t) => {
    const queue = crew(t);
    await queue.begin();
    await queue.enqueue('job', 'echo once; exec sleep 60', { max_retries: 0 });
    const { code, stderr, stdout } = await piped(queue, 'logs -f job', 'head -1');
    assert.deepEqual([code, stderr, stdout], ['0', '', 'once']);
    await queue.ok(['cancel', 'job']);
    await queue.finished('job');
  });

  // Not 0: that is the job's to say. It answers as every command that writes into such a pipe.
  test('from run: the job goes on', async (t) => {
    const queue = crew(t);
    await queue.begin();
    const run = `run --max-retries 0 --id job --shell '${TALKS.replace('600', '20')}; exit 3'`;
    const { code, stderr, stdout } = await piped(queue, run, 'head -1');
    assert.deepEqual([code, stdout], ['141', 'line 0']);
    assert.match(stderr, /^queuectl: .*job goes on.*\n$/);
    const job = await queue.finished('job');
    assert.deepEqual(
      [job.exit_code, (await queue.ok(['logs', 'job'])).split('\n').length],
      [3, 21],
    );
  });

  test('from status --watch', async (t) => {
    const queue = crew(t);
    await queue.begin();
    for (const args of ['status --watch', '--json status --watch']) {
      const { code, stderr } = await piped(queue, args, 'head -1');
      assert.deepEqual([code, stderr], ['0', ''], args);
    }
  });
});
