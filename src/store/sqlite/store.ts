// The SQLite implementation of the contract: one transaction a method, the SQL in the
// files beside this one, in the same order as the contract.

import type { Env } from '../../env.ts';
import { failpoint, type Write } from '../../failpoint.ts';
import type { Attempt, Job, NewJob } from '../../job.ts';
import type {
  AttemptPage,
  AttemptPosition,
  Attention,
  CancelAnswer,
  Changes,
  DeleteAnswer,
  EditAnswer,
  Enqueued,
  EnqueueOptions,
  Found,
  Horizon,
  ListQuery,
  MatchQuery,
  NewSupervisor,
  NewWorker,
  OverdueQuery,
  Page,
  Reaping,
  Recorded,
  RegisteredWorker,
  Renewal,
  RetryAnswer,
  RunningAttempt,
  Stats,
  StopRequest,
  Story,
  Store,
  SupervisorRecord,
  Turn,
  TurnResult,
  Watch,
  WorkerRecord,
} from '../store.ts';
import { cancel, cancelFound } from './cancel.ts';
import { claim } from './claim.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { removeDrafts } from './create.ts';
import { deleteFound, deleteJob } from './delete.ts';
import { edit, editFound } from './edit.ts';
import { enqueue } from './enqueue.ts';
import { explain } from './explain.ts';
import { horizon, match } from './filter.ts';
import { endedWorkers, forgetWorkers, workersNamed } from './forget.ts';
import { overdue } from './overdue.ts';
import { retry, retryFound } from './retry.ts';
import { workerName } from './rows.ts';
import { attempts, find, list } from './select.ts';
import { readSettings, writeSetting } from './settings.ts';
import { reap, record } from './settle.ts';
import { nextDue, stats } from './stats.ts';
import { createWakeFile, touchWakeFile, watchWakeFile } from './wake.ts';
import { Wal, WAL_LIMIT } from './wal.ts';
import {
  attend,
  endSupervisor,
  endWorker,
  probe,
  registerSupervisor,
  registerWorker,
  renew,
  requestStop,
  running,
  supervisors,
  workerReady,
  workers,
} from './workers.ts';

export interface SqliteOptions extends ConnectionOptions {
  readonly database: string;
  readonly wakeFile: string;
  /** Called once the database has turned out to be ours and sound, before anything is made. */
  readonly onAccepted?: () => void;
  /** Bytes from which `tend` makes the WAL smaller. */
  readonly walLimit?: number;
}

export async function openSqliteStore(options: SqliteOptions): Promise<Store> {
  const db = await Connection.open(options.database, options);
  try {
    options.onAccepted?.();
    createWakeFile(options.wakeFile);
    const row = await db.read(() =>
      db.get<{ value: string }>("SELECT value FROM meta WHERE name = 'database_id'"),
    );
    return new SqliteStore(db, row?.value ?? '', options);
  } catch (error) {
    db.close();
    throw explain(error, options.wakeFile);
  }
}

class SqliteStore implements Store {
  readonly databaseId: string;
  readonly oneMachine = true;
  readonly #db: Connection;
  readonly #env: Env;
  readonly #wakeFile: string;
  readonly #path: string;
  readonly #wal: Wal;

  constructor(db: Connection, databaseId: string, options: SqliteOptions) {
    this.databaseId = databaseId;
    this.#db = db;
    this.#env = options.env;
    this.#wakeFile = options.wakeFile;
    this.#path = options.database;
    this.#wal = new Wal(db, options.database, options.walLimit ?? WAL_LIMIT);
  }

