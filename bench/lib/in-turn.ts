// Commands timed from the outside, as whole processes, in turn: A B C, A B C … so that
// what else the machine does hits all of them. One bash starts and times them: starting a
// process from there costs a tenth of what it costs from Node, and its `times` knows the
// CPU time of everything that was waited for, grandchildren included.

import { spawnSync } from 'node:child_process';
import { environment, outputOf } from './place.ts';

export interface Timed {
  readonly command: readonly string[];
  /** Run before each time, and not timed. */
  readonly prepare?: readonly string[];
  /** QUEUECTL_HOME. */
  readonly home?: string;
}

export interface Samples {
  /** Ms, one a run. */
  readonly wall: number[];
  /** User and system time of the process and its descendants, ms, one a run. */
  readonly cpu: number[];
}

const SCRIPT = `
LC_ALL=C
timed() {
  times
  local begun=$EPOCHREALTIME
  "$@" </dev/null >/dev/null 2>&1 || { echo "failed ($?): $*" >&2; exit 1; }
  echo "wall $begun $EPOCHREALTIME"
  times
}
`;

/** `runs` of each after `warmUp` that do not count; by the names given. */
export function inTurn<Name extends string>(
  commands: Readonly<Record<Name, Timed>>,
  { runs, warmUp = 2 }: { runs: number; warmUp?: number },
): Record<Name, Samples> {
  const names = Object.keys(commands) as Name[];
  const round = names.map((name) => scriptOf(commands[name])).join('\n');
  const loop = `for ((round = 0; round < ${runs + warmUp}; round++)); do\n${round}\ndone\n`;
  const options = { encoding: 'utf8', env: environment(''), maxBuffer: 2 ** 28 } as const;
  const lines = outputOf(spawnSync('bash', ['-c', SCRIPT + loop], options))
    .trimEnd()
    .split('\n');

  const result = Object.fromEntries(
    names.map((name): [string, Samples] => [name, { wall: [], cpu: [] }]),
  ) as Record<Name, Samples>;
  for (let at = warmUp * names.length; at * LINES < lines.length; at += 1) {
    const [, before = '', wall = '', , after = ''] = lines.slice(at * LINES, (at + 1) * LINES);
    const [, begun, ended] = wall.split(' ').map(Number) as [number, number, number];
    const samples = result[names[at % names.length] as Name];
    samples.wall.push((ended - begun) * 1000);
    samples.cpu.push(childrenOf(after) - childrenOf(before));
  }
  return result;
}

/** What SCRIPT prints a run: two lines of `times`, the clock, two lines of `times`. */
const LINES = 5;

/** The second line of `times`, such as `0m0.004s 1m0.001s`: user and system time, in ms. */
function childrenOf(line: string): number {
  let sum = 0;
  for (const [, minutes, seconds] of line.matchAll(/(\d+)m([\d.]+)s/g)) {
    sum += Number(minutes) * 60_000 + Number(seconds) * 1000;
  }
  return sum;
}

function scriptOf({ command, prepare, home }: Timed): string {
  const assignment = home === undefined ? '' : `QUEUECTL_HOME=${quote(home)} `;
  const before =
    prepare === undefined ? '' : `${assignment}${words(prepare)} >/dev/null || exit 1\n`;
  return `${before}${assignment}timed ${words(command)}`;
}

function words(command: readonly string[]): string {
  return command.map(quote).join(' ');
}

function quote(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
