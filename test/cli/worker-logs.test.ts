// The logs of workers and supervisors: lines for people or JSON, one file for all of them,
// put aside when it is large, without a line lost or torn.

import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { untilOutput } from './box.ts';
import { type Crew, crew, until } from '../fixtures/crew.ts';

const LARGE = 10 * 1024 * 1024;

interface Line {
  readonly time: string;
  readonly level: string;
  readonly process: string;
  readonly pid: number;
  readonly message: string;
  readonly job?: string;
  readonly attempt?: number;
  readonly outcome?: string;
  readonly state?: string;
}

function parsed(text: string): Line[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

function logs(queue: Crew): string {
  return join(queue.home, 'logs', 'workers');
}

/** Everything that was logged, oldest first, as lines. */
function allLines(queue: Crew): string[] {
  const files = readdirSync(logs(queue)).filter((name) => name.startsWith('workers.log'));
  const older = files.filter((name) => name !== 'workers.log');
  older.sort((a, b) => (a < b ? -1 : 1));
  return [...older, 'workers.log'].flatMap((name) =>
    readFileSync(join(logs(queue), name), 'utf8')
      .split('\n')
      .filter((line) => line !== ''),
  );
}

suite('the log of workers', { concurrency: 2 }, () => {
  test('is JSON where asked for: of the supervisor and all its workers', async (t) => {
    const queue = crew(t);
    const [first] = await queue.begin('--log-format', 'json', '--count', '2');
    await queue.enqueue('bad', 'exit 3', { max_retries: 0 });
    await queue.finished('bad');
    await queue.enqueue('slow', 'sleep 60', { timeout: 0.1, max_retries: 0 });
    await queue.finished('slow');
    process.kill(first?.pid ?? assert.fail(), 'SIGKILL');
    await until('another is ready', async () => (await queue.workers()).length === 2);
    await queue.ok(['worker', 'stop']);
    const lines = parsed(queue.log());
    for (const { time, level, process: name, pid, message } of lines) {
      assert.equal(new Date(time).toISOString(), time);
      assert.match(level, /^(info|warn|error)$/);
      assert.match(name, /^(supervisor|worker|w\d+)$/);
      assert.ok(Number.isInteger(pid) && message !== '');
    }
    const bad = lines.find(({ job }) => job === 'bad');
    assert.deepEqual(
      [bad?.level, bad?.attempt, bad?.outcome, bad?.state],
      ['warn', 1, 'exited', 'dead'],
    );
    assert.equal(lines.find(({ job }) => job === 'slow')?.outcome, 'timed_out');
    // The one that was started later as well.
    assert.ok(
      lines.some(({ process: name, message }) => name === 'w3' && message.startsWith('ready')),
    );
  });

  test('is for people otherwise, and goes to stderr in the foreground', async (t) => {
    const queue = crew(t);
    await queue.begin();
    await queue.ok(['worker', 'stop']);
    assert.match(queue.log(), /^\d{4}-\S+Z supervisor started: pid \d+, 1 worker$/m);
    assert.match(queue.log(), /^\d{4}-\S+Z w1 ready: pid \d+, concurrency 1$/m);
    const before = queue.log();
    await queue.enqueue('bad', 'exit 3', { max_retries: 0 });
    const worker = queue.start(['worker', 'start', '--foreground', '--log-format', 'json']);
    const text = await untilOutput(worker, /"job":"bad".*\n/, 'stderr');
    assert.ok(parsed(text).some(({ job, outcome }) => job === 'bad' && outcome === 'exited'));
    worker.kill('SIGTERM');
    await until('it ends', () => worker.exitCode !== null);
    assert.equal(queue.log(), before);
  });

  test('has no other format', async (t) => {
    const queue = crew(t);
    assert.match(
      await queue.refused(['worker', 'start', '--log-format', 'xml'], 2),
      /--log-format does not know "xml"\nhint: one of: text, json\n/,
    );
  });

  test('is put aside when it is large, and three older ones are kept', async (t) => {
    const queue = crew(t);
    await queue.begin('--log-format', 'json', '--count', '3');
    const log = join(logs(queue), 'workers.log');
    for (let round = 0; round < 5; round += 1) {
      const ids = Array.from({ length: 30 }, (_, i) => `r${round}-${i}`);
      const jobs = ids.map((id) => JSON.stringify({ id, command: 'false', max_retries: 0 }));
      // Sparse: as large as it claims, at no cost. Its last line is not finished.
      truncateSync(log, LARGE);
      await queue.ok(['enqueue', '-'], { input: jobs.join('\n') });
      await queue.allFinished(ids);
    }
    await until('all is logged', () => queue.log().includes('"r4-29"'));
    const files = readdirSync(logs(queue)).filter((name) => name.startsWith('workers.log'));
    assert.equal(files.length, 4, files.join(' '));
    for (const name of files) assert.equal(statSync(join(logs(queue), name)).mode & 0o777, 0o600);
    assert.ok(statSync(log).size < LARGE);
    // Nothing lost of what is kept: the last four rounds, each job once and whole.
    const seen = allLines(queue)
      .filter((line) => line.startsWith('{"time"'))
      .flatMap((line) => (JSON.parse(line) as Line).job ?? []);
    for (let round = 2; round < 5; round += 1) {
      const own = seen.filter((id) => id.startsWith(`r${round}-`));
      assert.equal(own.length, 30, `round ${round}`);
      assert.equal(new Set(own).size, 30);
    }
  });

  test('begins anew when somebody removes it, and after a line that was cut', async (t) => {
    const queue = crew(t);
    await queue.begin();
    const log = join(logs(queue), 'workers.log');
    rmSync(log);
    await queue.enqueue('one', 'false', { max_retries: 0 });
    await queue.finished('one');
    await until('it is there', () => existsSync(log) && /one: attempt 1 exited/.test(queue.log()));
    appendFileSync(log, '2026-11-25T10:00:00.000Z w9 cut by a full di');
    await queue.enqueue('two', 'false', { max_retries: 0 });
    await queue.finished('two');
    await until('it is logged', () => /^\S+Z w1 two: attempt 1 exited/m.test(queue.log()));
    assert.match(queue.log(), /full di\n/);
  });

  test('is apart from what the runtime says when it crashes', async (t) => {
    const queue = crew(t);
    await queue.begin();
    const crashes = join(logs(queue), 'crashes.log');
    assert.equal(readFileSync(crashes, 'utf8'), '');
    // It is opened anew for each worker, and put aside when it is large.
    truncateSync(crashes, 1024 * 1024);
    const [worker] = await queue.workers();
    process.kill(worker?.pid ?? assert.fail(), 'SIGKILL');
    await until('another is ready', async () => (await queue.workers())[0]?.name === 'w2');
    assert.equal(statSync(crashes).size, 0);
    assert.equal(readdirSync(logs(queue)).filter((name) => name.startsWith('crashes')).length, 2);
  });
});
