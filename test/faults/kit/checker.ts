// The history checker: what a queue did with its jobs in a storm, told by everybody but the
// queue, against what its database says afterwards. Nine invariants, each with a name, and
// each seen to fail (test/unit/checker.test.ts, the mutants). Pure: it knows neither
// processes nor the executable, so whatever can write a history can be checked.

import type { Asked, AttemptSeen, History, JobSeen, Killed, Seen, Span } from './history.ts';
import { type Broken, replay } from './replay.ts';

export const INVARIANTS = [
  '1 nothing lost',
  '2 nothing made up',
  '3 no overlap',
  '4 one claim a start',
  '5 completed means it ended so',
  '6 no start after the end',
  '7 backoff and notice',
  '8 attempts replay',
  '9 clean afterwards',
] as const;

export type Invariant = (typeof INVARIANTS)[number];

export interface Finding {
  readonly invariant: Invariant;
  readonly told: string;
}

export const TERMINAL: ReadonlySet<string> = new Set(['completed', 'dead', 'cancelled']);

const INVARIANT_OF: Readonly<Record<Broken['rule'], Invariant>> = {
  'claim of a finished job': '6 no start after the end',
  'too many attempts': '4 one claim a start',
  'too early': '7 backoff and notice',
  'job row': '8 attempts replay',
};

/** Everything that is wrong; [] where all nine hold. */
export function check(history: History, seen: Seen): Finding[] {
  const askedOf = Map.groupBy(history.asked, ({ id }) => id);
  const spansOf = Map.groupBy(history.spans, ({ id }) => id);
  const jobs = Map.groupBy(seen.jobs, ({ id }) => id);
  const killed = killedByPid(history);
  const findings = [...presence(askedOf, spansOf, jobs), ...tokens(seen.jobs)];
  for (const job of seen.jobs) {
    const asked = askedOf.get(job.id) ?? [];
    const spans = spansOf.get(job.id) ?? [];
    const found = [
      ...state(job, asked),
      ...overlaps(spans),
      ...starts(job, spans),
      ...ends(job, spans),
      ...cancels(job, asked, spans),
      ...early(asked, spans),
      ...notice(job, killed, history.noticedWithin),
      ...numbers(job),
      ...replay(job, asked, history).map(({ rule, told }) => finding(INVARIANT_OF[rule], told)),
    ];
    const story = found.length > 0 ? storyOf(job, asked, spans) : '';
    findings.push(...found.map(({ invariant, told }) => finding(invariant, `${told}: ${story}`)));
  }
  return [...findings, ...afterwards(seen)];
}

function finding(invariant: Invariant, told: string): Finding {
  return { invariant, told };
}

/** Who is there, and who should be. */
function presence(
  askedOf: ReadonlyMap<string, readonly Asked[]>,
  spansOf: ReadonlyMap<string, readonly Span[]>,
  jobs: ReadonlyMap<string, readonly JobSeen[]>,
): Finding[] {
  const findings: Finding[] = [];
  const enqueues = (id: string): readonly Asked[] =>
    (askedOf.get(id) ?? []).filter(({ verb }) => verb === 'enqueue');
  for (const id of askedOf.keys()) {
    if (enqueues(id).some(({ answer }) => answer === 'ok') && !jobs.has(id)) {
      findings.push(finding('1 nothing lost', `${id} was acknowledged and is not there`));
    }
  }
  for (const id of new Set([...jobs.keys(), ...spansOf.keys()])) {
    const there = jobs.get(id)?.length ?? 0;
    if (!enqueues(id).some(({ answer }) => answer !== 'failed')) {
      const what = there > 0 ? 'is there' : 'ran';
      findings.push(finding('2 nothing made up', `${id} ${what}, and nobody enqueued it`));
    } else if (there === 0) {
      findings.push(finding('1 nothing lost', `${id} ran and is not there`));
    }
    if (there > 1) findings.push(finding('2 nothing made up', `${id} is there ${there} times`));
  }
  return findings;
}

function tokens(jobs: readonly JobSeen[]): Finding[] {
  const owner = new Map<number, string>();
  const findings: Finding[] = [];
  for (const { id, history } of jobs) {
    for (const { number, runToken } of history) {
      const name = `${id} attempt ${number}`;
      const other = owner.get(runToken);
      if (other !== undefined) {
        const told = `run token ${runToken} belongs to ${other} and to ${name}`;
        findings.push(finding('4 one claim a start', told));
      }
      owner.set(runToken, name);
    }
  }
  return findings;
}

