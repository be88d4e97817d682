// What a worker costs while there is nothing to do.

import { setTimeout as sleep } from 'node:timers/promises';
import { mebibytes, ms } from './lib/figures.ts';
import { Home } from './lib/place.ts';
import { printTable, type Row } from './lib/table.ts';
import { memoryOf, usageOf } from './lib/watched.ts';

const SECONDS = 30;
/** Of one core: next to nothing. */
const SHARE = 0.01;

export async function idle(): Promise<boolean> {
  const home = new Home('idle');
  home.queuectl('worker', 'start');
  const pidOf = (role: 'worker' | 'supervisor'): number =>
    home.query<{ pid: number }>(`SELECT pid FROM ${role}`)[0]?.pid ?? 0;
  const roles = (['worker', 'supervisor'] as const).map((role) => ({ role, pid: pidOf(role) }));
  await sleep(2000);
  const before = roles.map(({ pid }) => usageOf(pid));
  await sleep(SECONDS * 1000);
  const rows = roles.map(({ role, pid }, index): Row => {
    const { cpu, sleeps } = usageOf(pid);
    const used = cpu - (before[index]?.cpu ?? 0);
    const wakeUps = (sleeps - (before[index]?.sleeps ?? 0)) / SECONDS;
    const { rss, own } = memoryOf(pid);
    return {
      what: `${role}: CPU, wake-ups, memory (its own)`,
      median: `${ms(used)}, ${wakeUps.toFixed(1)}/s, ${mebibytes(rss)} (${mebibytes(own)})`,
      target: `≤ ${SHARE * 100} % of a core`,
      met: used <= SHARE * SECONDS * 1000,
    };
  });
  home.queuectl('worker', 'stop');
  return printTable(`An idle worker, over ${SECONDS} s`, rows);
}
