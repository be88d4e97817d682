// Enqueue: from JSON, from flags, from files. SH-01, SH-02, SH-07, SH-09, SH-18, SH-30.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { box, exitCode, untilOutput } from './box.ts';

interface JobJson {
  readonly id: string;
  readonly command: string;
  readonly state: string;
  readonly priority: number;
  readonly max_retries: number;
  readonly queue: string;
  readonly run_at: string | null;
  readonly created_at: string;
  readonly timeout: number | null;
  readonly tags: Record<string, string>;
  readonly cwd: string;
  readonly args: string[] | null;
  readonly env: Record<string, string>;
  readonly env_from: string[];
  readonly stdin: string | null;
}

test('a job as JSON, as the seed writes it', async (t) => {
  const cli = box(t);
  const { code, stdout, stderr } = await cli.q([
    'enqueue',
    '{"id":"job_ok","command":"echo hello","max_retries":2}',
  ]);
  assert.deepEqual([code, stdout], [0, 'Enqueued job_ok (pending)\n']);
  assert.match(stderr, /^hint: no worker is running; start one with: queuectl worker start\n$/);
  const job = await cli.json<JobJson>(['show', 'job_ok']);
  assert.deepEqual(
    [job.command, job.state, job.max_retries, job.cwd],
    ['echo hello', 'pending', 2, cli.directory],
  );
});

test('every flag arrives in its field', async (t) => {
  const cli = box(t);
  mkdirSync(join(cli.directory, 'w'));
  writeFileSync(join(cli.directory, 'vars'), '# not this\n\nFROM_FILE=1=2\r\nE=file\nLATER\n');
  const flags =
    '--id full --queue video --priority -5 --max-retries=7 --timeout 1h30m ' +
    '--run-at 2030-12-01T09:00Z --tag a=1 --tag b=x=y --env E=1 --env a.b= --env SECRET ' +
    '--env-file vars --cwd w --stdin in.txt';
  const job = await cli.json<JobJson>(['enqueue', ...flags.split(' '), '--', 'cat', '-n', 'it is']);
  assert.deepEqual(
    { ...job, created_at: '', updated_at: '' },
    {
      id: 'full',
      command: "cat -n 'it is'",
      state: 'pending',
      attempts: 0,
      max_retries: 7,
      created_at: '',
      updated_at: '',
      queue: 'video',
      priority: -5,
      run_at: '2030-12-01T09:00:00.000Z',
      started_at: null,
      finished_at: null,
      timeout: 5400,
      exit_code: null,
      error: null,
      worker: null,
      tags: { a: '1', b: 'x=y' },
      cwd: join(cli.directory, 'w'),
      args: ['cat', '-n', 'it is'],
      env: { FROM_FILE: '1=2', E: '1', 'a.b': '' },
      env_from: ['LATER', 'SECRET'],
      stdin: join(cli.directory, 'in.txt'),
      stdin_text: null,
      after: [],
      cancel_requested: false,
      outcome: null,
      signal: null,
    },
  );
});

test('nothing after -- is ours', async (t) => {
  const cli = box(t);
  const words = [
    '--json',
    '--db',
    '/nonexistent/x.db',
    '--quiet',
    '--help',
    '-h',
    '--',
    '--id',
    '',
  ];
  await cli.ok(['enqueue', '--id', 'a', '--', 'printf', ...words]);
  assert.deepEqual((await cli.json<JobJson>(['show', 'a'])).args, ['printf', ...words]);
});

test('names that objects already have are names like any other', async (t) => {
  const cli = box(t);
  const flags =
    '--id constructor --queue valueOf --env __proto__=1 --env toString --tag __proto__=2';
  await cli.ok(['enqueue', ...flags.split(' '), '--', 'true']);
  const text = await cli.ok(['show', 'constructor', '--json']);
  assert.match(text, /"env": \{\s*"__proto__": "1"\s*\}/);
  assert.match(text, /"tags": \{\s*"__proto__": "2"\s*\}/);
  assert.equal(await cli.ok(['list', '--tag', '__proto__=2', '--quiet']), 'constructor\n');
  await cli.refused(['show', '__proto__'], 3);
});