function state(job: JobSeen, asked: readonly Asked[]): Finding[] {
  if (!TERMINAL.has(job.state)) return [finding('1 nothing lost', `it is ${job.state} for ever`)];
  const cancelled =
    job.state === 'cancelled' || job.history.some(({ outcome }) => outcome === 'cancelled');
  const wanted = asked.some(({ verb, answer }) => verb === 'cancel' && answer !== 'failed');
  return cancelled && !wanted
    ? [finding('2 nothing made up', 'it was cancelled, and nobody asked for that')]
    : [];
}

function overlaps(spans: readonly Span[]): Finding[] {
  const findings = spans
    .filter(({ what }) => what === 'OVERLAP')
    .map(({ attempt }) =>
      finding('3 no overlap', `attempt ${attempt} began while another one lived`),
    );
  const ended = spans.filter(({ what }) => what === 'E');
  for (const start of spans.filter(({ what }) => what === 'S')) {
    const late = ended.find((end) => end.attempt < start.attempt && end.at > start.at);
    if (late === undefined) continue;
    const told = `attempt ${late.attempt} ended after attempt ${start.attempt} had begun`;
    findings.push(finding('3 no overlap', told));
  }
  return findings;
}

/** Each start against the claim it belongs to, and claims against each other. */
function starts(job: JobSeen, spans: readonly Span[]): Finding[] {
  const findings: Finding[] = [];
  const begun = new Set<number>();
  for (const span of spans) {
    const claim = job.history.find(({ number }) => number === span.attempt);
    if (claim === undefined) {
      const told = `attempt ${span.attempt} ran (${span.what}) without a claim`;
      findings.push(finding('4 one claim a start', told));
      continue;
    }
    if (span.what !== 'S') continue;
    if (begun.has(span.attempt)) {
      findings.push(finding('4 one claim a start', `attempt ${span.attempt} started twice`));
    }
    begun.add(span.attempt);
    if (span.at < claim.startedAt) {
      const told = `attempt ${span.attempt} started before it was claimed`;
      findings.push(finding('4 one claim a start', told));
    }
    if (claim.finishedAt !== null && Math.floor(span.at) > claim.finishedAt) {
      const told = `attempt ${span.attempt} started after it was recorded ${claim.outcome}`;
      findings.push(finding('6 no start after the end', told));
    }
  }
  for (const [before, after] of pairs(job.history)) {
    if (after.runToken <= before.runToken) {
      const told = `run tokens do not grow from attempt ${before.number} to ${after.number}`;
      findings.push(finding('4 one claim a start', told));
    }
    if (before.finishedAt === null || after.startedAt < before.finishedAt) {
      const told = `attempt ${after.number} was claimed while ${before.number} owned the job`;
      findings.push(finding('4 one claim a start', told));
    }
  }
  return findings;
}

function pairs(history: readonly AttemptSeen[]): [AttemptSeen, AttemptSeen][] {
  return history.slice(1).flatMap((after, index) => {
    const before = history[index];
    return before === undefined ? [] : [[before, after]];
  });
}

/** What was recorded about ends against what the commands say. */
function ends(job: JobSeen, spans: readonly Span[]): Finding[] {
  const findings: Finding[] = [];
  const last = job.history.at(-1);
  const found = (told: string): void => {
    findings.push(finding('5 completed means it ended so', told));
  };
  if (job.state === 'completed' && !(last !== undefined && succeeded(last))) {
    found('it is completed, but its last attempt did not exit with 0');
  }
  for (const attempt of job.history) {
    if (attempt.outcome !== 'exited') continue;
    const written = spans.find(({ what, attempt: n }) => what === 'E' && n === attempt.number);
    if (written === undefined && succeeded(attempt)) {
      found(`attempt ${attempt.number} is recorded as exit code 0 and never ended`);
    } else if (written !== undefined && written.code !== attempt.exitCode) {
      const recorded = `recorded as exit code ${attempt.exitCode}`;
      found(`attempt ${attempt.number} is ${recorded}, but ended with ${written.code}`);
    }
  }
  return findings;
}

function succeeded({ outcome, exitCode }: AttemptSeen): boolean {
  return outcome === 'exited' && exitCode === 0;
}

/** Acknowledged cancels: a waiting job never starts again, a running one ends cancelled. */
function cancels(job: JobSeen, asked: readonly Asked[], spans: readonly Span[]): Finding[] {
  const findings: Finding[] = [];
  for (const { verb, answer, result, answeredAt } of asked) {
    if (verb !== 'cancel' || answer !== 'ok' || answeredAt === null) continue;
    if (result !== 'cancelled' && result !== 'cancel_requested') continue;
    if (job.state !== 'cancelled' && TERMINAL.has(job.state)) {
      findings.push(finding('8 attempts replay', `it answered ${result}, and is ${job.state}`));
    }
    const late =
      spans.find(({ what, at }) => what === 'S' && at > answeredAt && result === 'cancelled') ??
      job.history.find(({ startedAt }) => startedAt > answeredAt);
    if (late === undefined) continue;
    const told = `it was claimed or started after it had answered ${result}`;
    findings.push(finding('6 no start after the end', told));
  }
  return findings;
}

