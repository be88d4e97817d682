// What a storm's jobs do. Each writes, outside the queue, when it starts and ends, and holds
// a lock for as long as it or anything it started lives; the next attempt tests that lock.

import { Chance, seeded } from '../../fixtures/random.ts';
import type { Span } from './history.ts';

export const JOB_SCRIPT = 'job.sh';
export const SPANS = 'spans';

/**
 * Lines `S id attempt at pid`, `E id attempt at pid code`. One small append each, which the
 * kernel does not split. The time is that of the clock that the queue writes down, in µs,
 * taken by the shell itself: a process of its own for it would cost more than the job. With
 * an exit code other than 1 flock did not find the lock taken; it was killed itself.
 */
export const SCRIPT = `
tell() { echo "$1 $QUEUECTL_JOB_ID $QUEUECTL_ATTEMPT $EPOCHREALTIME $$ $2" >>${SPANS}; }
exec 9>>"locks/$QUEUECTL_JOB_ID"
flock -n 9
[ $? = 1 ] && tell OVERLAP
tell S
(eval "$1")
code=$?
tell E $code
exit $code
`;

/** A process of theirs may outlive them: see `Kind` and the guarantees. */
export const LEAVES_GROUP = 'setsid';

const KINDS = {
  /** Succeeds, sooner or later. */
  plain: (takes: string) => ({ body: `sleep ${takes}`, max_retries: 8 }),
  /** Succeeds at its second or third attempt. */
  flaky: (takes: string, n: number) => ({
    body: `sleep ${takes}; [ $QUEUECTL_ATTEMPT -gt ${1 + (n % 2)} ] || exit 4`,
    max_retries: 8,
  }),
  /** Ends in the dead letter queue, and again when it is retried. */
  failing: (takes: string) => ({ body: `sleep ${takes}; exit 3`, max_retries: 1 }),
  /** A process that leaves the group, and would meet the next attempt if it were left alone. */
  [LEAVES_GROUP]: (takes: string) => ({
    body: `setsid -f sleep 1.5; sleep ${takes}; sleep 1.5`,
    max_retries: 8,
  }),
  /** Without the marker in its environment. */
  cleared: (takes: string) => ({ body: `env -i sleep ${takes}`, max_retries: 8 }),
  /** Only KILL ends it; would run for long enough to meet its successor. */
  stubborn: (takes: string) => ({ body: `trap '' TERM; sleep ${takes}; sleep 2`, max_retries: 8 }),
  long: (takes: string) => ({ body: `sleep 3; sleep ${takes}`, max_retries: 8 }),
  /** Leaves something behind in its group. */
  background: (takes: string) => ({ body: `sleep 30 & sleep ${takes}`, max_retries: 8 }),
  late: (takes: string) => ({ body: `sleep ${takes}; sleep 3`, max_retries: 1, timeout: '1s' }),
  loud: () => ({ body: 'head -c 200000 /dev/zero | tr "\\0" x', max_retries: 8 }),
} as const;

type Kind = keyof typeof KINDS;

const KIND_NAMES: readonly Kind[] = [
  ...Array.from({ length: 8 }, () => 'plain' as const),
  ...(Object.keys(KINDS) as Kind[]),
  'flaky',
  'failing',
];

/** The n-th job: the same for the same seed, whatever was asked in between. Its id tells its kind. */
export function jobOf(n: number, seed: number): { readonly id: string; readonly line: string } {
  const chance = new Chance(seeded(seed + Math.imul(n, 0x9e3779b1)));
  const kind = chance.one(KIND_NAMES) ?? 'plain';
  const { body, ...fields } = KINDS[kind]((chance.between(5, 30) / 100).toFixed(2), n);
  const id = `${kind}-${n}`;
  const args = ['bash', JOB_SCRIPT, body];
  return { id, line: JSON.stringify({ id, args, ...fields }) };
}

export function kindOf(id: string): string {
  return id.slice(0, id.lastIndexOf('-'));
}

/** What they have written, in the order in which they did. */
export function spansOf(text: string): Span[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const [what, id, attempt, at, , code] = line.split(' ');
    if ((what !== 'S' && what !== 'E' && what !== 'OVERLAP') || id === undefined) {
      throw new Error(`not a line of a job: ${line}`);
    }
    // Cut to whole ms, as the queue does.
    const ms = Math.floor(Number(at?.replace(',', '.')) * 1000);
    return { what, id, attempt: Number(attempt), at: ms, code: Number(code ?? 0) };
  });
}
