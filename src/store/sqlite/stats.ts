// Counts and rates, each read in time that does not depend on the number of jobs.

import type { State } from '../../job.ts';
import type { Stats } from '../store.ts';
import { servedLanes } from './claim.ts';
import type { Connection } from './connection.ts';

export function stats(db: Connection, now: number): Stats {
  const counts = db.all<{ queue: string; state: State; n: number }>(
    `SELECT queue.name AS queue, tally.state, tally.n
     FROM tally JOIN queue ON queue.key = tally.queue
     WHERE tally.n <> 0
     ORDER BY queue.name, tally.state`,
  );
  const throughput = db.all<{ minute: number; succeeded: number; failed: number }>(
    'SELECT minute * 60000 AS minute, succeeded, failed FROM throughput ORDER BY minute',
  );
  const oldest = oldestWaiting(db, now);
  return {
    // SQLite's rows have no prototype; what leaves here are objects like any other.
    counts: counts.map((row) => ({ ...row })),
    oldestWaiting: oldest?.due ?? null,
    oldestWaitingId: oldest === null ? null : idOf(db, oldest.job),
    nextDue: nextDueAfter(db, now),
    throughput: throughput.map((row) => ({ ...row })),
  };
}

interface Place {
  readonly due: number;
  readonly job: number;
}

/** What is due waits, also before a claim has promoted it: perhaps there is no worker. */
function oldestWaiting(db: Connection, now: number): Place | null {
  const ready = oldestReady(db);
  const due = nextDue(db);
  if (due === null || due > now || (ready !== null && ready.due <= due)) return ready;
  return db.get<Place>('SELECT due, min(job) AS job FROM delayed WHERE due = ?', due) ?? ready;
}

function idOf(db: Connection, key: number): string | null {
  return db.get<{ id: string }>('SELECT id FROM job WHERE key = ?', key)?.id ?? null;
}

function nextDueAfter(db: Connection, now: number): number | null {
  const row = db.get<{ due: number | null }>(
    'SELECT min(due) AS due FROM delayed WHERE due > ?',
    now,
  );
  return row?.due ?? null;
}

/**
 * `due` is the third column of the ready index: one seek for each lane and rank in use,
 * instead of a walk through everything that waits.
 */
function oldestReady(db: Connection): Place | null {
  let oldest: Place | null = null;
  for (const lane of servedLanes(db, null)) {
    for (let rank = firstRank(db, lane, null); rank !== null; rank = firstRank(db, lane, rank)) {
      const place = db.get<Place>(
        'SELECT due, job FROM ready WHERE lane = ? AND rank = ? ORDER BY due, job LIMIT 1',
        lane,
        rank,
      );
      if (place !== undefined && (oldest === null || place.due < oldest.due)) oldest = place;
    }
  }
  return oldest;
}

/** The lowest rank in use above `above`, or null. */
function firstRank(db: Connection, lane: number, above: number | null): number | null {
  const row = db.get<{ rank: number | null }>(
    'SELECT min(rank) AS rank FROM ready WHERE lane = ? AND rank > ?',
    lane,
    above ?? Number.MIN_SAFE_INTEGER,
  );
  return row?.rank ?? null;
}

/** When the next delayed job becomes or became due. */
export function nextDue(db: Connection): number | null {
  return db.get<{ due: number | null }>('SELECT min(due) AS due FROM delayed')?.due ?? null;
}
