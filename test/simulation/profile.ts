// What a seed's world is like. Each has a theme, some kinds of fault and not others: where
// everything happens at once, one fault hides what another would show.

import type { Chance } from '../fixtures/random.ts';

export interface Profile {
  readonly theme: Theme;
  readonly workers: number;
  readonly concurrency: number;
  readonly jobs: number;
  /** Ms of faults, then of calm. */
  readonly storm: number;
  /** Settings, in seconds as they are stored. */
  readonly lease: number;
  readonly backoffBase: number;
  readonly backoffMax: number;
  /** Longest run of a command, ms. */
  readonly longest: number;

  /** Ms between two of these, on average; 0: none. */
  readonly requests: number;
  readonly stops: number;
  readonly kills: number;
  readonly pauses: number;
  /** Of the wall clock. */
  readonly jumps: number;
  /** Of the whole machine. */
  readonly sleeps: number;

  /** Share of the turns right after whose commit the worker is killed, or stopped. */
  readonly killedAfterTurn: number;
  readonly stoppedAfterTurn: number;
  /** Share of the store's calls that … */
  readonly failsBefore: number;
  readonly failsAfter: number;
  readonly late: number;
  /** Share of the commits whose hint is missed. */
  readonly deaf: number;
  /** Share of the commands that cannot be killed for a while. */
  readonly stuck: number;
  /** Share of the commands that cannot be started. */
  readonly unstartable: number;
}

type Theme = 'people' | 'crashes' | 'freezes' | 'storage' | 'slowness' | 'clocks' | 'everything';

const THEMES = [
  'people',
  'crashes',
  'crashes',
  'freezes',
  'freezes',
  'storage',
  'slowness',
  'slowness',
  'clocks',
  'everything',
] as const satisfies Theme[];

export function drawProfile(chance: Chance): Profile {
  const theme = chance.one(THEMES);
  const is = (...themes: Theme[]): boolean => theme === 'everything' || themes.includes(theme);
  const sometimes = (share: number, value: number): number => (chance.happens(share) ? value : 0);
  const jumps = is('clocks') ? sometimes(0.7, chance.between(500, 2000)) : 0;
  return {
    theme,
    workers: chance.between(is('freezes', 'slowness') ? 2 : 1, 3),
    concurrency: chance.between(1, 2),
    jobs: chance.between(2, 7),
    storm: chance.between(2, 7) * 1000,
    lease: chance.one([1, 1, 2, 3]),
    backoffBase: chance.between(1, 2),
    backoffMax: chance.one([0, 0, 1, 3]),
    longest: chance.one([50, 500, 3000, 6000]),
    requests: sometimes(is('people') ? 1 : 0.3, chance.between(100, 1000)),
    stops: sometimes(is('people') ? 0.7 : 0.1, chance.between(500, 3000)),
    kills: is('crashes') ? chance.between(300, 2000) : 0,
    pauses: is('freezes') ? chance.between(500, 3000) : 0,
    jumps,
    sleeps: is('clocks') ? sometimes(0.5, chance.between(1000, 4000)) : 0,
    killedAfterTurn: is('crashes') ? sometimes(0.5, 0.1) : 0,
    stoppedAfterTurn: is('freezes') ? 0.15 : 0,
    failsBefore: is('storage') ? sometimes(0.6, chance.one([0.05, 0.2])) : 0,
    failsAfter: is('storage') ? sometimes(0.6, chance.one([0.02, 0.1])) : 0,
    late: is('slowness') ? chance.one([0.02, 0.1]) : 0,
    deaf: sometimes(0.3, chance.one([0.1, 1])),
    stuck: sometimes(0.2, 0.3),
    // The checker knows the wait after it, but by no clock that is set.
    unstartable: jumps > 0 ? 0 : sometimes(0.2, 0.1),
  };
}
