// The history checker checked: small histories that hold, and each of them doctored so that
// one invariant breaks and is found under its name. A checker that never failed proves nothing.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { check, type Finding, type Invariant, INVARIANTS } from '../faults/kit/checker.ts';
import type { Asked, AttemptSeen, History, JobSeen, Seen, Span } from '../faults/kit/history.ts';
import { summarize } from '../faults/kit/summary.ts';

type Story = History & Seen;

const NOTHING: Story = {
  asked: [],
  spans: [],
  killed: [],
  backoffBase: 2,
  backoffMax: 3600,
  noticedWithin: 1000,
  jobs: [],
  integrity: 'ok',
  left: [],
  leaks: [],
};

const WORKER = 77;

function asked(verb: Asked['verb'], invokedAt: number, rest: Partial<Asked> = {}): Asked {
  const answeredAt = invokedAt + 5;
  return { verb, id: 'job', invokedAt, answeredAt, answer: 'ok', result: null, ...rest };
}

/** A cancel that answered `result`. */
const cancel = (at: number, result: string): Asked => asked('cancel', at, { result });

/** `exited 0`, `lost`, …; null: it runs. */
function attempt(number: number, from: number, to: number | null, how: string | null): AttemptSeen {
  const [outcome = null, code] = how?.split(' ') ?? [];
  return {
    number,
    runToken: number * 10,
    pid: WORKER,
    startedAt: from,
    finishedAt: to,
    outcome,
    exitCode: code === undefined ? null : Number(code),
  };
}

function job(state: string, attempts: number, history: AttemptSeen[], id = 'job'): JobSeen {
  return { id, state, attempts, maxRetries: 1, history };
}

/** `S1@20`, `E1@30=0`. */
function spans(text: string): Span[] {
  return text.split(' ').map((word) => {
    const [, what, number, at, code] = /^([A-Z]+)(\d+)@(\d+)(?:=(\d+))?$/.exec(word) ?? [];
    assert.ok(what === 'S' || what === 'E' || what === 'OVERLAP', word);
    return { what, id: 'job', attempt: Number(number), at: Number(at), code: Number(code ?? 0) };
  });
}

const enqueued = asked('enqueue', 0);

/** Failed, waited two seconds, succeeded. */
const RETRIED: Story = {
  ...NOTHING,
  asked: [enqueued],
  spans: spans('S1@20 E1@30=3 S2@2110 E2@2120=0'),
  jobs: [job('completed', 2, [attempt(1, 10, 31, 'exited 3'), attempt(2, 2100, 2121, 'exited 0')])],
};

/** Its worker was killed, its second attempt given back; dead, retried, done. */
const EVENTFUL: Story = {
  ...NOTHING,
  asked: [enqueued, asked('retry', 9000)],
  spans: spans('S1@20 S2@3010 S3@3500 E3@3510=9 S4@9100 E4@9200=0'),
  killed: [{ pid: WORKER, at: 100 }],
  jobs: [
    job('completed', 1, [
      attempt(1, 10, 700, 'lost'),
      attempt(2, 3000, 3100, 'interrupted'),
      attempt(3, 3400, 3511, 'exited 9'),
      attempt(4, 9010, 9201, 'exited 0'),
    ]),
  ],
};

const CANCELLED_QUEUED: Story = {
  ...NOTHING,
  asked: [enqueued, cancel(100, 'cancelled')],
  spans: spans('S1@20 E1@30=3'),
  jobs: [job('cancelled', 1, [attempt(1, 10, 31, 'exited 3')])],
};

/** It succeeded in the same moment: the cancel, answered before, wins. */
const CANCELLED_RUNNING: Story = {
  ...NOTHING,
  asked: [enqueued, cancel(100, 'cancel_requested')],
  spans: spans('S1@20 E1@130=0'),
  jobs: [job('cancelled', 1, [attempt(1, 10, 131, 'exited 0')])],
};

const DEAD: Story = {
  ...NOTHING,
  asked: [enqueued],
  spans: spans('S1@20 E1@30=3 S2@2110'),
  jobs: [job('dead', 2, [attempt(1, 10, 31, 'exited 3'), attempt(2, 2100, 2121, 'signaled')])],
};

const UNKNOWN: Story = {
  ...RETRIED,
  asked: [asked('enqueue', 0, { answer: 'unknown', answeredAt: null })],
};

const SHORT_OF_PROCESSES: Story = {
  ...NOTHING,
  asked: [enqueued],
  spans: spans('S3@2110 E3@2120=0'),
  jobs: [
    job('completed', 1, [
      attempt(1, 10, 11, 'spawn_failed'),
      attempt(2, 1020, 1021, 'spawn_failed'),
      attempt(3, 2100, 2121, 'exited 0'),
    ]),
  ],
};

