// The storage contract (src/store/store.ts) as tests. One call holds a backend to all of
// it: `contract('SQLite', backend)`.

import { describe } from 'node:test';
import type { Backend } from './backend.ts';
import { cancel } from './cancel.ts';
import { cancelRaces } from './cancel-races.ts';
import { claim } from './claim.ts';
import { connection } from './connection.ts';
import { deadLetterQueue } from './dead.ts';
import { due } from './due.ts';
import { enqueue } from './enqueue.ts';
import { fencing } from './fencing.ts';
import { histories } from './histories.ts';
import { leases } from './leases.ts';
import { list } from './list.ts';
import { races } from './races.ts';
import { results } from './results.ts';
import { retention } from './retention.ts';
import { settings } from './settings.ts';
import { stats } from './stats.ts';
import { stop } from './stop.ts';
import { verbs } from './verbs.ts';
import { workers } from './workers.ts';
import { type ContractTest, subject, type WorldOptions } from './world.ts';

const SUBJECTS: readonly [string, (test: ContractTest) => void, WorldOptions?][] = [
  ['enqueue', enqueue],
  ['claim order', claim],
  ['due times', due],
  ['results', results],
  ['fencing', fencing],
  ['leases and reap', leases],
  ['cancel', cancel],
  ['dead letter queue', deadLetterQueue],
  ['edit, delete and filters', verbs],
  ['retention', retention],
  ['workers', workers],
  ['stop', stop],
  ['list', list],
  ['counts and rates', stats],
  ['settings', settings],
  ['connection', connection],
  ['random histories', histories],
  ['racing processes', races],
  ['cancel races', cancelRaces, { inMemory: true }],
];

export function contract(name: string, backend: Backend): void {
  describe(`${name} contract`, () => {
    for (const [title, declare, options] of SUBJECTS) {
      subject(backend, title, declare, options);
    }
  });
}
