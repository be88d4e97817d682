// One pass over /proc for all who ask before it begins (guarantee 10 with hundreds of
// attempts), and never an answer where nobody could look (guarantee 5).

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { nextSurvey, surveyNow } from '../../src/platform/survey.ts';
import { linuxOnly, tempDirectory } from './command-support.ts';

test('all who ask before a pass begins share it', linuxOnly, async (t) => {
  const asked = [nextSurvey(Number.POSITIVE_INFINITY), nextSurvey(0), nextSurvey(7)];
  // Started after they have asked, and before it begins.
  const child = spawn('sleep', ['60'], {
    stdio: 'ignore',
    env: { PATH: process.env['PATH'], QUEUECTL_MARKER: 'survey:1' },
  });
  t.after(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  const [first, ...others] = await Promise.all(asked);
  assert.ok(first !== undefined && first !== null);
  assert.ok(others.every((other) => other === first));
  assert.ok(first.complete && first.stats.has(child.pid ?? 0));
  // Who asks now gets another one, which begins after this.
  child.kill('SIGKILL');
  await exited;
  const later = await nextSurvey(0);
  assert.ok(later !== first && later?.stats.has(child.pid ?? 0) === false);
});

test('the oldest that is asked for counts', linuxOnly, async (t) => {
  // What answers is not in the middle of execve(2), when nobody can tell whose it is.
  const child = spawn('cat', {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { PATH: process.env['PATH'], QUEUECTL_MARKER: 'survey:2' },
  });
  t.after(() => child.kill('SIGKILL'));
  child.stdin.write('up');
  await once(child.stdout, 'data');
  const carriers = (oldest: number): number =>
    surveyNow(oldest)?.carriers.get('survey:2')?.length ?? 0;
  const startTime = Number(surveyNow(0)?.stats.get(child.pid ?? 0)?.startTime);
  assert.deepEqual([carriers(0), carriers(startTime), carriers(startTime + 1)], [1, 1, 0]);
  const [shared] = await Promise.all([nextSurvey(startTime + 1), nextSurvey(startTime)]);
  assert.equal(shared?.carriers.get('survey:2')?.length, 1);
});

test('without descriptors nobody is taken for gone', linuxOnly, (t) => {
  const source = new URL('../../src/platform/processes.ts', import.meta.url).pathname;
  const file = join(tempDirectory(t), 'starved.ts');
  writeFileSync(
    file,
    `import { openSync } from 'node:fs';
    import { isRunning, killAndWait, processesOf } from '${source}';
    const traces = [{ marker: 'survey:3', leader: null }];
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    console.log(await processesOf(traces), await killAndWait(traces, { sleep }));
    try {
      for (;;) openSync('/dev/null');
    } catch {}
    console.log(isRunning({ pid: process.pid, startTime: '1' }));
    const ended = killAndWait(traces, { sleep });
    console.log(await processesOf(traces), await Promise.race([ended, sleep(300)]));
    process.exit();`,
  );
  const line = 'ulimit -n 100; exec "$0" "$1"';
  const { stdout, stderr } = spawnSync('sh', ['-c', line, process.execPath, file], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  assert.equal(stdout, '[] true\ntrue\nnull undefined\n', stderr);
});
