// Guards of a job's life in the store: who owns it, what is claimed, what an end means.

import { contract, edit, type Mutant, scene, simulated } from './mutant.ts';

const CLAIM = 'src/store/sqlite/claim.ts';
const SETTLE = 'src/store/sqlite/settle.ts';
const WORKERS = 'src/store/sqlite/workers.ts';
const CONNECTION = 'src/store/sqlite/connection.ts';
const RETRY = 'src/store/sqlite/retry.ts';
const DELETE = 'src/store/sqlite/delete.ts';
const FILTER = 'src/store/sqlite/filter.ts';
const JOB = 'src/job.ts';

const TRIES = 'commands that fail come back after their backoff, and some die';
const GIVEN_BACK = 'jobs are given back by a worker that stops, and go on';

/** The run token is in the look and in the write behind it; without it any attempt will do. */
const NO_TOKEN = [
  edit(
    SETTLE,
    'WHERE attempt.job = ? AND attempt.number = ? AND attempt.run_token = ?',
    'WHERE attempt.job = ? AND ? > 0 AND ? > 0',
  ),
  edit(
    SETTLE,
    'WHERE job = ? AND number = ? AND run_token = ? AND finished_at IS NULL`,',
    'WHERE job = ? AND ? > 0 AND ? > 0 AND finished_at IS NULL`,',
  ),
];

