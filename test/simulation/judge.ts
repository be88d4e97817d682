// What happened in one simulated world, as a history for the checker, and what only a
// simulation can tell, because it knows what was done to whom.

import { DatabaseSync } from 'node:sqlite';
import type { Store } from '../../src/store/store.ts';
import { allJobs } from '../contract/invariants.ts';
import { check } from '../faults/kit/checker.ts';
import type { Asked, JobSeen, Killed } from '../faults/kit/history.ts';
import type { Commands } from './commands.ts';
import type { Profile } from './profile.ts';
import type { Broken, Storage } from './storage.ts';

/** Ms from a kill to its record. Where nothing else goes wrong others come after at most 2 s. */
const NOTICED_MS = 10_000;
const NOTICED_IN_CHAOS_MS = 60_000;

export interface World {
  readonly profile: Profile;
  readonly storage: Storage;
  readonly commands: Commands;
  readonly asked: readonly Asked[];
  readonly killed: readonly Killed[];
  readonly witness: Store;
  readonly database: string;
}

export async function judge(world: World): Promise<Broken[]> {
  const { profile, storage, commands, asked, killed, database } = world;
  const jobs = await jobsOf(world);
  const { backoffBase, jumps } = profile;
  const history = {
    asked,
    spans: commands.spans,
    killed,
    backoffBase,
    // By a clock that is set, a wait may be shorter; Storage judges those by that clock.
    backoffMax: jumps > 0 ? 0 : profile.backoffMax,
    noticedWithin: profile.theme === 'crashes' ? NOTICED_MS : NOTICED_IN_CHAOS_MS,
  };
  const seen = { jobs, integrity: integrityOf(database), left: commands.running, leaks: [] };
  return [...check(history, seen), ...storage.broken, ...jobs.flatMap((job) => losses(job, world))];
}

async function jobsOf({ witness, storage }: World): Promise<JobSeen[]> {
  const jobs: JobSeen[] = [];
  for (const { key, id, state, attempts, maxRetries } of await allJobs(witness)) {
    const history = (await witness.attempts(key)).map((attempt) => {
      const committed = storage.committed.get(attempt.runToken);
      const { number, runToken, pid, outcome, exitCode } = attempt;
      const startedAt = committed?.startedAt ?? Number.NaN;
      const finishedAt = committed?.finishedAt ?? null;
      return { number, runToken, pid, outcome, exitCode, startedAt, finishedAt };
    });
    jobs.push({ id, state, attempts, maxRetries, history });
  }
  return jobs;
}

/** A worker to whom nothing was done loses nothing. */
function losses({ id, history }: JobSeen, { storage, commands }: World): Broken[] {
  const found: Broken[] = [];
  for (const { number, runToken, outcome } of history) {
    const worker = storage.committed.get(runToken)?.process;
    if (outcome !== 'lost' || worker === undefined) continue;
    const told = `${id}: attempt ${number} of ${worker.name} was recorded lost`;
    if (worker.troubles.size === 0) found.push({ invariant: 'the living lose nothing', told });
    const ended = commands.spans.some(
      (span) => span.what === 'E' && span.id === id && span.attempt === number,
    );
    const refused = [...worker.troubles].every((trouble) => trouble === 'failed before');
    if (refused && ended) found.push({ invariant: 'no result lost', told });
  }
  return found;
}

function integrityOf(database: string): string {
  const db = new DatabaseSync(database);
  try {
    const rows = db.prepare('PRAGMA integrity_check').all();
    return rows.map((row) => String(row['integrity_check'])).join();
  } finally {
    db.close();
  }
}
