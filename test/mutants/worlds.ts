// The worlds of the simulation that mutants are sent through. Most show in any; for some
// there are worlds with more of the fault that they guard against.

import type { Profile } from '../simulation/profile.ts';

export const WORLDS = {
  'of all kinds': {},
  'where workers are stopped': {
    theme: 'freezes',
    workers: 3,
    lease: 1,
    kills: 0,
    pauses: 700,
    stoppedAfterTurn: 0.3,
  },
  'where the storage fails': { theme: 'storage', workers: 2, lease: 1, failsBefore: 0.3 },
  'where workers are told to stop': { theme: 'people', stops: 400, workers: 2 },
} as const satisfies Readonly<Record<string, Partial<Profile>>>;