  /**
   * One write transaction of `#finish`, refused where a newer queuectl has migrated the
   * database since it was opened: nothing is begun in a schema that we do not know.
   */
  #write<T>(body: (db: Connection, now: number) => T, name?: Write): Promise<T> {
    return this.#finish((db, now) => {
      db.refuseNewerSchema();
      return body(db, now);
    }, name);
  }

  /** One write transaction, its clock read once; then wakes whoever waits for it. */
  async #finish<T>(body: (db: Connection, now: number) => T, name?: Write): Promise<T> {
    const result = await this.#db.write(() => {
      const answer = body(this.#db, this.#env.now());
      if (name !== undefined) failpoint(`${name}-before-commit`);
      return answer;
    });
    if (name !== undefined) failpoint(`${name}-after-commit`);
    touchWakeFile(this.#wakeFile, this.#env.now());
    return result;
  }

  #read<T>(body: (db: Connection) => T): Promise<T> {
    return this.#db.read(() => body(this.#db));
  }

  enqueue(jobs: readonly NewJob[], options: EnqueueOptions = {}): Promise<Enqueued[]> {
    return this.#write((db, now) => enqueue(db, now, jobs, options), 'enqueue');
  }

  find(id: string): Promise<Job | null> {
    return this.#read((db) => find(db, id));
  }

  attempts(key: number): Promise<Attempt[]> {
    return this.#read((db) => attempts(db, key));
  }

  story(id: string): Promise<Story | null> {
    return this.#read((db) => {
      const job = find(db, id);
      return job === null ? null : { job, history: attempts(db, job.key) };
    });
  }

  list(query: ListQuery): Promise<Page> {
    return this.#read((db) => list(db, query));
  }

  stats(): Promise<Stats> {
    return this.#read((db) => stats(db, this.#env.now()));
  }

  cancel(ids: readonly string[]): Promise<CancelAnswer[]> {
    return this.#write((db, now) => ids.map((id) => cancel(db, now, id)), 'cancel');
  }

  retry(ids: readonly string[]): Promise<RetryAnswer[]> {
    return this.#write((db, now) => ids.map((id) => retry(db, now, id)));
  }

  edit(ids: readonly string[], changes: Changes): Promise<EditAnswer[]> {
    return this.#write((db, now) => edit(db, now, ids, changes));
  }

  delete(ids: readonly string[]): Promise<DeleteAnswer[]> {
    return this.#write((db) => ids.map((id) => deleteJob(db, id)), 'delete');
  }

  horizon(): Promise<Horizon> {
    return this.#read(horizon);
  }

  match(query: MatchQuery): Promise<number[]> {
    return this.#read((db) => match(db, query));
  }

  cancelFound(found: Found): Promise<{ cancelled: number[]; requested: number[] }> {
    return this.#write((db, now) => cancelFound(db, now, found));
  }

  retryFound(found: Found, notRunSince?: number): Promise<number[]> {
    return this.#write((db, now) => retryFound(db, now, found, notRunSince));
  }

  editFound(found: Found, changes: Changes): Promise<number[]> {
    return this.#write((db, now) => editFound(db, now, found, changes));
  }

  deleteFound(found: Found): Promise<number[]> {
    return this.#write((db) => deleteFound(db, found), 'delete');
  }

  overdue(query: OverdueQuery): Promise<number[]> {
    return this.#read((db) => overdue(db, query));
  }

  registerSupervisor(supervisor: NewSupervisor): Promise<number> {
    // Here, because an `enqueue` has no time for it.
    removeDrafts(this.#path);
    return this.#write((db, now) => registerSupervisor(db, now, supervisor));
  }

  async registerWorker(worker: NewWorker): Promise<RegisteredWorker> {
    const key = await this.#write((db, now) => registerWorker(db, now, this.#env.boot(), worker));
    return { key, name: workerName(key) };
  }

  workerReady(worker: number): Promise<void> {
    return this.#write((db) => workerReady(db, worker));
  }

  endWorker(worker: number, reason: string): Promise<void> {
    return this.#finish((db, now) => endWorker(db, now, worker, reason));
  }

  endSupervisor(supervisor: number, reason: string): Promise<void> {
    return this.#finish((db, now) => endSupervisor(db, now, supervisor, reason));
  }

  workers(): Promise<WorkerRecord[]> {
    return this.#read(workers);
  }

  supervisors(): Promise<SupervisorRecord[]> {
    return this.#read(supervisors);
  }

  endedWorkers(endedBefore: number): Promise<number[]> {
    return this.#read((db) => endedWorkers(db, endedBefore));
  }

  workersNamed(after: AttemptPosition | null, limit: number): Promise<AttemptPage> {
    return this.#read((db) => workersNamed(db, after, limit));
  }

  forgetWorkers(keys: readonly number[], endedBefore: number): Promise<number> {
    return this.#write((db) => forgetWorkers(db, keys, endedBefore));
  }

  requestStop(request: StopRequest): Promise<void> {
    return this.#write((db) => requestStop(db, request));
  }

  async turn(turn: Turn): Promise<TurnResult> {
    const result = await this.#db.write(() => {
      const now = this.#env.now();
      const recorded = turn.ended.map((ended) => record(this.#db, now, turn.backoff, ended));
      const leaseUntil = Math.round(this.#env.boot() + turn.lease);
      const { worker } = turn;
      const slots = this.#db.outdated() === null ? turn.slots : 0;
      const { claimed, cutShort } = claim(this.#db, { worker, slots, now, leaseUntil });
      if (recorded.length > 0) failpoint('record-before-commit');
      if (claimed.length > 0) failpoint('claim-before-commit');
      return { recorded, claimed, nextDue: cutShort ? now : nextDue(this.#db) };
    });
    if (result.recorded.length > 0) failpoint('record-after-commit');
    if (result.claimed.length > 0) failpoint('claim-after-commit');
    // Claims alone interest nobody who waits.
    if (turn.ended.length > 0) touchWakeFile(this.#wakeFile, this.#env.now());
    return result;
  }

  renew(renewal: Renewal): Promise<{ readonly lost: number[] }> {
    return this.#db.write(() => {
      const leaseUntil = Math.round(this.#env.boot() + renewal.lease);
      return renew(this.#db, this.#env.now(), leaseUntil, renewal);
    });
  }

  attend(worker: number): Promise<Attention> {
    return this.#read((db) => attend(db, this.#env.now(), worker));
  }

  running(): Promise<RunningAttempt[]> {
    return this.#read(running);
  }

  reap(reaping: Reaping): Promise<Recorded> {
    return this.#finish((db, now) => reap(db, now, reaping), 'reap');
  }

  probe(): Promise<void> {
    return this.#db.write(() => probe(this.#db));
  }

  settings(): Promise<Map<string, string>> {
    return this.#read(readSettings);
  }

  setSetting(name: string, value: string | null): Promise<void> {
    return this.#write((db) => writeSetting(db, name, value));
  }

  watch(listener: () => void): Watch {
    return watchWakeFile(this.#wakeFile, this.#env, listener);
  }

  // Async, so that it rejects like all others where it would throw.
  version(): Promise<number> {
    return this.#db.version();
  }

  async tend(): Promise<string | null> {
    return await this.#db.guarded(() => this.#wal.tend());
  }

  close(): Promise<void> {
    this.#db.close();
    return Promise.resolve();
  }
}
