// Storing new jobs. All or none; bulk speed is decided here (200,000 jobs in one
// transaction), so what jobs share is looked up once per call.

import { resolveSettings } from '../../config.ts';
import { QueuectlError } from '../../errors.ts';
import type { NewJob, State } from '../../job.ts';
import type { Enqueued, EnqueueOptions } from '../store.ts';
import type { Connection } from './connection.ts';
import { addWaiting } from './place.ts';
import { encodeSpec, kindNumber, SPEC_VERSION } from './rows.ts';
import { readSettings } from './settings.ts';

/** How often `onProgress` is called: some 50 times a second at full speed. */
const PROGRESS_EVERY = 1000;

export function enqueue(
  db: Connection,
  now: number,
  jobs: readonly NewJob[],
  options: EnqueueOptions,
): Enqueued[] {
  const settings = resolveSettings(readSettings(db));
  const queueKey = remember((name: string) => queueKeyOf(db, name));
  const placeKey = rememberPlace(db);
  const enqueued: Enqueued[] = [];
  /** New jobs by queue.key, for the tally. */
  const added = new Map<number, number>();
  for (const job of jobs) {
    const queue = queueKey(job.queue);
    const runAt = job.delay === null ? job.runAt : now + job.delay;
    const timeout = job.timeout ?? settings.timeout;
    const key = db.insert(
      `INSERT INTO job (id, state, queue, priority, kind, spec_version, command, spec, place,
         tags, attempts, last_attempt, max_retries, timeout, created_at, updated_at, run_at)
       VALUES (?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO NOTHING`,
      job.id,
      queue,
      job.priority,
      kindNumber(job.kind),
      SPEC_VERSION,
      job.command,
      encodeSpec(job.spec),
      placeKey(job.cwd, job.path),
      job.tags === null ? null : JSON.stringify(job.tags),
      job.maxRetries ?? settings.maxRetries,
      timeout === 0 ? null : timeout,
      now,
      now,
      runAt,
    );
    if (key === null) {
      if (options.ifAbsent !== true) throw idTaken(job.id);
      enqueued.push(storedJob(db, job.id));
    } else {
      addWaiting(db, { key, queue, priority: job.priority, created_at: now, run_at: runAt }, now);
      added.set(queue, (added.get(queue) ?? 0) + 1);
      enqueued.push({ key, id: job.id, state: 'pending', created: true });
    }
    if (enqueued.length % PROGRESS_EVERY === 0) options.onProgress?.(enqueued.length);
  }
  for (const [queue, n] of added) {
    db.run(
      `INSERT INTO tally (queue, state, n) VALUES (?, 'pending', ?)
       ON CONFLICT DO UPDATE SET n = n + excluded.n`,
      queue,
      n,
    );
  }
  return enqueued;
}

function idTaken(id: string): QueuectlError {
  return new QueuectlError('id_taken', `a job with the id ${JSON.stringify(id)} already exists`, {
    hint: 'choose another id, or use --if-absent to keep the stored job',
    subject: id,
  });
}

function storedJob(db: Connection, id: string): Enqueued {
  const row = db.get<{ key: number; state: State }>('SELECT key, state FROM job WHERE id = ?', id);
  if (row === undefined) throw new QueuectlError('internal', `job ${JSON.stringify(id)} vanished`);
  return { key: row.key, id, state: row.state, created: false };
}

/** The key of the queue with this name, which comes into being with its first job. */
export function queueKeyOf(db: Connection, name: string): number {
  const row = db.get<{ key: number }>('SELECT key FROM queue WHERE name = ?', name);
  return row?.key ?? db.insert('INSERT INTO queue (name) VALUES (?)', name) ?? 0;
}

/** Jobs of one call mostly come from one place: asks the database only when it changes. */
function rememberPlace(db: Connection): (cwd: string, path: string | null) => number {
  let last: { cwd: string; path: string | null; key: number } | undefined;
  return (cwd, path) => {
    if (last === undefined || last.cwd !== cwd || last.path !== path) {
      const row = db.get<{ key: number }>(
        'SELECT key FROM place WHERE cwd = ? AND path IS ?', // IS: NULL equals NULL
        cwd,
        path,
      );
      const key = row?.key ?? db.insert('INSERT INTO place (cwd, path) VALUES (?, ?)', cwd, path);
      last = { cwd, path, key: key ?? 0 };
    }
    return last.key;
  };
}

function remember<K, V>(compute: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>();
  return (key) => {
    let value = known.get(key);
    if (value === undefined) {
      value = compute(key);
      known.set(key, value);
    }
    return value;
  };
}
