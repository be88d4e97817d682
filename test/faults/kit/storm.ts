// A kill storm from its first worker to its verdict: an adversary and a driver at work at
// the same time, then a drain, then the checker. kill-storm.test.ts runs a short one on every
// change, ../storm.ts (`npm run storm`) one as long as you like.

import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { adversary, tell, type Tempo } from './adversary.ts';
import { check, type Finding } from './checker.ts';
import { Crowd, type Wanted } from './crowd.ts';
import { BACKOFF_BASE, Driver } from './driver.ts';
import type { History, JobSeen, Seen, Span } from './history.ts';
import { kindOf, LEAVES_GROUP, SPANS, spansOf } from './jobs.ts';
import { Lab, type Member } from './lab.ts';
import { Look } from './seen.ts';
import { isUnhindered, summarize, type Summary } from './summary.ts';

export interface StormOptions extends Wanted {
  readonly seed: number;
  /** Rages for so long, and for as many kills. */
  readonly ms: number;
  readonly kills: number;
  /** Acknowledged, at least; what the storm left no time for is enqueued after it. */
  readonly jobs: number;
  readonly tempo: Tempo;
  /** Jobs that may wait: what the machine can do sets how many there are in all. */
  readonly backlog: number;
  /** Ms within which all that is left must be done. */
  readonly drainWithin: number;
  /** Called with a line now and then. */
  readonly progress?: (line: string) => void;
  /** Ends the storm early; the rest is as always. */
  readonly signal?: AbortSignal;
}

export interface Report {
  readonly seed: number;
  readonly findings: readonly Finding[];
  readonly summary: Summary;
  readonly kills: number;
  /** What was done to processes, and what was asked of the queue, by kind. */
  readonly deeds: Readonly<Record<string, number>>;
  readonly steps: Readonly<Record<string, number>>;
  /** Results and leases that came too late and were refused, as workers log it. */
  readonly refused: { readonly results: number; readonly leases: number };
  /** Ms from the kill of a supervisor until that was recorded, ascending. */
  readonly supervisors: readonly number[];
  /** Known limit: what had left its group met the next attempt of a command not lost. */
  readonly excused: number;
  /** What workers and supervisors need after it. */
  readonly most: string;
  /** Every deed, with the pids it met. */
  readonly decisions: readonly string[];
  readonly stormMs: number;
  readonly drainMs: number;
}

/** Promised is a second; a machine full of tests may take so much more. */
const NOTICED_WITHIN_MS = 1000 + 4000;
const BACKOFF_MAX = 3600;
const PROGRESS_MS = 10_000;
/** So long lives what has left its group, with something on top for a busy machine. */
const LEFT_GROUP_MS = 1500 + 1500;
/** For who ended a storm by hand and waits. */
const HURRIED_DRAIN_MS = 60_000;
/** Longer than any deed that waits for something: a storm that cannot kill is over, too. */
const OVERTIME = 1.5;

export async function storm(options: StormOptions): Promise<Report> {
  const lab = new Lab();
  try {
    return await rageAndCheck(lab, options);
  } finally {
    await lab.close();
  }
}

