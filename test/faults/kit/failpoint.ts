// A process killed, stopped or failed at one exact step: the test's side of
// src/failpoint.ts. Armed for one process, whichever of those that get the environment
// reaches the step first; and every wait is for the step itself, never for time.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Action, Step } from '../../../src/failpoint.ts';
import { type Crew, isAlive, signal, until } from '../../fixtures/crew.ts';

export interface Failpoint {
  /** For calls; `worker start` hands it on to its supervisor and workers. */
  readonly env: Readonly<Record<string, string>>;
  /** Whether somebody was there already. */
  hasFired(): boolean;
  /** Waits until somebody is there; answers the pid. */
  fired(): Promise<number>;
  /** Waits until that process stands still, all of its threads. */
  stopped(): Promise<number>;
  /** Waits until that process is gone. */
  killed(): Promise<number>;
  /** Lets a stopped one go on. */
  proceed(): void;
}

let armed = 0;

/** `nth`: the how many-th time one process gets there. */
export function arm(queue: Crew, step: Step, action: Action, nth = 1): Failpoint {
  armed += 1;
  const once = join(queue.directory, `failpoint.${armed}`);
  const pid = (): number => (existsSync(once) ? Number(readFileSync(once, 'latin1')) : 0);
  // 0 also for a file that is made and not yet written.
  const fired = (): Promise<number> => until(`${step} is reached`, () => pid() > 0 && pid());
  return {
    env: { QUEUECTL_FAILPOINT: `${step}:${action}@${nth}`, QUEUECTL_FAILPOINT_ONCE: once },
    hasFired: () => pid() > 0,
    fired,
    stopped: async () => {
      const who = await fired();
      await until(`${who} stands still at ${step}`, () => standsStill(who));
      return who;
    },
    killed: async () => {
      const who = await fired();
      await until(`${who} is gone at ${step}`, () => !isAlive(who));
      return who;
    },
    proceed: () => signal(pid(), 'SIGCONT'),
  };
}

function standsStill(pid: number): boolean {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.every((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
  });
}
