// Deleting jobs with their attempts. Guards guarantee 3: what runs is never deleted, since
// nobody could then record how it ended.

import type { State } from '../../job.ts';
import { TERMINAL_STATES } from '../../job.ts';
import type { DeleteAnswer, Found } from '../store.ts';
import type { Connection } from './connection.ts';
import { stillMatching } from './filter.ts';
import { isWaiting, removeWaiting, type Standing, STANDING, WAITING_STATES } from './place.ts';

type Row = Standing & { readonly state: State };

export function deleteJob(db: Connection, id: string): DeleteAnswer {
  const job = db.get<Row>(`SELECT ${STANDING}, job.state FROM job WHERE id = ?`, id);
  if (job === undefined) return 'not_found';
  if (job.state === 'processing') return 'wrong_state';
  erase(db, job);
  return { deleted: job.key };
}

export function deleteFound(db: Connection, found: Found): number[] {
  const states = [...WAITING_STATES, ...TERMINAL_STATES];
  const jobs = stillMatching<Row>(db, found, `${STANDING}, job.state`, states);
  for (const job of jobs) erase(db, job);
  return jobs.map(({ key }) => key);
}

function erase(db: Connection, job: Row): void {
  if (isWaiting(job.state)) removeWaiting(db, job);
  db.run('DELETE FROM attempt WHERE job = ?', job.key);
  db.run("DELETE FROM job WHERE key = ? AND state <> 'processing'", job.key);
}