async function rageAndCheck(lab: Lab, options: StormOptions): Promise<Report> {
  const { seed, workers, progress = () => {} } = options;
  for (const [name, value] of [
    ['backoff_base', String(BACKOFF_BASE)],
    ['lease', `${options.tempo.lease}ms`],
    ['kill_after', '1s'],
  ] as const) {
    const { code, stderr } = await lab.call(['config', 'set', name, value]);
    if (code !== 0) throw new Error(`config set ${name}: ${stderr}`);
  }
  const crowd = new Crowd(lab, options);
  await crowd.start(Math.ceil(workers / 2));
  await crowd.start(Math.floor(workers / 2));

  const look = new Look(lab.database);
  try {
    const driver = new Driver({
      lab,
      seed,
      backlog: options.backlog,
      unfinished: () => look.unfinished(),
    });
    const begun = performance.now();
    const decisions = await rage(lab, crowd, driver, options);
    const stormMs = performance.now() - begun;
    const missing = options.jobs - driver.acknowledged;
    if (missing > 0 && options.signal?.aborted !== true) await driver.enqueue(missing, 'bulk');
    progress(`the storm is over, ${look.unfinished()} of ${driver.enqueued} jobs are left`);
    await drain(crowd, look, options);
    const drainMs = performance.now() - begun - stormMs;
    const { leaks, most } = await steady(lab, crowd);
    await lab.call(['worker', 'stop', '--grace', '10s']);
    const seen: Seen = {
      jobs: look.jobs(),
      integrity: look.integrity(),
      left: await leftOf(lab),
      leaks,
    };
    const { spans, excused } = withoutKnown(spansOf(lab.text(SPANS)), seen.jobs);
    const history: History = {
      asked: driver.asked,
      spans,
      killed: crowd.killed(NOTICED_WITHIN_MS),
      backoffBase: BACKOFF_BASE,
      backoffMax: BACKOFF_MAX,
      noticedWithin: NOTICED_WITHIN_MS,
    };
    const log = lab.log();
    return {
      seed,
      findings: check(history, seen),
      summary: summarize(history, seen),
      kills: crowd.kills,
      deeds: crowd.counts,
      steps: driver.counts,
      refused: {
        results: log.match(/was no longer ours; its result is dropped/g)?.length ?? 0,
        leases: log.match(/lost the lease of attempt/g)?.length ?? 0,
      },
      supervisors: crowd
        .supervisorsKilled(NOTICED_WITHIN_MS)
        .filter(isUnhindered)
        .flatMap(({ pid, at }) => {
          const ended = look.supervisorEnded(pid, at);
          return ended === null ? [] : [ended - at];
        })
        .toSorted((a, b) => a - b),
      excused,
      most,
      decisions,
      stormMs,
      drainMs,
    };
  } finally {
    look.close();
  }
}

/** Everything at the same time, until the time is over and enough were killed. */
async function rage(
  lab: Lab,
  crowd: Crowd,
  driver: Driver,
  options: StormOptions,
): Promise<string[]> {
  const over = new AbortController();
  const keeping = crowd.keep(over.signal);
  const driving = driver.drive(over.signal);
  const enqueuers: Promise<void>[] = [];
  const decisions: string[] = [];
  // The first that fails ends the storm; what it failed with is thrown at the end.
  for (const work of [keeping, driving]) work.catch(() => over.abort());
  try {
    const begun = performance.now();
    let toldAt = begun;
    let due = begun;
    for (const { after, deed } of adversary(options.seed, options.tempo)) {
      due += after;
      await sleep(Math.max(0, due - performance.now()));
      const now = performance.now();
      const enough = now - begun > options.ms && crowd.kills >= options.kills;
      if (enough || now - begun > options.ms * OVERTIME) break;
      if (options.signal?.aborted === true || over.signal.aborted) break;
      const time = `${((now - begun) / 1000).toFixed(2)} s`;
      if (deed.what === 'kill enqueuer') {
        decisions.push(`${time} ${tell(deed)}`);
        const enqueuer = driver.enqueueAndKill(deed.jobs, deed.moment).then((end) => {
          if (end === 'killed') crowd.enqueuerKilled();
        });
        enqueuer.catch(() => over.abort());
        enqueuers.push(enqueuer);
      } else {
        const met = crowd.strike(deed).join(', ');
        decisions.push(`${time} ${tell(deed)} → ${met === '' ? 'nobody' : met}`);
      }
      if (now - toldAt > PROGRESS_MS) {
        toldAt = now;
        const { enqueued } = driver;
        options.progress?.(`${time}: ${crowd.kills} kills, ${enqueued} jobs enqueued`);
      }
    }
  } finally {
    over.abort();
    // All of them, also where one fails: none may go on when the storm is over.
    await Promise.allSettled([keeping, driving, crowd.settle(), ...enqueuers]);
  }
  await Promise.all([keeping, driving, crowd.settle(), ...enqueuers]);
  return decisions;
}

