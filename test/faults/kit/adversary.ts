// Who decides in a storm what is done to whom, and when. It knows a seed and nothing else:
// the same seed gives the same list of deeds on every machine. What a deed meets depends on
// the processes that are there at that moment, so a victim is a role and a draw, not a pid.

import { Chance, seeded } from '../../fixtures/random.ts';

export type Role = 'worker' | 'supervisor' | 'command';

export interface Victim {
  readonly role: Role;
  /** In [0, 1): which of those that are there. */
  readonly pick: number;
}

export type Deed =
  /** SIGKILL, one or several in the same moment. */
  | { readonly what: 'kill'; readonly victims: readonly Victim[] }
  /** SIGSTOP, and SIGCONT `ms` later. */
  | { readonly what: 'freeze'; readonly victim: Victim; readonly ms: number }
  /** SIGTERM; `twice`: another one soon after, which means now. */
  | { readonly what: 'terminate'; readonly victim: Victim; readonly twice: boolean }
  /** An enqueuer is killed, `moment` of its usual time after its start. */
  | { readonly what: 'kill enqueuer'; readonly jobs: number; readonly moment: number };

export interface Decision {
  /** Ms after the one before. */
  readonly after: number;
  readonly deed: Deed;
}

export interface Tempo {
  /** Ms between two deeds. */
  readonly least: number;
  readonly most: number;
  /** Ms: freezes last up to a good deal more, so that some leases run out and some do not. */
  readonly lease: number;
}

/** Shares as in the plan of faults: 60 % kills, 20 % freezes, 10 % TERM, 10 % enqueuers. */
export function* adversary(seed: number, tempo: Tempo): Generator<Decision, never> {
  const draw = seeded(seed);
  const chance = new Chance(draw);
  const victim = (): Victim => ({ role: role(draw()), pick: draw() });
  for (;;) {
    const after = chance.between(tempo.least, tempo.most);
    const dice = draw();
    if (dice < 0.6) {
      // Now and then a worker goes together with whoever would have noticed.
      const size = draw();
      const victims = Array.from({ length: size < 0.5 ? 1 : size < 0.85 ? 2 : 3 }, victim);
      yield { after, deed: { what: 'kill', victims } };
    } else if (dice < 0.8) {
      const [least, most] = chance.happens(0.5)
        ? [tempo.lease * 0.1, tempo.lease * 0.8]
        : [tempo.lease * 1.6, tempo.lease * 2.2];
      const frozen: Victim = { role: chance.happens(0.85) ? 'worker' : 'supervisor', pick: draw() };
      const ms = chance.between(Math.round(least), Math.round(most));
      yield { after, deed: { what: 'freeze', victim: frozen, ms } };
    } else if (dice < 0.9) {
      const told: Victim = { role: chance.happens(0.7) ? 'worker' : 'supervisor', pick: draw() };
      yield { after, deed: { what: 'terminate', victim: told, twice: chance.happens(0.4) } };
    } else {
      const jobs = chance.happens(0.4) ? 1 : chance.between(5, 60);
      yield { after, deed: { what: 'kill enqueuer', jobs, moment: draw() * 1.2 } };
    }
  }
}

function role(dice: number): Role {
  if (dice < 0.55) return 'worker';
  return dice < 0.7 ? 'supervisor' : 'command';
}

/** `kill worker 0.42, command 0.91`. */
export function tell(deed: Deed): string {
  const named = ({ role: who, pick }: Victim): string => `${who} ${pick.toFixed(2)}`;
  switch (deed.what) {
    case 'kill':
      return `kill ${deed.victims.map(named).join(', ')}`;
    case 'freeze':
      return `freeze ${named(deed.victim)} for ${deed.ms} ms`;
    case 'terminate':
      return `terminate ${named(deed.victim)}${deed.twice ? ' twice' : ''}`;
    case 'kill enqueuer':
      return `kill enqueuer of ${deed.jobs} at ${deed.moment.toFixed(2)}`;
  }
}