test('a time without a zone is local and is echoed back with its zone', async (t) => {
  const cli = box(t);
  const args = ['enqueue', '--id', 'a', '--run-at', '2030-12-01T09:00', '--', 'true'];
  const { stderr } = await cli.q(args, { env: { TZ: 'Europe/Berlin' } });
  assert.match(stderr, /^note: --run-at 2030-12-01T09:00 is 2030-12-01T09:00:00\+01:00$/m);
  assert.equal((await cli.json<JobJson>(['show', 'a'])).run_at, '2030-12-01T08:00:00.000Z');
  const { stderr: silent } = await cli.q(['enqueue', '--run-at', '10m', '--', 'true']);
  assert.doesNotMatch(silent, /note/);
});

test('--delay is counted from the moment it is stored', async (t) => {
  const cli = box(t);
  const job = await cli.json<JobJson>(['enqueue', '--delay', '10m', '--', 'true']);
  assert.equal(Date.parse(job.run_at ?? '') - Date.parse(job.created_at), 600_000);
});

test('--quiet prints the id alone, --json the job alone; hints are on stderr', async (t) => {
  const cli = box(t);
  assert.deepEqual(await cli.q(['enqueue', '--quiet', '--id', 'a', '--', 'true']), {
    code: 0,
    stdout: 'a\n',
    stderr: '',
  });
  const { stdout, stderr } = await cli.q(['enqueue', '--json', '--id', 's', '--', 'true']);
  assert.equal((JSON.parse(stdout) as JobJson).id, 's');
  assert.match(stderr, /no worker is running/);
});

test('a taken id is a conflict; --if-absent answers with the stored job', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'a', '--', 'first']);
  assert.match(await cli.refused(['enqueue', '--id', 'a', '--', 'second'], 4), /"a"|\ba\b/);
  const { code, stdout } = await cli.q(['enqueue', '--if-absent', '--id', 'a', '--', 'second']);
  assert.deepEqual([code, stdout], [0, 'a is there already (pending)\n']);
  const args = ['enqueue', '--if-absent', '--id', 'a', '--', 'second'];
  assert.equal((await cli.json<JobJson>(args)).command, 'first');
});

test('a file from another system: byte order mark, CRLF, blank lines, no last newline', async (t) => {
  const cli = box(t);
  const input =
    '\ufeff{"id":"j1","command":"true"}\r\n\r\n{"id":"j2","command":"printf hi"}\r\n\n{"id":"j3","command":"true"}';
  assert.equal(await cli.ok(['enqueue', '-'], { input }), 'Enqueued 3 jobs\n');
  const jobs = await cli.json<JobJson[]>(['list', '--sort', 'oldest']);
  assert.deepEqual(
    jobs.map(({ id, command }) => [id, command]),
    [
      ['j1', 'true'],
      ['j2', 'printf hi'],
      ['j3', 'true'],
    ],
  );
});

test('a bad line refuses all of it, by its number', async (t) => {
  const cli = box(t);
  writeFileSync(join(cli.directory, 'jobs'), '{"id":"k1","command":"true"}\n{"id":"k2",\n');
  assert.match(await cli.refused(['enqueue', '--file', 'jobs'], 2), /line 2: malformed JSON/);
  const twice = '{"id":"k1","command":"true"}\n{"id":"k1","command":"true"}\n';
  assert.match(await cli.refused(['enqueue', '-'], 2, { input: twice }), /line 2: .*line 1/);
  assert.deepEqual(await cli.json(['list']), []);
});

test('--skip-invalid reports bad lines and stores the others', async (t) => {
  const cli = box(t);
  const input = '{"id":"a","command":"true"}\n{"id":"b"}\nnonsense\n{"id":"c","command":"true"}\n';
  const { code, stdout, stderr } = await cli.q(['enqueue', '--skip-invalid', '-'], { input });
  assert.deepEqual([code, stdout], [0, 'Enqueued 2 jobs, skipped 2 bad lines\n']);
  assert.match(stderr, /^queuectl: skipped line 2: .*\nqueuectl: skipped line 3: /);
});