/** Until nothing waits or runs any more, or the time is over: then the checker tells. */
async function drain(crowd: Crowd, look: Look, options: StormOptions): Promise<void> {
  const over = new AbortController();
  const keeping = crowd.keep(over.signal);
  const within = options.signal?.aborted === true ? HURRIED_DRAIN_MS : options.drainWithin;
  const deadline = performance.now() + within;
  while (look.unfinished() > 0 && performance.now() < deadline) await sleep(100);
  over.abort();
  await keeping;
  await crowd.settle();
}

/** Of a process when nothing runs. */
interface Usage {
  readonly descriptors: number;
  readonly bytes: number;
}

/** A supervisor holds something for each of its workers. */
const DESCRIPTORS_MORE = 8;
const BYTES_MORE = 64 * 1024 * 1024;

/** Those that have been through it need as little as a new one, when nothing runs. */
async function steady(lab: Lab, crowd: Crowd): Promise<{ leaks: string[]; most: string }> {
  const before = lab.members().filter(({ role }) => role !== 'command');
  await crowd.start(1);
  const fresh = lab.members().filter(({ pid }) => !before.some((old) => old.pid === pid));
  const leaks: string[] = [];
  const told = ({ descriptors, bytes }: Usage): string =>
    `${descriptors} descriptors and ${Math.round(bytes / 1024 / 1024)} MiB`;
  const most: string[] = [];
  for (const role of ['worker', 'supervisor'] as const) {
    const [model] = fresh.filter((one) => one.role === role).flatMap((one) => usage(one) ?? []);
    const used = before.filter((one) => one.role === role).flatMap((one) => usage(one) ?? []);
    if (model === undefined || used.length === 0) {
      // Supervisors may all have been killed; workers are kept up until the drain is over.
      if (role === 'worker') leaks.push('no worker that could be compared with a new one');
      continue;
    }
    const top = {
      descriptors: Math.max(...used.map(({ descriptors }) => descriptors)),
      bytes: Math.max(...used.map(({ bytes }) => bytes)),
    };
    const line = `${role}: ${told(top)} at most, a new one ${told(model)}`;
    most.push(line);
    const grew =
      top.descriptors > model.descriptors + DESCRIPTORS_MORE ||
      top.bytes > model.bytes + BYTES_MORE;
    if (grew) leaks.push(line);
  }
  return { leaks, most: most.join('; ') };
}

function usage({ pid }: Member): Usage | null {
  try {
    const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return { descriptors: readdirSync(`/proc/${pid}/fd`).length, bytes: Number(kib) * 1024 };
  } catch {
    return null;
  }
}

/** A record ends before its process does: the last ones may be on their way out. */
async function leftOf(lab: Lab): Promise<string[]> {
  const deadline = performance.now() + 5000;
  while (lab.members().length > 0 && performance.now() < deadline) await sleep(50);
  return lab.members().map(({ pid, args }) => `${pid} ${args}`);
}

/**
 * A process that left its group is ended on timeout, cancel and loss only (guarantee 10). So
 * it may meet the next attempt of a command that was killed itself or given back.
 */
function withoutKnown(
  spans: readonly Span[],
  jobs: readonly JobSeen[],
): { readonly spans: Span[]; readonly excused: number } {
  const historyOf = new Map(jobs.map(({ id, history }) => [id, history]));
  const known = ({ what, id, attempt, at }: Span): boolean =>
    what === 'OVERLAP' &&
    kindOf(id) === LEAVES_GROUP &&
    (historyOf.get(id) ?? []).some(
      ({ number, outcome, finishedAt }) =>
        number < attempt &&
        ['exited', 'signaled', 'interrupted'].includes(outcome ?? '') &&
        at - (finishedAt ?? at) < LEFT_GROUP_MS,
    );
  const kept = spans.filter((span) => !known(span));
  return { spans: kept, excused: spans.length - kept.length };
}
