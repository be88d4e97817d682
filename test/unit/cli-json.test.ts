// The JSON that scripts rely on: keys, order, types. A change here breaks somebody.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attemptJson, jobJson, wellFormedJson, workerJson } from '../../src/cli/json.ts';
import type { WorkerRecord } from '../../src/store/store.ts';
import { ATTEMPT, JOB } from './cli-samples.ts';

test('a job: the seven fields of the seed first, then the others, none missing', () => {
  assert.equal(
    Object.keys(jobJson(JOB)).join(),
    'id,command,state,attempts,max_retries,created_at,updated_at,queue,priority,run_at,' +
      'started_at,finished_at,timeout,exit_code,error,worker,tags,cwd,after,args,env,env_from,' +
      'stdin,stdin_text,cancel_requested,outcome,signal',
  );
  assert.deepEqual(jobJson(JOB), {
    id: 'a',
    command: 'exit 9',
    state: 'dead',
    attempts: 2,
    max_retries: 1,
    created_at: '2026-11-25T09:00:00.000Z',
    updated_at: '2026-11-25T09:00:02.000Z',
    queue: 'default',
    priority: 0,
    run_at: null,
    started_at: '2026-11-25T09:00:01.005Z',
    finished_at: '2026-11-25T09:00:02.000Z',
    timeout: 1.5,
    exit_code: 9,
    error: 'exit code 9',
    worker: 'w3',
    tags: {},
    cwd: '/srv',
    args: null,
    env: {},
    env_from: [],
    stdin: null,
    stdin_text: null,
    after: [],
    cancel_requested: false,
    outcome: 'exited',
    signal: null,
  });
});

test('a job that has not run yet says null, and is not finished', () => {
  const json = jobJson({ ...JOB, state: 'pending', last: null, timeout: null });
  for (const key of ['started_at', 'finished_at', 'timeout', 'exit_code', 'worker', 'outcome']) {
    assert.equal(json[key], null, key);
  }
});

test('an attempt and a worker', () => {
  assert.deepEqual(Object.entries(attemptJson(ATTEMPT)).slice(0, 5), [
    ['attempt', 2],
    ['run_token', 17],
    ['worker', 'w3'],
    ['host', 'box'],
    ['pid', 4242],
  ]);
  assert.equal(
    Object.keys(attemptJson(ATTEMPT)).join(),
    'attempt,run_token,worker,host,pid,started_at,finished_at,outcome,exit_code,signal,error,log_bytes',
  );
  const worker: WorkerRecord = {
    key: 1,
    name: 'w1',
    identity: { host: 'box', bootId: '', pidNamespace: '', pid: 7, startTime: '' },
    supervisor: null,
    queues: null,
    concurrency: 4,
    ready: true,
    startedAt: 0,
    heartbeatAt: 1000,
    leaseUntil: 0,
    stop: null,
    jobs: ['a'],
  };
  assert.deepEqual(workerJson(worker), {
    name: 'w1',
    pid: 7,
    host: 'box',
    state: 'busy',
    queues: null,
    concurrency: 4,
    jobs: ['a'],
    started_at: '1970-01-01T00:00:00.000Z',
    heartbeat_at: '1970-01-01T00:00:01.000Z',
  });
  assert.equal(workerJson({ ...worker, jobs: [] })['state'], 'idle');
  assert.equal(workerJson({ ...worker, stop: 'graceful' })['state'], 'stopping');
});

test('the text is valid UTF-8 whatever is in it', () => {
  assert.equal(wellFormedJson({ a: '\ud800', b: ['x\udc00'] }), '{"a":"\ufffd","b":["x\ufffd"]}');
  const env = JSON.parse('{"__proto__": "1", "constructor": "2"}') as Record<string, string>;
  assert.equal(
    wellFormedJson(jobJson({ ...JOB, spec: { env } })['env']),
    '{"__proto__":"1","constructor":"2"}',
  );
});
