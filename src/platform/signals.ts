// Names and numbers of signals, the real-time ones included, which the runtimes do not
// name. Guards fault 52: whatever ended a command is told by its name.

import { constants } from 'node:os';

/** The first real-time signal for programs; the C library keeps 32 and 33 for itself. */
const SIGRTMIN = 34;

const NUMBERS: ReadonlyMap<string, number> = new Map(Object.entries(constants.signals));
/** Reversed, so that of two names for one number the first counts: SIGABRT, not SIGIOT. */
const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.signals)
    .toReversed()
    .map(([name, number]) => [number, name]),
);

export interface SignalName {
  readonly name: string;
  readonly number: number;
}

/** From what a runtime reports: a name, or a number where it knows no name. */
export function signalOf(reported: string | number): SignalName {
  if (typeof reported === 'number') return { name: nameOf(reported), number: reported };
  return { name: reported, number: numberOfSignal(reported) };
}

/** The number of a signal by the name it is given here; 0 for a name that is none. */
export function numberOfSignal(name: string): number {
  const unnamed = /^SIG(?:(\d+)|RTMIN(?:\+(\d+))?)$/.exec(name);
  if (unnamed === null) return NUMBERS.get(name) ?? 0;
  const [, number, offset = 0] = unnamed;
  return number === undefined ? SIGRTMIN + Number(offset) : Number(number);
}

function nameOf(number: number): string {
  const known = NAMES.get(number);
  if (known !== undefined) return known;
  if (number < SIGRTMIN) return `SIG${number}`;
  return number === SIGRTMIN ? 'SIGRTMIN' : `SIGRTMIN+${number - SIGRTMIN}`;
}