const GOOD: Readonly<Record<string, Story>> = {
  'nothing at all': NOTHING,
  'a job that failed and was retried': RETRIED,
  'a killed worker, an attempt given back, a retry out of the DLQ': EVENTFUL,
  'a job cancelled while it waited': CANCELLED_QUEUED,
  'a job cancelled while it ran': CANCELLED_RUNNING,
  'a dead job': DEAD,
  'an enqueue without an answer that is there': UNKNOWN,
  'an enqueue without an answer that is not': { ...UNKNOWN, spans: [], jobs: [] },
  'starts that failed for lack of processes': SHORT_OF_PROCESSES,
  'a cancel that came too late': {
    ...RETRIED,
    asked: [enqueued, cancel(3000, 'already_finished')],
  },
  'a cancel without an answer that did nothing': {
    ...RETRIED,
    asked: [enqueued, asked('cancel', 50, { answer: 'unknown', answeredAt: null })],
  },
  'a cancel without an answer that was obeyed': {
    ...CANCELLED_QUEUED,
    asked: [enqueued, asked('cancel', 50, { answer: 'unknown', answeredAt: null })],
  },
  'a backoff at its cap': {
    ...RETRIED,
    backoffBase: 1000,
    backoffMax: 2,
  },
  'a worker killed when nobody was there to notice': {
    ...EVENTFUL,
    killed: [{ pid: WORKER, at: 100, noticedFrom: 600 }],
    noticedWithin: 150,
  },
};

/** Its only job, changed. */
function withJob(story: Story, change: Partial<JobSeen>): Story {
  return { ...story, jobs: story.jobs.map((one) => ({ ...one, ...change })) };
}

/** One attempt of its only job, changed. */
function withAttempt(story: Story, number: number, change: Partial<AttemptSeen>): Story {
  const jobs = story.jobs.map((one) => ({
    ...one,
    history: one.history.map((old) => (old.number === number ? { ...old, ...change } : old)),
  }));
  return { ...story, jobs };
}

const BAD: Readonly<Record<Invariant, Readonly<Record<string, Story>>>> = {
  '1 nothing lost': {
    'an acknowledged job is not there': { ...RETRIED, spans: [], jobs: [] },
    'a job waits for ever': withJob(CANCELLED_RUNNING, { state: 'failed' }),
    'a job runs for ever': {
      ...NOTHING,
      asked: [enqueued],
      jobs: [job('processing', 1, [attempt(1, 10, null, null)])],
    },
    'a job that ran has vanished': { ...UNKNOWN, jobs: [] },
  },
  '2 nothing made up': {
    'a job that nobody asked for': { ...RETRIED, asked: [] },
    'a job that was refused': { ...RETRIED, asked: [{ ...enqueued, answer: 'failed' }] },
    'a command that nobody asked for': { ...NOTHING, spans: spans('S1@20') },
    'one id, two jobs': { ...DEAD, jobs: [...DEAD.jobs, ...DEAD.jobs] },
    'a cancel that nobody asked for': { ...CANCELLED_QUEUED, asked: [enqueued] },
  },
  '3 no overlap': {
    'a command found another attempt alive': {
      ...RETRIED,
      spans: [...RETRIED.spans, ...spans('OVERLAP2@2110')],
    },
    'an attempt ended after the next had begun': {
      ...EVENTFUL,
      spans: [...EVENTFUL.spans, ...spans('E1@3600=0')],
    },
  },
  '4 one claim a start': {
    'a start without a claim': { ...RETRIED, spans: [...RETRIED.spans, ...spans('S3@2130')] },
    'two starts, one claim': { ...RETRIED, spans: [...RETRIED.spans, ...spans('S2@2111')] },
    'a start before its claim': { ...RETRIED, spans: spans('S1@9 E1@30=3 S2@2110 E2@2120=0') },
    'a run token that does not grow': withAttempt(RETRIED, 2, { runToken: 9 }),
    'a run token of two attempts': withAttempt(RETRIED, 2, { runToken: 10 }),
    'a claim of a job that has an owner': withAttempt(RETRIED, 1, { finishedAt: 2119 }),
    'more attempts than its retries allow': {
      ...DEAD,
      jobs: [
        job('completed', 3, [
          attempt(1, 10, 31, 'exited 3'),
          attempt(2, 2100, 2121, 'signaled'),
          attempt(3, 9000, 9010, 'exited 0'),
        ]),
      ],
      spans: [...DEAD.spans, ...spans('S3@9001 E3@9009=0')],
    },
  },
  '5 completed means it ended so': {
    'nothing says that it ended': { ...RETRIED, spans: spans('S1@20 E1@30=3 S2@2110') },
    'it ended with something else': {
      ...RETRIED,
      spans: spans('S1@20 E1@30=3 S2@2110 E2@2120=4'),
    },
    'completed by a lost attempt': withAttempt(RETRIED, 2, { outcome: 'lost', exitCode: null }),
  },
  '6 no start after the end': {
    'a cancelled job starts': {
      ...CANCELLED_QUEUED,
      spans: [...CANCELLED_QUEUED.spans, ...spans('S1@106')],
    },
    'a cancelled job is claimed': {
      ...CANCELLED_QUEUED,
      jobs: [
        job('cancelled', 2, [attempt(1, 10, 31, 'exited 3'), attempt(2, 2100, 2121, 'cancelled')]),
      ],
    },
    'a completed job is claimed': {
      ...RETRIED,
      jobs: [
        job('completed', 2, [attempt(1, 10, 31, 'exited 0'), attempt(2, 2100, 2121, 'exited 0')]),
      ],
      spans: spans('S1@20 E1@30=0 S2@2110 E2@2120=0'),
    },
    'a start after its attempt was recorded lost': {
      ...EVENTFUL,
      spans: [...spans('S1@701'), ...EVENTFUL.spans.slice(1)],
    },
  },
  '7 backoff and notice': {
    'a retry before its backoff': withAttempt(RETRIED, 2, { startedAt: 2030 }),
    'a lost one before its backoff': withAttempt(EVENTFUL, 2, { startedAt: 2699 }),
    'a start before its run_at': {
      ...RETRIED,
      asked: [asked('enqueue', 0, { notBefore: 21 })],
    },
    'a dead worker noticed too late': { ...EVENTFUL, noticedWithin: 599 },
    'a dead worker never noticed': withAttempt(EVENTFUL, 1, { finishedAt: null }),
    'an attempt given back whose worker was killed': withAttempt(EVENTFUL, 1, {
      outcome: 'interrupted',
    }),
  },
  '8 attempts replay': {
    'a count that is not that of the history': withJob(RETRIED, { attempts: 1 }),
    'an attempt given back that was charged': withJob(EVENTFUL, { attempts: 2 }),
    'dead with retries left': withJob(DEAD, { maxRetries: 2 }),
    'a success that is not completed': withJob(RETRIED, { state: 'dead' }),
    'a cancel acknowledged and not obeyed': withJob(CANCELLED_RUNNING, { state: 'completed' }),
    'a number left out': {
      ...DEAD,
      jobs: DEAD.jobs.map((one) => ({ ...one, history: one.history.slice(1) })),
      spans: spans('S2@2110'),
    },
    'a finished job with an attempt that runs': withAttempt(RETRIED, 2, { finishedAt: null }),
  },
  '9 clean afterwards': {
    'a database that is not sound': { ...RETRIED, integrity: 'row 3 missing from index' },
    'a process left': { ...RETRIED, left: ['99 sleep 60'] },
    'a descriptor leaked': { ...RETRIED, leaks: ['worker 77: 20 descriptors, then 40'] },
  },
};

