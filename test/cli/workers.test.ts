// Workers: started, listed, killed, replaced, and what the jobs in them see.
// Field cases LQ-01, LQ-03, LQ-07, LQ-17.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { suite, test } from 'node:test';
import {
  type Crew,
  crew,
  groupOf,
  isAlive,
  killHard,
  ms,
  outcomes,
  signal,
  spanned,
  spans,
  story,
  until,
} from '../fixtures/crew.ts';
import { exitCode } from './box.ts';
import { EXECUTABLE } from './support.ts';

/**
 * What guarantee 6 promises is one second. This machine may be busy with other tests, so
 * that much more is allowed; the time it took is printed.
 */
const NOTICED_MS = 1000;
const BUSY_MS = 2000;

/** Runs until the test makes the file `go`. */
const UNTIL_GO = 'until [ -e go ]; do sleep 0.02; done';
const go = ({ directory }: Crew): void => writeFileSync(join(directory, 'go'), '');

/** The first attempt runs until somebody ends it, later ones end at once. */
const FIRST_HANGS = '[ $QUEUECTL_ATTEMPT -gt 1 ] || sleep 60';

/** Retries after a second instead of two. */
const soon = async (queue: Crew): Promise<unknown> =>
  await queue.ok(['config', 'set', 'backoff_base', '1']);

const started = async (queue: Crew, id: string): Promise<unknown> =>
  await until(`${id} runs`, () => spans(queue).some((span) => span.id === id));

/** For commands that call queuectl by its name. */
const PATH = `${dirname(EXECUTABLE)}:${process.env['PATH'] ?? ''}`;

test('a waiting worker starts what another process enqueues at once', async (t) => {
  const queue = crew(t);
  await queue.begin();
  const took: number[] = [];
  for (let i = 0; i < 9; i += 1) {
    const asked = Date.now();
    await queue.enqueue(`job${i}`, 'date +%s%N >>times');
    const begun = await until('it has run', () => queue.lines('times')[i]);
    took.push(Number(begun) / 1e6 - asked);
  }
  took.sort((a, b) => a - b);
  const [fastest = 0, median = 0] = [took[0], took[4]];
  // The start of `queuectl enqueue` and of the command are in it; a poll would take 1000.
  t.diagnostic(`from the call of enqueue to the command: ${fastest} ms, half within ${median} ms`);
  assert.ok(median < 500, took.join());
});