test('a taken id in a file stores nothing, --if-absent leaves it as it is', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'b', '--', 'stored']);
  const input = '{"id":"a","command":"new"}\n{"id":"b","command":"new"}\n';
  await cli.refused(['enqueue', '-'], 4, { input });
  await cli.refused(['show', 'a'], 3);
  const answer = await cli.ok(['enqueue', '--if-absent', '-'], { input });
  assert.equal(answer, 'Enqueued 1 job, 1 was there already\n');
  assert.equal((await cli.json<JobJson>(['show', 'b'])).command, 'stored');
});

test('many jobs: ids with --quiet, an array with --json, [] for nothing', async (t) => {
  const cli = box(t);
  const input = '{"id":"a","command":"true"}\n{"id":"b","command":"true"}\n';
  assert.equal(await cli.ok(['enqueue', '--quiet', '-'], { input }), 'a\nb\n');
  assert.deepEqual(await cli.json(['enqueue', '-'], { input: '\n' }), []);
  assert.equal(await cli.ok(['enqueue', '--quiet', '-'], { input: '' }), '');
  const more = await cli.json<JobJson[]>(['enqueue', '-'], {
    input: '{"id":"c","command":"true"}',
  });
  assert.deepEqual(
    more.map(({ id, state }) => [id, state]),
    [['c', 'pending']],
  );
});

test('--stream ends when it cannot store, although its producer is silent', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'taken', '--', 'true']);
  const child = cli.start(['enqueue', '--stream', '-']);
  const said = untilOutput(child, /\n.*\n/, 'stderr');
  // Its end never comes.
  child.stdin?.write('{"id":"a","command":"true"}\n\n{"id":"taken","command":"true"}\n');
  assert.equal(await exitCode(child), 4);
  assert.match(await said, /^queuectl: line 3: a job with the id "taken" already exists\nhint: /);
  assert.deepEqual(
    (await cli.json<JobJson[]>(['list'])).map(({ id }) => id),
    ['taken'],
  );
});

test('a taken id in a file is told with its line', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'taken', '--', 'true']);
  const input = ['a', 'b', 'taken'].map((id) => `{"id":"${id}","command":"true"}`).join('\n\n');
  const message = await cli.refused(['enqueue', '-'], 4, { input });
  assert.match(message, /^queuectl: line 5: a job with the id "taken" already exists\n/);
});

test('--stream acknowledges what it has read while its input goes on', async (t) => {
  const cli = box(t);
  const child = cli.start(['enqueue', '--stream', '--quiet', '-']);
  const acknowledged: string[] = [];
  const output = (child.stdout ?? assert.fail())[Symbol.asyncIterator]();
  for (const id of ['a', 'b']) {
    child.stdin?.write(`{"id":"${id}","command":"true"}\n`);
    acknowledged.push(String((await output.next()).value));
    assert.equal((await cli.json<JobJson>(['show', id])).state, 'pending');
  }
  assert.deepEqual(acknowledged, ['a\n', 'b\n']);
  // What stands before a bad line was fine, and is kept.
  child.stdin?.end('{"id":"c","command":"true"}\nnonsense\n{"id":"d","command":"true"}\n');
  assert.equal(String((await output.next()).value), 'c\n');
  const [code] = await new Promise<[number | null]>((done) => child.on('exit', (c) => done([c])));
  assert.equal(code, 2);
  await cli.refused(['show', 'd'], 3);
});

test('200,000 jobs in one go', async (t) => {
  const cli = box(t);
  const input = Array.from({ length: 200_000 }, (_, i) => `{"command":"true ${i}"}\n`).join('');
  assert.equal(await cli.ok(['enqueue', '-'], { input }), 'Enqueued 200,000 jobs\n');
  const status = await cli.json<{ jobs: { pending: number } }>(['status']);
  assert.equal(status.jobs.pending, 200_000);
  const some = await cli.json<JobJson[]>(['list', '--sort', 'oldest', '--limit', '2500']);
  assert.deepEqual(some.map(({ command }) => command).slice(2498), ['true 2498', 'true 2499']);
});

test('bytes that are not UTF-8 are refused, not replaced', async (t) => {
  const cli = box(t);
  const input = new Uint8Array([...Buffer.from('{"command":"echo '), 0xff, ...Buffer.from('"}\n')]);
  assert.match(await cli.refused(['enqueue', '-'], 2, { input }), /line 1: .*UTF-8/);
});