function told(findings: readonly Finding[]): string[] {
  return findings.map(({ invariant, told: what }) => `${invariant}: ${what}`);
}

suite('histories that hold', () => {
  for (const [name, story] of Object.entries(GOOD)) {
    test(name, () => assert.deepEqual(told(check(story, story)), []));
  }
});

for (const invariant of INVARIANTS) {
  suite(`found as ${invariant}`, () => {
    for (const [name, story] of Object.entries(BAD[invariant])) {
      test(name, () => {
        const findings = check(story, story);
        assert.ok(
          findings.some((one) => one.invariant === invariant),
          told(findings).join('\n') || 'nothing was found',
        );
      });
    }
  });
}

test('a finding tells the whole story of its job on one line', () => {
  const story = withJob(RETRIED, { attempts: 1 });
  assert.deepEqual(told(check(story, story)), [
    '8 attempts replay: the job is completed with 1 attempts; its history makes it completed with 2: ' +
      'job completed 1 of 2; enqueue 0–5 ok; #1 token 10 pid 77 10–31 exited 3; ' +
      '#2 token 20 pid 77 2100–2121 exited 0; S1 20; E1 30 (3); S2 2110; E2 2120 (0)',
  ]);
});

test('the figures of a storm', () => {
  const both = {
    ...EVENTFUL,
    asked: [
      ...EVENTFUL.asked,
      asked('enqueue', 0, { id: 'other', answer: 'unknown', answeredAt: null }),
      asked('enqueue', 0, { id: 'lost' }),
    ],
    jobs: [...EVENTFUL.jobs, job('dead', 2, [attempt(1, 10, 20, 'exited 1')], 'other')],
  };
  assert.deepEqual(summarize(both, both), {
    acknowledged: 2,
    lost: 1,
    unknown: 1,
    recovered: 1,
    answers: { 'enqueue ok': 2, 'retry ok': 1, 'enqueue unknown': 1 },
    states: { completed: 1, dead: 1 },
    attempts: 5,
    outcomes: { lost: 1, interrupted: 1, exited: 3 },
    overlaps: 0,
    noticed: { anybody: [600] },
  });
});