function early(asked: readonly Asked[], spans: readonly Span[]): Finding[] {
  const due = Math.max(...asked.map(({ notBefore }) => notBefore ?? -Infinity));
  return spans
    .filter(({ what, at }) => what === 'S' && at < due)
    .map(({ attempt, at }) => {
      const told = `attempt ${attempt} started ${Math.ceil(due - at)} ms before its run_at`;
      return finding('7 backoff and notice', told);
    });
}

type KilledByPid = ReadonlyMap<number, readonly Killed[]>;

export function killedByPid({ killed }: History): KilledByPid {
  return Map.groupBy(killed, ({ pid }) => pid);
}

/** A commit of the victim's may be this much younger than the moment in which it was shot. */
const LAST_COMMIT_MS = 500;

function notice(job: JobSeen, killed: KilledByPid, within: number): Finding[] {
  return noticesOf(job, killed).flatMap(({ number, outcome, after, sinceKill }) => {
    const found: Finding[] = [];
    const what = `attempt ${number} was recorded`;
    if (after > within) {
      const told = `${what} ${after} ms after its worker was killed`;
      found.push(finding('7 backoff and notice', told));
    }
    if (outcome !== 'lost' && sinceKill > LAST_COMMIT_MS) {
      const told = `${what} ${outcome}, ${sinceKill} ms after its worker was killed: it was lost`;
      found.push(finding('7 backoff and notice', told));
    }
    return found;
  });
}

export interface Notice {
  readonly number: number;
  readonly outcome: string | null;
  /** Ms to the record, since somebody could notice the kill; Infinity: never. */
  readonly after: number;
  readonly sinceKill: number;
  readonly kill: Killed;
}

/** Attempts that ran when their worker was killed. */
export function noticesOf(job: JobSeen, killed: KilledByPid): Notice[] {
  return job.history.flatMap(({ number, pid, startedAt, finishedAt, outcome }) => {
    const end = finishedAt ?? Infinity;
    const kill = killed.get(pid)?.find(({ at }) => at >= startedAt && at <= end);
    if (kill === undefined) return [];
    const after = Math.max(0, end - (kill.noticedFrom ?? kill.at));
    return [{ number, outcome, after, sinceKill: end - kill.at, kill }];
  });
}

function numbers(job: JobSeen): Finding[] {
  const findings: Finding[] = [];
  for (const [index, { number, finishedAt }] of job.history.entries()) {
    if (number !== index + 1) {
      findings.push(finding('8 attempts replay', `attempt ${index + 1} has the number ${number}`));
    }
    if (finishedAt === null && TERMINAL.has(job.state)) {
      findings.push(finding('8 attempts replay', `attempt ${number} never ended`));
    }
  }
  return findings;
}

function afterwards({ integrity, left, leaks }: Seen): Finding[] {
  const told = [
    ...(integrity === 'ok' ? [] : [`the database is not sound: ${integrity}`]),
    ...left.map((one) => `a process of a job lives: ${one}`),
    ...leaks,
  ];
  return told.map((one) => finding('9 clean afterwards', one));
}

/** All that is known of a job, on one line; times in ms from the first that is known. */
function storyOf(job: JobSeen, asked: readonly Asked[], spans: readonly Span[]): string {
  const zero = Math.min(
    ...asked.map(({ invokedAt }) => invokedAt),
    ...job.history.map(({ startedAt }) => startedAt),
    ...spans.map(({ at }) => at),
  );
  const time = (at: number | null): string => (at === null ? '…' : String(Math.round(at - zero)));
  const attempts = job.history.map(
    ({ number, runToken, pid, startedAt, finishedAt, outcome, exitCode }) =>
      `#${number} token ${runToken} pid ${pid} ${time(startedAt)}–${time(finishedAt)} ` +
      `${outcome ?? 'runs'} ${exitCode ?? ''}`.trim(),
  );
  const asks = asked.map(
    ({ verb, answer, result, invokedAt, answeredAt }) =>
      `${verb} ${time(invokedAt)}–${time(answeredAt)} ${result ?? answer}`,
  );
  const lines = spans.map(({ what, attempt, at, code }) => {
    return `${what}${attempt} ${time(at)}${what === 'E' ? ` (${code})` : ''}`;
  });
  const row = `${job.id} ${job.state} ${job.attempts} of ${job.maxRetries + 1}`;
  return [row, ...asks, ...attempts, ...lines].join('; ');
}
