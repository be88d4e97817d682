// A store and its model, moved together: each command is asked of both, and the answers are
// compared. histories.ts draws the commands.

import assert from 'node:assert/strict';
import type { NewJob } from '../../src/job.ts';
import {
  type AttemptRef,
  type Changes,
  type Claimed,
  type Ended,
  type MatchQuery,
  type Reaping,
  type Recorded,
  NO_FILTER,
  type RunningAttempt,
  type Store,
} from '../../src/store/store.ts';
import { Model, type ModelJob } from './model.ts';
import { ModelCrew } from './model-crew.ts';
import {
  type Command,
  type Do,
  type DrawnAttempt,
  type DrawnChanges,
  type DrawnJob,
  type DrawnNewJob,
  OUTCOMES,
  QUEUES,
} from './model-commands.ts';
import { Look, without } from './model-look.ts';
import { Staff } from './model-workers.ts';
import { ids, refusal, SUCCESS } from './values.ts';
import type { World } from './world.ts';

/** What was met over many histories: how often each transition, and each answer. */
export interface Met {
  readonly transitions: Map<string, number>;
  readonly answers: Map<string, number>;
}

export class Pair {
  readonly #w: World;
  readonly #met: Met;
  readonly #staff = new Staff();
  readonly #crew: ModelCrew;
  readonly #model: Model;
  readonly #look: Look;
  /** Every attempt ever claimed: most of their tokens are stale. */
  readonly #attempts: Claimed[] = [];
  /** What the reaper has read, some time ago. */
  #seen: readonly RunningAttempt[] = [];
  #newIds = 0;
  #newestKey = 0;

  private constructor(w: World, second: Store, met: Met) {
    this.#w = w;
    this.#crew = new ModelCrew(w, second, this.#staff);
    this.#met = met;
    this.#model = new Model(this.#staff, met.transitions);
    this.#look = new Look(this.#model, this.#staff);
  }

  static async create(w: World, met: Met): Promise<Pair> {
    const pair = new Pair(w, await w.open(), met);
    await pair.#crew.begin();
    return pair;
  }

  /** Every command in turn; at the end everything is compared. */
  async run(history: readonly Command[]): Promise<void> {
    for (const command of history) await this.#do(command);
    await this.#look.everything(this.#crew.store(0), this.#w.env.now(), { histories: true });
    await this.#w.check();
  }

