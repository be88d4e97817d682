// The document this project started from, word for word: every command of its usage
// section, in its order, in one shell; then once more after everything was killed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { type Crew, crew, killHard, until } from '../fixtures/crew.ts';
import { EXECUTABLE } from './support.ts';

/** As they stand there, `queuectl` for `python queuectl.py`. */
const ENQUEUE = [
  String.raw`queuectl enqueue "{\"id\":\"job_ok\",\"command\":\"echo hello\",\"max_retries\":2}"`,
  String.raw`queuectl enqueue "{\"id\":\"job_fail\",\"command\":\"nonexistent_cmd\",\"max_retries\":2}"`,
];
const START = 'queuectl worker start --count 2';
const LOOK = ['queuectl status', 'queuectl list'];
const DEAD = ['queuectl dlq list', 'queuectl dlq retry job_fail'];
const STOP = 'queuectl worker stop';
const CONFIG = ['queuectl config set backoff_base 2', 'queuectl config get backoff_base'];

/** Not in the seed: a person would look until the job is there. */
const AWAIT_DEATH = 'until queuectl dlq list --quiet | grep -q job_fail; do sleep 0.1; done';

interface Said {
  readonly code: number;
  readonly stdout: string;
}

/** One shell, queuectl in its PATH. Answers what each line printed and ended with. */
async function session({ directory, env }: Crew, lines: readonly string[]): Promise<Said[]> {
  const script = lines.map((line) => `${line}\necho "@@ $?"`).join('\n');
  const shell = spawn('bash', ['-c', script], {
    cwd: directory,
    env: { ...env, PATH: `${dirname(EXECUTABLE)}:${env['PATH'] ?? ''}` },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const chunks: Buffer[] = [];
  shell.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  // The end of its output: had a worker kept the pipe, this would wait for the worker.
  await once(shell, 'close');
  const answers = Buffer.concat(chunks).toString().split(/^@@ /m);
  return answers.slice(1).map((answer, i) => ({
    code: Number.parseInt(answer, 10),
    stdout: (answers[i] ?? '').replace(/^\d+\n/, ''),
  }));
}

test('the usage section of the seed, word for word, twice', async (t) => {
  const queue = crew(t);
  const first = await session(queue, [
    ...ENQUEUE,
    START,
    ...LOOK,
    AWAIT_DEATH,
    ...DEAD,
    STOP,
    ...CONFIG,
  ]);
  assert.deepEqual(
    first.map(({ code }) => code),
    Array.from({ length: 11 }, () => 0),
    JSON.stringify(first),
  );
  const [ok, fail, start, status, list, , dlq, retry, stop, set, get] = first;
  assert.equal(ok?.stdout, 'Enqueued job_ok (pending)\n');
  assert.equal(fail?.stdout, 'Enqueued job_fail (pending)\n');
  assert.equal(start?.stdout, 'Started 2 workers: w1 and w2\n');
  assert.match(status?.stdout ?? '', /default/);
  assert.match(list?.stdout ?? '', /^job_fail .*nonexistent_cmd\njob_ok .*echo hello$/m);
  assert.match(dlq?.stdout ?? '', /job_fail .*127/);
  assert.equal(retry?.stdout, 'Retrying job_fail (pending)\n');
  assert.equal(stop?.stdout, 'Stopped 2 workers\n');
  assert.match(set?.stdout ?? '', /backoff_base/);
  assert.equal(get?.stdout, '2\n');
  assert.equal((await queue.show('job_ok')).state, 'completed');
  assert.ok((await queue.show('job_fail')).history.length >= 3, 'two retries');
  assert.equal(await queue.ok(['logs', 'job_ok']), 'hello\n');

  // Everything is killed while it works.
  const workers = await queue.begin('--count', '2');
  const pids = [...queue.supervisors(), ...workers.map(({ pid }) => pid)];
  assert.equal(pids.length, 3);
  await killHard(...pids);
  await until('nobody of them is left', () => queue.processes().length === 0);

  const second = await session(queue, [START, ...LOOK, AWAIT_DEATH, ...DEAD, STOP, ...CONFIG]);
  assert.deepEqual(
    second.map(({ code }) => code),
    Array.from({ length: 9 }, () => 0),
    JSON.stringify(second),
  );
  assert.match(second[0]?.stdout ?? '', /^Started 2 workers: w\d+ and w\d+\n$/);
  assert.match(second[2]?.stdout ?? '', /^job_ok +completed /m);
  assert.match(second[4]?.stdout ?? '', /job_fail/);
  assert.equal(second[6]?.stdout, 'Stopped 2 workers\n');
  assert.equal(second.at(-1)?.stdout, '2\n');
  assert.ok((await queue.show('job_fail')).history.length >= 6, 'two retries again');
  const jobs = await queue.json<{ id: string }[]>(['list']);
  assert.deepEqual(
    jobs.map(({ id }) => id),
    ['job_fail', 'job_ok'],
  );
});