export const JOB_MUTANTS: readonly Mutant[] = [
  // ── one attempt owns a job (guarantee 4) ───────────────────────────────────────────────
  {
    name: 'run token in the write of a result',
    edits: NO_TOKEN,
    caughtBy: scene(
      'a worker is stopped with a result in its hand, past its lease',
      '5 completed means it ended so',
    ),
  },
  {
    name: 'run token in what a reaper writes',
    edits: [
      edit(
        SETTLE,
        'const { attempt, backoff, random, reason } = reaping;',
        `const { backoff, random, reason } = reaping;
  const attempt = { ...reaping.attempt, ...db.get(
    'SELECT number, run_token AS runToken FROM attempt WHERE job = ? AND finished_at IS NULL',
    reaping.attempt.key) };`,
      ),
    ],
    caughtBy: simulated('4 one claim a start', 'where workers are stopped'),
  },
  {
    name: 'run token in a renewal',
    edits: [
      edit(
        WORKERS,
        'WHERE job = ? AND number = ? AND run_token = ? AND finished_at IS NULL',
        'WHERE job = ? AND ? > 0 AND ? > 0 AND finished_at IS NULL',
      ),
    ],
    caughtBy: simulated('3 no overlap', 'where workers are stopped'),
  },
  {
    name: 'an attempt that has ended is not written again',
    edits: [
      edit(SETTLE, "\n    AND attempt.finished_at IS NULL\n    AND job.state = 'processing'`", '`'),
      edit(SETTLE, 'run_token = ? AND finished_at IS NULL`,', 'run_token = ?`,'),
    ],
    caughtBy: simulated('6 no start after the end'),
  },
  {
    name: 'run tokens come from a sequence',
    edits: [edit(CLAIM, 'SET value = value + 1 WHERE', 'SET value = 1 WHERE')],
    caughtBy: simulated('4 one claim a start'),
  },
  {
    name: 'lease in the write of a reaper: one renewed since saves the attempt',
    edits: [edit(SETTLE, 'if (renewed !== undefined) return { stale: true };', 'void renewed;')],
    caughtBy: simulated('no lease is cut short', 'where workers are stopped'),
  },

  // ── the claim ──────────────────────────────────────────────────────────────────────────
  {
    name: 'the claim charges the attempt',
    edits: [edit(CLAIM, 'attempts = attempts + 1', 'attempts = attempts')],
    caughtBy: simulated('4 one claim a start'),
  },
  {
    name: 'state in the claim, and a cancelled job leaves the line',
    edits: [
      edit(CLAIM, "WHERE key = ? AND state IN ('pending', 'failed')", 'WHERE key = ?'),
      edit('src/store/sqlite/cancel.ts', 'removeWaiting(db, job);', 'void removeWaiting;'),
    ],
    caughtBy: scene('a job is cancelled between two tries', '6 no start after the end'),
  },
  {
    name: 'what is not due is delayed, and looked at again by the claim',
    edits: [
      edit(CLAIM, 'job.run_at > request.now', 'job.run_at > 4e12'),
      edit(
        'src/store/sqlite/place.ts',
        'if (job.run_at !== null && job.run_at > now)',
        'if (job.run_at !== null && job.run_at > 4e12)',
      ),
    ],
    caughtBy: simulated('7 backoff and notice'),
  },
  {
    name: 'the claim looks at run_at again: the clock may have been set back',
    edits: [edit(CLAIM, 'job.run_at > request.now', 'job.run_at > 4e12')],
    caughtBy: contract('a clock set back an hour between promotion and claim starts nothing early'),
  },
  {
    name: 'who was told to stop claims nothing',
    edits: [edit(CLAIM, 'worker.stop !== null || ', '')],
    caughtBy: simulated('who stops claims nothing', 'where workers are told to stop'),
  },

  {
    name: 'who was declared dead claims nothing',
    edits: [edit(CLAIM, ' || worker.ended_at !== null', '')],
    caughtBy: contract('a worker that was declared dead learns it and gets nothing'),
  },
  {
    name: 'a job that is claimed leaves the line',
    edits: [edit(CLAIM, '  removeWaiting(db, job);\n', '  void removeWaiting;\n')],
    caughtBy: contract('a claim is on record before anything starts: state, charge, number, lease'),
  },

  // ── what the end of an attempt means ───────────────────────────────────────────────────
  {
    name: 'the cancel is read in the transaction that writes the result',
    edits: [edit(SETTLE, 'job.cancel_requested === 1', 'job.cancel_requested === 2')],
    caughtBy: scene(
      'a cancel comes after the command has ended and before its worker knows',
      '8 attempts replay',
    ),
  },
  {
    name: 'only attempts that were asked to end are cancelled',
    edits: [
      edit(WORKERS, 'AND finished_at IS NULL AND cancel_requested = 1', 'AND finished_at IS NULL'),
    ],
    caughtBy: simulated('2 nothing made up'),
  },
  {
    name: 'a failure is no success',
    edits: [
      edit(JOB, "outcome.kind === 'exited' && outcome.code === 0", "outcome.kind === 'exited'"),
    ],
    caughtBy: scene(TRIES, '5 completed means it ended so'),
  },
  {
    name: 'a job is dead when its retries are used up',
    edits: [edit(JOB, 'job.attempts > job.maxRetries', 'job.attempts > job.maxRetries + 1')],
    caughtBy: simulated('4 one claim a start'),
  },
  {
    name: 'jitter is never early',
    edits: [edit('src/backoff.ts', '1 + JITTER * random', '1 - JITTER * random')],
    caughtBy: scene(TRIES, '7 backoff and notice'),
  },
  {
    name: 'what is given back is not charged',
    edits: [edit(SETTLE, 'settled.charged ? job.attempts : job.attempts - 1', 'job.attempts')],
    caughtBy: scene(GIVEN_BACK, '8 attempts replay'),
  },
  {
    name: 'what is given back waits in line again',
    edits: [edit(SETTLE, "settled.state === 'pending' || ", '')],
    caughtBy: simulated('1 nothing lost'),
  },
  {
    name: 'only the dead are retried',
    edits: [
      edit(RETRY, "if (job.state !== 'dead') return 'wrong_state';", ''),
      edit(RETRY, "WHERE key = ? AND state = 'dead'`,\n    now,", 'WHERE key = ?`,\n    now,'),
    ],
    caughtBy: simulated('6 no start after the end'),
  },

  // ── enqueue ────────────────────────────────────────────────────────────────────────────
  {
    name: 'what was refused half way is rolled back',
    edits: [edit(CONNECTION, "this.#db.exec('ROLLBACK')", "this.#db.exec('COMMIT')")],
    caughtBy: scene('jobs are refused together, because of one of them', '2 nothing made up'),
  },
  {
    name: 'an id makes one job',
    edits: [
      edit(
        'src/store/sqlite/enqueue.ts',
        'if (options.ifAbsent !== true) throw idTaken(job.id);',
        '',
      ),
    ],
    caughtBy: contract('a taken id is refused by name, and nothing of that call is stored'),
  },
  {
    name: 'what runs is never deleted',
    edits: [
      edit(DELETE, "if (job.state === 'processing') return 'wrong_state';", ''),
      edit(DELETE, "WHERE key = ? AND state <> 'processing'", 'WHERE key = ?'),
    ],
    caughtBy: contract('delete takes the job and its attempts; what runs is refused'),
  },
  {
    name: 'what a filter has found is looked at again',
    edits: [edit(FILTER, "'+state IN (SELECT value FROM json_each(:states))',", "':states <> 1',")],
    caughtBy: contract('what does not match any more by then is left alone'),
  },
  {
    name: 'a stop request only gets stricter',
    edits: [edit(WORKERS, "CASE WHEN stop = 'now' THEN 'now' ELSE ?1 END", '?1')],
    caughtBy: contract('a stop request only gets stricter: now stays now'),
  },
];