  async #do(command: Command): Promise<void> {
    const { env } = this.#w;
    switch (command.do) {
      case 'enqueue':
        return await this.#enqueue(command);
      case 'turn':
        return await this.#turn(command);
      case 'cancel': {
        const asked = command.jobs.map((job) => this.#id(job));
        const right = asked.map((id) => this.#model.cancel(id, env.now()));
        assert.deepEqual(await this.#crew.store(command.via).cancel(asked), right);
        return this.#answered('cancel', ...right);
      }
      case 'retry': {
        const asked = command.jobs.map((job) => this.#id(job));
        const right = asked.map((id) => this.#model.retry(id, env.now()));
        assert.deepEqual(await this.#crew.store(command.via).retry(asked), right);
        return this.#answered('retry', ...right);
      }
      case 'edit': {
        const asked = command.jobs.map((job) => this.#id(job));
        const changes = this.#changes(command.changes);
        const right = asked.map((id) => this.#model.edit(id, changes, env.now()));
        assert.deepEqual(await this.#crew.store(command.via).edit(asked, changes), right);
        return this.#answered('edit', ...right);
      }
      case 'delete': {
        const asked = command.jobs.map((job) => this.#id(job));
        const keys = asked.map((id) => this.#model.job(id)?.key);
        const right = asked.map((id) => this.#model.delete(id, env.now()));
        assert.deepEqual(
          await this.#crew.store(command.via).delete(asked),
          right.map((answer, i) => (answer === 'deleted' ? { deleted: keys[i] } : answer)),
        );
        return this.#answered('delete', ...right);
      }
      case 'retryFound':
      case 'deleteFound':
      case 'cancelFound':
      case 'editFound':
        return await this.#byFilter(command);
      case 'renew':
        return await this.#renew(command);
      case 'look for the lost':
        this.#seen = await this.#crew.store(command.via).running();
        return this.#look.running(this.#seen);
      case 'reap':
        return await this.#reap(command);
      case 'reap what has expired': {
        const isLost = ({ leaseUntil }: RunningAttempt): boolean => leaseUntil < env.boot();
        return await this.#reapAll(command, isLost, 'expired');
      }
      case 'recover from crashes':
        await this.#reapAll(command, ({ worker }) => this.#crew.crashed.has(worker), 'crashed');
        return await this.#crew.buryCrashed(command.via);
      case 'crash':
        return await this.#crew.crash(command);
      case 'end worker': {
        const key = this.#crew.hand(command.worker);
        this.#answered('end worker', this.#staff.worker(key).ended ? 'again' : 'ended');
        return await this.#crew.end(key, command.via);
      }
      case 'replace':
        return await this.#crew.replace(command);
      case 'request stop':
        return await this.#crew.requestStop(command);
      case 'new supervisor':
        return await this.#crew.supervise(command.via);
      case 'end supervisor':
        return await this.#crew.endSupervisor(command.via);
      case 'set': {
        const { name, value } = command.setting;
        if (value === null) this.#staff.settings.delete(name);
        else this.#staff.settings.set(name, value);
        return await this.#crew.store(command.via).setSetting(name, value);
      }
      case 'probe':
        return await this.#crew.store(command.via).probe();
      case 'reopen':
        this.#answered('closed', 'unavailable');
        return await this.#crew.reopen(command.all ? [0, 1] : [command.via]);
      case 'time goes by':
        return env.advance(command.ms);
      case 'wall clock jumps':
        this.#look.clockShows(env.now());
        return env.setWall(env.now() + command.ms);
      case 'boot clock jumps':
        return env.setBoot(env.boot() + command.ms);
      case 'attend': {
        const key = this.#crew.hand(command.worker);
        return await this.#look.attention(
          this.#crew.store(this.#crew.viaOf(command.worker)),
          key,
          env.now(),
        );
      }
      case 'look at everything':
        return await this.#look.everything(this.#crew.store(command.via), env.now(), {
          histories: false,
        });
    }
  }

  async #enqueue({ via, jobs: drawn, ifAbsent }: Do<'enqueue'>): Promise<void> {
    const jobs = drawn.map((job) => this.#newJob(job));
    const right = this.#model.enqueue(jobs, ifAbsent, this.#w.env.now());
    if (right === null) {
      await assert.rejects(this.#crew.store(via).enqueue(jobs), refusal('id_taken'));
      return this.#answered('enqueue', 'id_taken');
    }
    const answers = await this.#crew.store(via).enqueue(jobs, { ifAbsent });
    for (const [index, { job, created }] of right.entries()) {
      const answer = answers[index];
      assert.ok(answer);
      if (created) {
        assert.ok(answer.key > this.#newestKey, 'keys grow');
        this.#newestKey = answer.key;
        job.key = answer.key;
      }
      const { id, key, state } = job;
      assert.deepEqual(answer, { id, key, state, created });
      this.#answered('enqueue', created ? 'created' : 'was there');
    }
    assert.equal(answers.length, right.length);
  }

  #newJob({ id, queue, priority, when, maxRetries, timeout }: DrawnNewJob): NewJob {
    this.#newIds += 1;
    return this.#w.newJob({
      id: id === null ? `new-${this.#newIds}` : String(id),
      queue: QUEUES[queue] ?? '',
      priority,
      delay: when.delay,
      runAt: when.runAt === null ? null : this.#w.env.now() + when.runAt,
      maxRetries,
      timeout,
    });
  }

  async #turn({ worker: drawn, ended: ends, slots, lease, backoff }: Do<'turn'>): Promise<void> {
    const { env } = this.#w;
    const [now, worker, store] = [
      env.now(),
      this.#crew.hand(drawn),
      this.#crew.store(this.#crew.viaOf(drawn)),
    ];
    const ended = ends.flatMap(({ attempt, outcome, random, logBytes }): Ended[] => {
      const found = this.#attempt(attempt);
      return found === null
        ? []
        : [{ attempt: found, outcome: OUTCOMES[outcome] ?? SUCCESS, random, logBytes }];
    });
    const recorded = ended.map((end) => {
      this.#tellOwnership('result', end.attempt);
      return this.#model.record(end, backoff, now);
    });
    const due = this.#model.claimable(worker, slots, now);
    const turn = await store.turn({ worker, ended, slots, lease, backoff });
    assert.deepEqual(turn.recorded, recorded);
    assert.deepEqual(ids(turn.claimed), ids(due));
    for (const [index, job] of due.entries()) {
      const claimed = turn.claimed[index];
      assert.ok(claimed);
      this.#claimed(job, claimed, worker, lease);
    }
    const { mayClaim, queues } = this.#staff.worker(worker);
    if (!mayClaim) return this.#answered('claim', slots > 0 ? 'refused' : 'not asked');
    if (due.length === slots) return this.#answered('claim', 'as many as asked');
    // All that is due is taken, and this moment is over: so there is nothing to spin on.
    this.#answered('claim', 'fewer than asked');
    this.#look.nextDue(turn.nextDue, queues);
    assert.ok(turn.nextDue === null || turn.nextDue > now, 'no spinning');
    await this.#look.attention(store, worker, now);
  }

  #claimed(job: ModelJob, claimed: Claimed, worker: number, lease: number): void {
    const newest = this.#attempts.at(-1)?.runToken ?? 0;
    assert.ok(claimed.runToken > newest, 'run tokens grow');
    const { env } = this.#w;
    const leaseUntil = env.boot() + lease;
    this.#model.claim(job, worker, claimed.runToken, { now: env.now(), leaseUntil });
    const { key, queue, timeout, attempts, maxRetries, history } = job;
    assert.deepEqual(without(claimed, 'kind', 'command', 'spec', 'cwd', 'path'), {
      key,
      number: history.length,
      runToken: claimed.runToken,
      id: job.id,
      queue,
      timeout,
      attempts,
      maxRetries,
    });
    this.#attempts.push(claimed);
  }

  #changes({ queue, runAt, ...others }: DrawnChanges): Changes {
    return {
      ...others,
      ...(queue !== undefined && { queue: QUEUES[queue] ?? '' }),
      ...(runAt !== undefined && { runAt: runAt === null ? null : this.#w.env.now() + runAt }),
    };
  }

  async #byFilter(
    command: Do<'retryFound' | 'deleteFound' | 'cancelFound' | 'editFound'>,
  ): Promise<void> {
    const now = this.#w.env.now();
    const ago = (ms: number | null): number | null => (ms === null ? null : now - ms);
    const there =
      command.states.length === 0 ? this.#model.jobs : this.#model.in(...command.states);
    const keyOf = (n: number): number => there[n % there.length]?.key ?? 0;
    const filter: MatchQuery = {
      ...NO_FILTER,
      states: command.states,
      queue: command.queue === null ? null : (QUEUES[command.queue] ?? ''),
      since: ago(command.since),
      until: ago(command.until),
      unchangedSince: ago(command.age),
      after: command.after === null ? 0 : keyOf(command.after),
      upTo: command.upTo === null ? 1e9 : keyOf(command.upTo),
      limit: command.limit,
    };
    const store = this.#crew.store(command.via);
    const keys = await store.match(filter);
    const matching = this.#model.match(filter);
    assert.deepEqual(
      keys,
      matching.map(({ key }) => key),
    );
    const found = { keys, filter };
    const acted = (verb: (id: string) => string, answer: string): number[] =>
      matching.filter(({ id }) => verb(id) === answer).map(({ key }) => key);
    if (command.do === 'cancelFound') {
      const answers = matching.map(({ id, key }) => ({ key, answer: this.#model.cancel(id, now) }));
      const of = (wanted: string): number[] =>
        answers.filter(({ answer }) => answer === wanted).map(({ key }) => key);
      assert.deepEqual(await store.cancelFound(found), {
        cancelled: of('cancelled'),
        requested: of('cancel_requested'),
      });
    } else if (command.do === 'editFound') {
      const changes = this.#changes(command.changes);
      const right = acted((id) => this.#model.edit(id, changes, now), 'edited');
      assert.deepEqual(await store.editFound(found, changes), right);
    } else if (command.do === 'retryFound') {
      const right = acted((id) => this.#model.retry(id, now), 'retried');
      assert.deepEqual(await store.retryFound(found), right);
    } else {
      const right = acted((id) => this.#model.delete(id, now), 'deleted');
      assert.deepEqual(await store.deleteFound(found), right);
    }
    this.#answered(command.do, matching.length > 0 ? 'some' : 'none');
  }

  async #renew({ worker: drawn, attempts: all, lease }: Do<'renew'>): Promise<void> {
    const { env } = this.#w;
    const worker = this.#crew.hand(drawn);
    const attempts = all.flatMap((attempt) => this.#attempt(attempt) ?? []);
    const leaseUntil = env.boot() + lease;
    const lost = attempts.filter((attempt) => {
      this.#tellOwnership('renew', attempt);
      const job = this.#model.owned(attempt);
      if (job !== undefined) job.leaseUntil = leaseUntil;
      return job === undefined;
    });
    this.#staff.heartbeat(worker, env.now(), leaseUntil);
    const answer = await this.#crew
      .store(this.#crew.viaOf(drawn))
      .renew({ worker, attempts, lease });
    assert.deepEqual(
      answer.lost,
      lost.map(({ runToken }) => runToken),
    );
  }

  async #reap({ via, attempt: drawn, seen, random, backoff }: Do<'reap'>): Promise<void> {
    const attempt = this.#attempt(drawn);
    if (attempt === null) return;
    const store = this.#crew.store(via);
    if (seen === 'now') this.#seen = await store.running();
    const lease = this.#seen.find(({ runToken }) => runToken === attempt.runToken)?.leaseUntil;
    const reaping = { attempt, leaseUntil: lease ?? 0, reason: 'gone', random, backoff };
    if (this.#model.owned(attempt) === undefined) this.#tellOwnership('reap', attempt);
    else this.#answered('reap', this.#expect(reaping).stale ? 'renewed' : 'owned');
    await this.#reapOne(store, reaping);
  }

  /** Would the model refuse this reaping? Asked without doing it. */
  #expect({ attempt, leaseUntil }: Reaping): { stale: boolean } {
    return { stale: this.#model.owned(attempt)?.leaseUntil !== leaseUntil };
  }

  async #reapOne(store: Store, reaping: Reaping): Promise<Recorded> {
    const right = this.#model.reap(reaping, this.#w.env.now());
    assert.deepEqual(await store.reap(reaping), right);
    return right;
  }

  /** As a reaper does it: all that it sees and holds for lost, one after the other. */
  async #reapAll(
    { via, random, backoff }: Do<'reap what has expired' | 'recover from crashes'>,
    isLost: (attempt: RunningAttempt) => boolean,
    reason: string,
  ): Promise<void> {
    const store = this.#crew.store(via);
    const running = await store.running();
    this.#look.running(running);
    for (const attempt of running.filter(isLost)) {
      const { leaseUntil } = attempt;
      const reaped = await this.#reapOne(store, { attempt, leaseUntil, reason, random, backoff });
      assert.equal(reaped.stale, false);
      this.#answered('reap', reason);
    }
  }

  /** A job's id: some job in that state, or any where there is none. */
  #id({ in: state, n }: DrawnJob): string {
    if (state === 'none') return 'nobody';
    const found = state === 'any' ? [] : this.#model.in(state);
    const jobs = found.length > 0 ? found : this.#model.jobs;
    return jobs[n % jobs.length]?.id ?? 'nobody';
  }

  #attempt({ of, n, forged }: DrawnAttempt): AttemptRef | null {
    const wanted = this.#attempts.filter((attempt) => {
      if (of === 'any') return true;
      return of === (this.#model.owned(attempt) ? 'running' : this.#model.staleness(attempt));
    });
    const all = wanted.length > 0 ? wanted : this.#attempts;
    const found = all[n % all.length];
    if (found === undefined) return null;
    const { key, number, runToken } = found;
    const other = this.#attempts[(n + 1) % this.#attempts.length]?.key ?? 0;
    if (forged === 'key') return { key: other, number, runToken };
    if (forged === 'number') return { key, number: number + 1, runToken };
    return { key, number, runToken: forged === 'token' ? runToken + 1 : runToken };
  }

  #tellOwnership(what: string, attempt: AttemptRef): void {
    const owned = this.#model.owned(attempt) !== undefined;
    this.#answered(what, owned ? 'owned' : this.#model.staleness(attempt));
  }

  #answered(what: string, ...answers: readonly string[]): void {
    for (const answer of answers) {
      const name = `${what}: ${answer}`;
      this.#met.answers.set(name, (this.#met.answers.get(name) ?? 0) + 1);
    }
  }
}