suite('starting', { concurrency: 3 }, () => {
  test('start returns when workers are ready, a second start adds, list shows them', async (t) => {
    const queue = crew(t);
    const before = Date.now();
    assert.equal(
      await queue.ok(['worker', 'start', '--count', '2']),
      'Started 2 workers: w1 and w2\n',
    );
    const two = await queue.workers();
    assert.deepEqual(
      two.map(({ name, state, jobs }) => [name, state, jobs]),
      [
        ['w1', 'idle', []],
        ['w2', 'idle', []],
      ],
    );
    const [third] = await queue.begin('--concurrency', '3', '--queue', 'a', '--queue', 'b');
    const all = await queue.workers();
    assert.deepEqual(
      all.map(({ name }) => name),
      ['w1', 'w2', 'w3'],
    );
    assert.deepEqual(all.slice(0, 2), two);
    assert.deepEqual(
      { ...third, heartbeat_at: '', started_at: '' },
      {
        name: 'w3',
        pid: third?.pid,
        host: hostname(),
        state: 'idle',
        queues: ['a', 'b'],
        concurrency: 3,
        jobs: [],
        started_at: '',
        heartbeat_at: '',
      },
    );
    for (const { pid, started_at, heartbeat_at } of all) {
      assert.ok(isAlive(pid));
      assert.ok(ms(started_at) >= before && ms(heartbeat_at) >= ms(started_at));
      assert.match(started_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
    assert.equal(queue.supervisors().length, 2);
    await queue.enqueue('job', UNTIL_GO);
    const busy = await until('it shows the job', async () =>
      (await queue.workers()).find(({ jobs }) => jobs.length > 0),
    );
    assert.deepEqual([busy.state, busy.jobs], ['busy', ['job']]);
    go(queue);
    await queue.finished('job');
  });

  test('--queue restricts', async (t) => {
    const queue = crew(t);
    await queue.enqueue('first', 'true', { queue: 'b', priority: 9 });
    await queue.enqueue('second', 'true', { queue: 'a' });
    await queue.begin('--queue', 'a');
    await queue.finished('second');
    assert.equal((await queue.show('first')).state, 'pending');
    await queue.begin('--queue', 'c', '--queue', 'b');
    assert.equal((await queue.finished('first')).history[0]?.worker, 'w2');
  });

  test('--drain ends when nothing is left to run, retries included', async (t) => {
    const queue = crew(t);
    await soon(queue);
    await queue.enqueue('ok', 'true');
    await queue.enqueue('once', '[ $QUEUECTL_ATTEMPT -gt 1 ]');
    await queue.enqueue('elsewhere', 'true', { queue: 'other' });
    const child = queue.start(['worker', 'start', '--foreground', '--drain', '--queue', 'default']);
    assert.equal(await exitCode(child), 0);
    assert.equal(outcomes(await queue.show('once')), 'exited 1, exited 0');
    assert.equal((await queue.show('ok')).state, 'completed');
    assert.equal((await queue.show('elsewhere')).state, 'pending');
    // In the background: `start` may find them gone already, which is no failure.
    await queue.ok(['worker', 'start', '--count', '2', '--drain']);
    assert.equal((await queue.finished('elsewhere')).state, 'completed');
    await until('all have ended', () => queue.processes().length === 0);
    assert.deepEqual(await queue.workers(), []);
  });
});

suite('the foreground', { concurrency: 3 }, () => {
  /** A foreground supervisor whose worker runs `job`, and what it logs. */
  async function busy(queue: Crew, body: string): Promise<{ child: ChildProcess; log: string[] }> {
    await queue.enqueue('job', spanned(body));
    // A group of its own, as a shell gives it.
    const child = spawn(EXECUTABLE, ['worker', 'start', '--foreground'], {
      cwd: queue.directory,
      env: queue.env,
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const log: string[] = [];
    child.stderr.on('data', (chunk: Buffer) => log.push(chunk.toString()));
    await started(queue, 'job');
    return { child, log };
  }

  const told = async (log: readonly string[]): Promise<unknown> =>
    await until('the worker is told', () => log.join('').includes('claims nothing more'));

  test('TERM lets jobs finish within grace, then gives them back', async (t) => {
    const queue = crew(t);
    await queue.ok(['config', 'set', 'grace', '2s']);
    const { child } = await busy(queue, 'sleep 60');
    const asked = Date.now();
    child.kill('SIGTERM');
    assert.equal(await exitCode(child), 0);
    const job = await queue.show('job');
    assert.deepEqual([job.state, job.attempts, outcomes(job)], ['pending', 0, 'interrupted']);
    const took = ms(job.history[0]?.finished_at ?? null) - asked;
    assert.ok(took >= 2000 && took < 2000 + BUSY_MS, `${took} ms`);
    assert.equal(story(queue, 'job'), 'S1');
    assert.deepEqual(queue.processes(), []);
  });

  test('a second TERM means now', async (t) => {
    const queue = crew(t);
    await queue.ok(['config', 'set', 'grace', '1h']);
    const { child, log } = await busy(queue, 'sleep 60');
    child.kill('SIGTERM');
    await told(log);
    child.kill('SIGTERM');
    assert.equal(await exitCode(child), 0);
    const job = await queue.show('job');
    assert.deepEqual([job.state, job.attempts, outcomes(job)], ['pending', 0, 'interrupted']);
    assert.deepEqual(queue.processes(), []);
  });

  test('Ctrl-C is not for the jobs: they finish', async (t) => {
    const queue = crew(t);
    const { child, log } = await busy(queue, UNTIL_GO);
    // As a terminal does: to everybody in its group. A worker in it would be told twice, by
    // the terminal and by its supervisor, and take that for "now".
    const [worker] = await queue.workers();
    assert.notEqual(groupOf(worker?.pid ?? 0), child.pid);
    signal(-(child.pid ?? 0), 'SIGINT');
    await told(log);
    await queue.enqueue('too-late', 'true');
    go(queue);
    assert.equal(await exitCode(child), 0);
    assert.equal(story(queue, 'job'), 'S1 E1');
    assert.equal((await queue.show('job')).state, 'completed');
    assert.equal((await queue.show('too-late')).state, 'pending');
  });
});

suite('a worker that dies', { concurrency: 3 }, () => {
  test('is replaced at once, its attempts are lost, their processes gone first', async (t) => {
    const queue = crew(t);
    await soon(queue);
    // Found by group, by marker, and by what the worker wrote down, in this order.
    const bodies = {
      plain: FIRST_HANGS,
      setsid: `[ $QUEUECTL_ATTEMPT -gt 1 ] || setsid -f sleep 60; ${FIRST_HANGS}`,
      cleared: '[ $QUEUECTL_ATTEMPT -gt 1 ] || env -i sleep 60',
    };
    const ids = Object.keys(bodies);
    for (const [id, body] of Object.entries(bodies)) await queue.enqueue(id, spanned(body));
    // The command's own process has cleared its environment.
    const exec = `${spanned('true').replace(/; \(true\).*/s, '')}; [ $QUEUECTL_ATTEMPT -eq 1 ] && exec env -i sleep 60; true`;
    await queue.enqueue('exec', exec);
    ids.push('exec');
    const [worker] = await queue.begin('--concurrency', '4');
    await until('all run', () => spans(queue).length === 4);
    await until(
      'all hang',
      () => queue.processes().filter(({ args }) => args === 'sleep 60').length === 5,
    );

    const killed = Date.now();
    signal(worker?.pid ?? 0, 'SIGKILL');
    const [successor] = await until('another is there', async () => {
      const workers = await queue.workers();
      return workers.length === 1 && workers[0]?.name !== worker?.name && workers;
    });
    const replaced = ms(successor?.started_at ?? null) - killed;
    const jobs = await queue.allFinished(ids);
    const noticed = jobs.map(({ history }) => ms(history[0]?.finished_at ?? null) - killed);
    t.diagnostic(`replaced after ${replaced} ms, lost after ${noticed.join(', ')} ms`);
    assert.ok(replaced < NOTICED_MS + BUSY_MS, `replaced after ${replaced} ms`);
    for (const [i, job] of jobs.entries()) {
      assert.equal(outcomes(job), 'lost, exited 0', job.id);
      assert.equal(job.attempts, 2);
      assert.match(job.history[0]?.error ?? '', /^worker w1 \(pid \d+\) was killed by SIGKILL$/);
      assert.ok((noticed[i] ?? 0) < NOTICED_MS + BUSY_MS, `${job.id}: ${noticed[i]} ms`);
      const wait = ms(job.history[1]?.started_at ?? null) - ms(job.history[0]?.finished_at ?? null);
      assert.ok(wait >= 1000, `${job.id} ran again after ${wait} ms`);
      assert.equal(story(queue, job.id), job.id === 'exec' ? 'S1 S2' : 'S1 S2 E2');
    }
    assert.match(queue.log(), /a worker was killed by SIGKILL; starting another at once/);
  });

  test('leaves nothing of a command that ended before, whatever its environment', async (t) => {
    const queue = crew(t);
    await soon(queue);
    const [worker] = await queue.begin();
    // It outlives its command for the 700 ms that it gets to end.
    const left = `(env -i sh -c "trap '' TERM; sleep 20; sleep 20" &); sleep 0.1`;
    await queue.enqueue('job', spanned(`[ $QUEUECTL_ATTEMPT -gt 1 ] || { ${left}; }`));
    const noted = (): number =>
      readFileSync(join(queue.home, 'run/w1'), 'utf8').match(/\d+ \d+ \d+/g)?.length ?? 0;
    await until('its worker has written down who is left', () => noted() > 1);
    signal(worker?.pid ?? 0, 'SIGKILL');
    assert.equal(outcomes(await queue.finished('job')), 'lost, exited 0');
    assert.equal(story(queue, 'job'), 'S1 E1 S2 E2');
  });

  test('of a job that kills it: as many attempts as allowed, then dead (LQ-03)', async (t) => {
    const queue = crew(t);
    await soon(queue);
    const harmless = Array.from({ length: 50 }, (_, i) => `harmless${i}`);
    const poison = { id: 'poison', max_retries: 1, command: 'kill -9 $PPID' };
    const input = [poison, ...harmless.map((id) => ({ id, command: 'true' }))]
      .map((job) => JSON.stringify(job))
      .join('\n');
    await queue.ok(['enqueue', '-'], { input });
    await queue.begin('--count', '3');
    const [job, ...others] = await queue.allFinished(['poison', ...harmless]);
    assert.ok(job !== undefined);
    assert.deepEqual([job.state, job.attempts, outcomes(job)], ['dead', 2, 'lost, lost']);
    for (const other of others) assert.equal(outcomes(other), 'exited 0', other.id);
    await until('three work again', async () => (await queue.workers()).length === 3);
  });

  test('again and again is replaced with growing delay, and the log says so', async (t) => {
    const queue = crew(t);
    await soon(queue);
    await queue.enqueue('poison', 'kill -9 $PPID', { max_retries: 2 });
    await queue.begin();
    const job = await queue.finished('poison');
    assert.equal(outcomes(job), 'lost, lost, lost');
    const delays = (): string[] =>
      [...queue.log().matchAll(/killed by SIGKILL; starting another (.*)$/gm)].map(
        ([, when]) => when ?? '',
      );
    await until('the log says when', () => delays().length === 3);
    assert.deepEqual(delays(), ['at once', 'in 1s', 'in 2s']);
    await until('it works again', async () => (await queue.workers()).length === 1);
  });
});

suite('without a supervisor', { concurrency: 3 }, () => {
  test('workers go on, recover each other, and stop reaches them', async (t) => {
    const queue = crew(t);
    await soon(queue);
    const two = await queue.begin('--count', '2');
    await killHard(...queue.supervisors());
    await queue.enqueue('after', 'true');
    assert.equal((await queue.finished('after')).state, 'completed');
    assert.deepEqual(
      (await queue.workers()).map(({ pid }) => pid),
      two.map(({ pid }) => pid),
    );

    await queue.enqueue('job', spanned(FIRST_HANGS));
    await started(queue, 'job');
    const owner = (await queue.workers()).find(({ jobs }) => jobs.includes('job'));
    const killed = Date.now();
    signal(owner?.pid ?? 0, 'SIGKILL');
    const job = await queue.finished('job');
    const noticed = ms(job.history[0]?.finished_at ?? null) - killed;
    t.diagnostic(`the other worker noticed after ${noticed} ms`);
    assert.ok(noticed < NOTICED_MS + BUSY_MS, `${noticed} ms`);
    assert.equal(outcomes(job), 'lost, exited 0');
    assert.equal(story(queue, 'job'), 'S1 S2 E2');
    assert.equal((await queue.workers()).length, 1);

    assert.equal(await queue.ok(['worker', 'stop']), 'Stopped 1 worker\n');
    assert.deepEqual(queue.processes(), []);
  });

  test('and with nobody left the next start recovers', async (t) => {
    const queue = crew(t);
    await soon(queue);
    const [worker] = await queue.begin();
    await queue.enqueue('job', spanned(FIRST_HANGS));
    await started(queue, 'job');
    await killHard(...queue.supervisors(), worker?.pid ?? 0);
    // Its processes live on, and the job is still theirs.
    assert.ok(queue.processes().some(({ args }) => args === 'sleep 60'));
    assert.equal((await queue.show('job')).state, 'processing');
    assert.deepEqual(await queue.workers(), []);
    await queue.begin();
    const job = await queue.finished('job');
    assert.equal(outcomes(job), 'lost, exited 0');
    assert.equal(story(queue, 'job'), 'S1 S2 E2');
    assert.match(job.history[0]?.error ?? '', /^worker w1 \(pid \d+\) died$/);
  });
});

suite('what a job sees', { concurrency: 3 }, () => {
  test('directory and PATH of its enqueuer, the rest of its worker, and who it is', async (t) => {
    const queue = crew(t);
    const worker = { WORKER_ONLY: 'w', QUEUECTL_DB: '', QUEUECTL_JOB_ID: 'other', PATH };
    await queue.ok(['worker', 'start'], { cwd: '/', env: worker });
    const enqueuer = { ENQUEUER_ONLY: 'e', PATH: `/nonexistent:${PATH}` };
    const command = 'pwd; env';
    const job = { id: 'job', command, max_retries: 4, queue: 'q', env: { OWN: 'a b' } };
    await queue.ok(['enqueue', JSON.stringify(job)], { env: enqueuer });
    await queue.finished('job');
    const [cwd, ...lines] = (await queue.ok(['logs', 'job'])).trim().split('\n');
    assert.equal(cwd, queue.directory);
    const env = new Map(lines.map((line) => line.split(/=(.*)/s, 2) as [string, string]));
    assert.equal(env.get('PATH'), enqueuer.PATH);
    assert.equal(env.get('PWD'), queue.directory);
    assert.equal(env.get('WORKER_ONLY'), 'w');
    assert.equal(env.get('ENQUEUER_ONLY'), undefined);
    assert.equal(env.get('OWN'), 'a b');
    const ours = [...env].filter(([name]) => name.startsWith('QUEUECTL_'));
    const marker = env.get('QUEUECTL_MARKER') ?? '';
    assert.match(marker, /:1$/);
    assert.deepEqual(Object.fromEntries(ours), {
      QUEUECTL_HOME: queue.home,
      QUEUECTL_JOB_ID: 'job',
      QUEUECTL_ATTEMPT: '1',
      QUEUECTL_MAX_RETRIES: '4',
      QUEUECTL_RETRIES_LEFT: '4',
      QUEUECTL_RUN_TOKEN: '1',
      QUEUECTL_QUEUE: 'q',
      QUEUECTL_MARKER: marker,
    });
  });

  test('umask and limits of the shell that started the worker', async (t) => {
    const queue = crew(t);
    const line = 'umask 027; ulimit -Sn 600; ulimit -c 0; queuectl worker start; exit $?';
    const shell = spawn('bash', ['-c', line], {
      cwd: queue.directory,
      env: { ...queue.env, PATH },
      stdio: 'ignore',
    });
    assert.deepEqual(await once(shell, 'exit'), [0, null]);
    await queue.enqueue('job', 'umask; ulimit -Sn; ulimit -c');
    await queue.finished('job');
    assert.equal(await queue.ok(['logs', 'job']), '0027\n600\n0\n');
  });

  test('the same queue, if it calls queuectl', async (t) => {
    const queue = crew(t);
    await queue.begin();
    const options = { env: { PATH }, cwd: queue.directory };
    const inner = 'cd / && queuectl enqueue --id inner -- true';
    await queue.ok(['enqueue', '--id', 'outer', '--shell', inner], options);
    await queue.finished('outer');
    assert.equal((await queue.finished('inner')).state, 'completed');

    const db = ['--db', 'other.db'];
    await queue.ok([...db, 'enqueue', '--id', 'outer2', '--shell', inner], options);
    await queue.ok([...db, 'worker', 'start', '--foreground', '--drain'], options);
    const jobs = await queue.json<{ id: string; state: string }[]>([...db, 'list']);
    assert.deepEqual(
      jobs.map(({ id, state }) => [id, state]),
      [
        ['inner', 'completed'],
        ['outer2', 'completed'],
      ],
    );
    assert.equal((await queue.json<unknown[]>(['list'])).length, 2);
  });

  test('a worker that it starts is not part of it', async (t) => {
    const queue = crew(t);
    const [first] = await queue.begin('--queue', 'default');
    const starts = 'queuectl worker start --queue second && echo S >>ready; sleep 60';
    await queue.ok(['enqueue', '--id', 'outer', '--shell', starts], { env: { PATH } });
    await until('it has started it', () => queue.lines('ready').length > 0);
    const [, second] = await queue.workers();
    // Everything of the attempt is ended now, by group, session and marker.
    await queue.ok(['cancel', 'outer']);
    assert.equal((await queue.finished('outer')).state, 'cancelled');
    assert.ok(second !== undefined && isAlive(second.pid));
    // And when its worker dies.
    await killHard(first?.pid ?? 0);
    await queue.enqueue('inner', 'env', { queue: 'second' });
    const inner = await queue.finished('inner');
    assert.equal(inner.history[0]?.worker, second.name);
    assert.match(await queue.ok(['logs', 'inner']), /^QUEUECTL_JOB_ID=inner$/m);
    assert.equal(queue.supervisors().length, 2);
  });
});

suite('settings and leases', { concurrency: 3 }, () => {
  test('a changed setting reaches running workers within a second or so', async (t) => {
    const queue = crew(t);
    await queue.ok(['config', 'set', 'kill_after', '1h']);
    await queue.begin('--concurrency', '2');
    await queue.enqueue('deaf', spanned("trap '' TERM; sleep 60 & wait; sleep 60"));
    await started(queue, 'deaf');
    const changed = Date.now();
    await queue.ok(['config', 'set', 'log_max_bytes', '4K']);
    await queue.ok(['config', 'set', 'kill_after', '100ms']);
    const cut = await until('a log is cut', async () => {
      const id = `loud${Date.now()}`;
      await queue.enqueue(id, 'head -c 100000 /dev/zero | tr "\\0" x; echo end');
      const job = await queue.finished(id);
      assert.equal(job.history[0]?.log_bytes, 100_004);
      return (await queue.ok(['logs', id])).length < 10_000 && ms(job.history[0].started_at);
    });
    t.diagnostic(`reached new attempts within ${cut - changed} ms`);
    assert.ok(cut - changed < NOTICED_MS + BUSY_MS, `${cut - changed} ms`);
    // And the attempt that was running before the change.
    const asked = Date.now();
    await queue.ok(['cancel', 'deaf']);
    const job = await queue.finished('deaf');
    assert.equal(job.state, 'cancelled');
    assert.ok(ms(job.history[0]?.finished_at ?? null) - asked < NOTICED_MS + BUSY_MS);
  });

  test('a job longer than its lease runs once (LQ-01)', async (t) => {
    const queue = crew(t);
    await queue.ok(['config', 'set', 'lease', '1s']);
    await queue.enqueue('long', spanned('sleep 4'));
    await queue.begin('--count', '2');
    const job = await queue.finished('long');
    assert.deepEqual([job.state, job.attempts, outcomes(job)], ['completed', 1, 'exited 0']);
    assert.equal(story(queue, 'long'), 'S1 E1');
  });

  test('nobody takes more than it has slots for (LQ-07)', async (t) => {
    const queue = crew(t);
    await queue.begin('--count', '2');
    await queue.enqueue('long', UNTIL_GO);
    await until('it runs', async () => (await queue.show('long')).state === 'processing');
    const ids = ['a', 'b', 'c', 'd', 'e'];
    const input = ids.map((id) => JSON.stringify({ id, command: 'true' })).join('\n');
    await queue.ok(['enqueue', '-'], { input });
    const jobs = await queue.allFinished(ids);
    const took = jobs.map((job) => ms(job.history[0]?.finished_at ?? null) - ms(job.created_at));
    assert.ok(Math.max(...took) < 2000, took.join());
    const many = Array.from({ length: 40 }, () => '{"command":"sleep 0.05"}').join('\n');
    await queue.ok(['enqueue', '-'], { input: many });
    await queue.begin('--concurrency', '3');
    await until('all are done', async () => {
      const { jobs: counts } = await queue.json<{ jobs: Record<string, number> }>(['status']);
      assert.ok((counts['processing'] ?? 99) <= 5, `${counts['processing']} at a time`);
      return counts['pending'] === 0;
    });
    go(queue);
    await queue.finished('long');
  });

  test('equal in everything, arrival decides, also across a restart (LQ-17)', async (t) => {
    const queue = crew(t);
    const ids = Array.from({ length: 120 }, (_, i) => `j${(i * 77) % 120}`);
    const enqueue = async (prefix: string, fields: object): Promise<unknown> =>
      await queue.ok(['enqueue', '-'], {
        input: ids
          .map((id) => `${prefix}${id}`)
          .map((id) => JSON.stringify({ id, command: `echo ${id} >>order`, ...fields }))
          .join('\n'),
      });
    await enqueue('now.', {});
    await enqueue('at.', { run_at: new Date(Date.now() + 3000).toISOString() });
    await queue.begin();
    await until('half of them', () => queue.lines('order').length > 30);
    await queue.ok(['worker', 'stop']);
    await queue.begin();
    await until('the others', () => queue.lines('order').length > 150);
    await queue.ok(['worker', 'stop']);
    await queue.begin();
    await until('all of them', () => queue.lines('order').length === 240);
    assert.deepEqual(queue.lines('order'), [
      ...ids.map((id) => `now.${id}`),
      ...ids.map((id) => `at.${id}`),
    ]);
  });
});
