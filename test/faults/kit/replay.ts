// One job's attempts, played through the rules of docs/states.md: what the job may be after
// them, given what was asked about it. Where the history does not tell what happened (an
// answer that never came, a start that failed for lack of something) every possibility is
// followed, so that only what cannot have happened by the rules is found.

import type { Asked, AttemptSeen, History, JobSeen } from './history.ts';

type State = 'pending' | 'processing' | 'completed' | 'failed' | 'dead' | 'cancelled';

/** What a job may be at one moment. */
interface Standing {
  readonly state: State;
  readonly attempts: number;
  /** It may not be claimed before. */
  readonly dueAt: number;
}

export interface Broken {
  readonly rule: 'claim of a finished job' | 'too many attempts' | 'too early' | 'job row';
  readonly told: string;
}

/** After a start that failed for lack of processes, descriptors or memory. */
const RESOURCE_DELAY_MS = 1000;

/** What cannot be; stops at the first claim that no rule allows. */
export function replay(job: JobSeen, asked: readonly Asked[], history: History): Broken[] {
  const broken: Broken[] = [];
  const rules = new Rules(job, asked, history);
  let standings: Standing[] = [{ state: 'pending', attempts: 0, dueAt: -Infinity }];
  let since = -Infinity;
  for (const attempt of job.history) {
    standings = rules.retried(standings, since, attempt.startedAt);
    const waiting = standings.filter(({ state }) => state === 'pending' || state === 'failed');
    if (waiting.length === 0) {
      const states = [...new Set(standings.map(({ state }) => state))];
      const told = `attempt ${attempt.number} was claimed though the job was ${states.join(' or ')}`;
      const dead = states.every((state) => state === 'dead');
      return [...broken, { rule: dead ? 'too many attempts' : 'claim of a finished job', told }];
    }
    const due = waiting.filter(({ dueAt }) => dueAt <= attempt.startedAt);
    if (due.length === 0) {
      const early = Math.min(...waiting.map(({ dueAt }) => dueAt)) - attempt.startedAt;
      const told = `attempt ${attempt.number} was claimed ${Math.ceil(early)} ms before its backoff`;
      broken.push({ rule: 'too early', told });
    }
    const from = due.length > 0 ? due : waiting;
    standings = distinct(from.flatMap((standing) => rules.ended(standing, attempt)));
    since = attempt.finishedAt ?? attempt.startedAt;
  }
  const last = rules.cancelled(rules.retried(standings, since, Infinity), since);
  if (!last.some(({ state, attempts }) => state === job.state && attempts === job.attempts)) {
    const may = distinct(last).map(({ state, attempts }) => `${state} with ${attempts}`);
    const told = `the job is ${job.state} with ${job.attempts} attempts; its history makes it ${may.join(' or ')}`;
    broken.push({ rule: 'job row', told });
  }
  return broken;
}

class Rules {
  readonly #job: JobSeen;
  readonly #history: History;
  readonly #cancels: readonly Asked[];
  readonly #retries: readonly Asked[];

  constructor(job: JobSeen, asked: readonly Asked[], history: History) {
    this.#job = job;
    this.#history = history;
    this.#cancels = asked.filter(
      ({ verb, answer, result }) =>
        verb === 'cancel' &&
        (answer === 'unknown' ||
          (answer === 'ok' && (result === 'cancelled' || result === 'cancel_requested'))),
    );
    this.#retries = asked.filter(({ verb, answer }) => verb === 'retry' && answer !== 'failed');
  }

  /** What a dead letter queue retry between these two moments may have made of them. */
  retried(standings: readonly Standing[], from: number, to: number): Standing[] {
    if (!this.#retries.some((retry) => overlaps(retry, from, to))) return [...standings];
    const revived = standings
      .filter(({ state }) => state === 'dead')
      .map((): Standing => ({ state: 'pending', attempts: 0, dueAt: -Infinity }));
    return distinct([...standings, ...revived]);
  }

  /** What a cancel of the waiting job from that moment on may have made of them. */
  cancelled(standings: readonly Standing[], from: number): Standing[] {
    const queued = this.#cancels.filter(({ result }) => result !== 'cancel_requested');
    if (!queued.some((cancel) => overlaps(cancel, from, Infinity))) return [...standings];
    const gone = standings
      .filter(({ state }) => state === 'pending' || state === 'failed')
      .map(({ attempts }): Standing => ({ state: 'cancelled', attempts, dueAt: Infinity }));
    return distinct([...standings, ...gone]);
  }

  /** What the end of this attempt makes of the job that was claimed for it. */
  ended({ attempts }: Standing, attempt: AttemptSeen): Standing[] {
    const charged = attempts + 1;
    const { startedAt, finishedAt, outcome, exitCode } = attempt;
    if (finishedAt === null) return [{ state: 'processing', attempts: charged, dueAt: Infinity }];
    const cancelled: Standing = { state: 'cancelled', attempts: charged, dueAt: Infinity };
    if (outcome === 'cancelled') return [cancelled];

    const running = this.#cancels.filter(
      (cancel) => cancel.result !== 'cancelled' && overlaps(cancel, startedAt, finishedAt),
    );
    // Asked for and answered while this attempt ran: whatever it came to counts for nothing.
    const certain = running.some(
      ({ answer, invokedAt, answeredAt }) =>
        answer === 'ok' && invokedAt >= startedAt && (answeredAt ?? Infinity) <= finishedAt,
    );
    if (certain) return [cancelled];
    const maybe = running.length > 0 ? [cancelled] : [];

    if (outcome === 'exited' && exitCode === 0) {
      return [{ state: 'completed', attempts: charged, dueAt: Infinity }, ...maybe];
    }
    if (outcome === 'interrupted')
      return [{ state: 'pending', attempts, dueAt: -Infinity }, ...maybe];
    const failed = this.#failed(charged, finishedAt);
    if (outcome !== 'spawn_failed') return [failed, ...maybe];
    const dueAt = finishedAt + RESOURCE_DELAY_MS;
    return [failed, { state: 'pending', attempts, dueAt }, ...maybe];
  }

  #failed(attempts: number, at: number): Standing {
    if (attempts > this.#job.maxRetries) return { state: 'dead', attempts, dueAt: Infinity };
    const { backoffBase, backoffMax } = this.#history;
    const delay = Math.min(backoffBase ** attempts, backoffMax) * 1000;
    return { state: 'failed', attempts, dueAt: at + delay };
  }
}

/** May it have happened between these moments? What was never answered may come at any time. */
function overlaps({ invokedAt, answeredAt }: Asked, from: number, to: number): boolean {
  return invokedAt <= to && (answeredAt ?? Infinity) >= from;
}

/** Of those alike the one that is due first. */
function distinct(standings: readonly Standing[]): Standing[] {
  const first = new Map<string, Standing>();
  for (const standing of standings) {
    const key = `${standing.state} ${standing.attempts}`;
    const known = first.get(key);
    if (known === undefined || standing.dueAt < known.dueAt) first.set(key, standing);
  }
  return [...first.values()];
}
