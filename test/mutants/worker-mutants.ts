// Guards of what works on jobs: workers and reapers.

import { edit, type Mutant, named, scene, simulated } from './mutant.ts';

const REAPER = 'src/worker/reaper.ts';
const WORKER = 'src/worker/worker.ts';
const LEASE = 'src/worker/lease.ts';
const IDENTITY = 'src/platform/identity.ts';

const LEASES = 'test/unit/worker-leases.test.ts';
const REAPING = 'test/unit/reaper.test.ts';

export const WORKER_MUTANTS: readonly Mutant[] = [
  // ── the worker ─────────────────────────────────────────────────────────────────────────
  {
    name: 'a result whose commit failed is kept and written later',
    edits: [
      edit(WORKER, 'const ended = [...this.#ended];', 'const ended = this.#ended.splice(0);'),
      edit(WORKER, 'this.#ended = this.#ended.slice(ended.length);', ''),
    ],
    caughtBy: simulated('no result lost', 'where the storage fails'),
  },
  {
    name: 'a claim that comes back after its lease is confirmed before it starts',
    edits: [edit(WORKER, 'if (env.boot() - sure < lease)', 'if (sure > 0)')],
    caughtBy: simulated('6 no start after the end', 'where workers are stopped'),
  },
  {
    name: 'an attempt whose lease is lost is ended',
    edits: [edit(LEASE, "slot.attempt.end('lost');", '')],
    caughtBy: named(
      LEASES,
      'a renewal that answers lost kills the attempt, and nothing is recorded',
    ),
  },
  {
    name: 'results that are not written yet keep their leases',
    edits: [edit(LEASE, 'attempts: [...ours, ...ended()]', 'attempts: (ended(), ours)')],
    caughtBy: simulated('no result lost', 'where the storage fails'),
  },
  {
    name: 'a worker that was declared dead ends what it runs',
    edits: [edit(WORKER, 'if (!attention.registered)', 'if (attention.registered === null)')],
    caughtBy: named(
      LEASES,
      'a worker that was declared dead ends its attempts, records them and stops with an error',
    ),
  },

  {
    name: 'leases are renewed three times before they end',
    edits: [edit(LEASE, 'RENEWALS_PER_LEASE = 3', 'RENEWALS_PER_LEASE = 1')],
    caughtBy: named(LEASES, 'a renewal that fails is tried again before the lease is over'),
  },
  {
    name: 'a lease made longer is renewed before the short one has run out',
    edits: [edit(LEASE, 'this.#shortest = Math.min(this.#shortest, ms);', 'void ms;')],
    caughtBy: named(LEASES, 'a lease made longer is renewed before the short one has run out'),
  },
  {
    name: 'a damaged database ends the worker',
    edits: [edit(WORKER, "  'damaged',\n", '')],
    caughtBy: named(
      'test/unit/worker-storage.test.ts',
      'damage found by turn ends the attempts, and the worker rejects',
    ),
  },
  {
    name: 'everything is looked at once a second, whatever the watch says',
    edits: [
      edit(
        WORKER,
        '      this.#version = null;\n      this.#bell.ring();',
        '      this.#bell.ring();',
      ),
    ],
    caughtBy: named(
      REAPING,
      'a job that its own worker reaped is claimed by it when its backoff is over',
    ),
  },
  {
    name: 'what a claim brings after a stop is given back',
    edits: [edit(WORKER, 'if (this.#stopping) return this.#giveBack(job);', '')],
    caughtBy: named(
      'test/unit/worker-stop.test.ts',
      'what a claim under way brings after a stop is given back, not started',
    ),
  },
  {
    name: 'no more attempts than slots',
    edits: [
      edit(WORKER, 'this.#options.concurrency - this.#slots.size', 'this.#options.concurrency'),
    ],
    caughtBy: named(
      'test/unit/worker-claims.test.ts',
      'a worker claims up to its slots and never more',
    ),
  },

  // ── who is dead, and what is left of them (guarantees 5 to 7) ──────────────────────────
  {
    name: 'processes of a dead worker are gone before its jobs run again',
    edits: [
      edit(
        REAPER,
        'const ended = await this.#endProcesses(attempts, workerName, died);',
        'const ended = attempts;',
      ),
    ],
    caughtBy: scene('a worker is killed, and its command lives on', '3 no overlap'),
  },
  {
    name: 'a marker in the environment of each command',
    edits: [
      edit('src/worker/environment.ts', 'env[MARKER_NAME] = ', 'env[`NO_${MARKER_NAME}`] = '),
    ],
    caughtBy: scene('a worker is killed, and its command has left its group', '3 no overlap'),
  },
  {
    name: 'a roster of the groups that a worker runs',
    edits: [edit('src/worker/roster.ts', 'const line = `${runToken} ', 'const line = `0 ')],
    caughtBy: scene(
      'a worker is killed, and its command has cleared its environment',
      '3 no overlap',
    ),
  },
  {
    name: 'somebody looks for the dead',
    edits: [
      edit(
        REAPER,
        'const gone = workers.filter((worker) => this.#isGone(worker.identity));',
        'const gone = workers.filter(() => false);',
      ),
    ],
    caughtBy: simulated('7 backoff and notice'),
  },
  {
    name: 'pid identity: the start time tells who had a pid before',
    edits: [
      edit(
        IDENTITY,
        "return stat.startTime === startTime ? 'alive' : 'gone';",
        "return startTime === '' ? 'gone' : 'alive';",
      ),
    ],
    caughtBy: named('test/unit/identity.test.ts', 'each part of an identity counts'),
  },
  {
    name: 'pid identity: a group counts as long as its leader is the same',
    edits: [
      edit(
        'src/platform/members.ts',
        'if (owner.startTime === leader.startTime) held.add(leader.pid);',
        'held.add(leader.pid);',
      ),
    ],
    caughtBy: named('test/unit/processes.test.ts', 'a pid with another start time is a stranger'),
  },
  {
    name: 'zombies count as gone',
    edits: [
      edit(
        IDENTITY,
        "if (stat === null || isOver(stat)) return 'gone';",
        "if (stat === null) return 'gone';",
      ),
    ],
    caughtBy: named('test/unit/identity.test.ts', 'a zombie is gone'),
  },
  {
    name: 'lease check in the reaper: nobody alive is reaped before',
    edits: [edit(REAPER, '.filter(({ of }) => of.leaseUntil <= env.boot())', '')],
    caughtBy: simulated('no lease is cut short'),
  },
  {
    name: 'a living owner gets one renew interval more',
    edits: [edit(REAPER, 'now - suspicion.since < interval', 'now < suspicion.since')],
    caughtBy: named(
      REAPING,
      'a living owner that does not renew is reaped one renew interval after its lease',
    ),
  },
  {
    name: 'who could not write for a while gets its time once more',
    edits: [
      edit(REAPER, 'const suspicion = couldWrite ? ', 'const suspicion = couldWrite !== null ? '),
    ],
    caughtBy: named(
      REAPING,
      'a lock taken between suspicion and reaping gives the owner its time once more',
    ),
  },
  {
    name: 'who was asleep itself begins anew to suspect',
    edits: [
      edit(REAPER, 'if (env.boot() - this.#lastLook > HELD_UP_MS) this.#suspects = new Map();', ''),
    ],
    caughtBy: named(REAPING, 'after sleep or SIGSTOP of its own it begins anew to suspect'),
  },
  {
    name: 'what outlived the record of its worker is reaped, too',
    edits: [
      edit(
        REAPER,
        'await this.#reapOrphans(orphans.filter(({ owner }) => this.#isGone(owner)));',
        'void orphans;',
      ),
    ],
    caughtBy: named(
      REAPING,
      'orphans of a worker whose record was ended are reaped when it is gone',
    ),
  },

  {
    name: 'a dead worker’s record ends after its attempts',
    edits: [
      edit(
        REAPER,
        'if (!(await this.#reapAll(owned, worker.name, reason, true))) return false;',
        'await this.#reapAll(owned, worker.name, reason, true);',
      ),
    ],
    caughtBy: named(REAPING, 'leftovers that cannot be ended: not reaped, and tried again'),
  },
  {
    name: 'a lease is looked at once more before processes are ended',
    edits: [
      edit(REAPER, 'leases.get(runToken) === leaseUntil', 'leases.has(runToken) && leaseUntil > 0'),
    ],
    caughtBy: named(
      REAPING,
      'an owner that renews as soon as it can write keeps its processes too',
    ),
  },
  {
    name: 'what a dead worker was just starting is ended',
    edits: [
      edit('src/worker/leftovers.ts', 'if (worker !== null) traces', 'if (worker === "") traces'),
    ],
    caughtBy: named(
      'test/unit/leftovers.test.ts',
      'what a dead worker was just starting is ended with what it ran',
    ),
  },
  {
    name: 'a marker is whole or none',
    edits: [edit('src/platform/survey.ts', '(?:^|\\\\0)${MARKER_NAME}', '${MARKER_NAME}')],
    caughtBy: named('test/unit/processes.test.ts', 'a marker is whole or none'),
  },
];
