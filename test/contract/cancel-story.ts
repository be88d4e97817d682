// What guarantee 9 allows: the answers about one job in the order in which they were given,
// and the state it is in at last, checked against a small model. For cancel-races.ts.

import assert from 'node:assert/strict';
import type { Job, Outcome, State } from '../../src/job.ts';
import type { CancelAnswer, Found, Recorded, Store } from '../../src/store/store.ts';
import { SUCCESS } from './values.ts';

/** Each answer must have been given this often, or there was no race. */
const OFTEN = 20;

/** What was answered about one job. */
export type Event =
  | { readonly what: 'claimed' }
  | { readonly what: 'ended'; readonly outcome: Outcome; readonly recorded: Recorded }
  | { readonly what: 'cancel'; readonly answer: CancelAnswer }
  /** By a filter on these states; [] is any. */
  | { readonly what: 'sweep'; readonly states: readonly State[]; readonly answer: SweepAnswer };

type SweepAnswer = 'cancelled' | 'cancel_requested' | 'left_alone';

/** `cancel --queue …`, and the same `--state pending,failed`: never of what runs. */
export const SWEPT: readonly (readonly State[])[] = [[], ['pending', 'failed']];

const ANSWER: Record<State, CancelAnswer> = {
  blocked: 'cancelled',
  pending: 'cancelled',
  failed: 'cancelled',
  processing: 'cancel_requested',
  completed: 'already_finished',
  dead: 'already_finished',
  cancelled: 'already_finished',
};

function sweepAnswer(state: State, states: readonly State[]): SweepAnswer {
  const answer = ANSWER[state];
  const matches = states.length === 0 || states.includes(state);
  return matches && (answer === 'cancelled' || answer === 'cancel_requested')
    ? answer
    : 'left_alone';
}

/** What `cancelFound` has answered about the one job that was found. */
export function swept({ filter: { states } }: Found, answer: FoundAnswer): Event {
  if (answer.cancelled.length > 0) return { what: 'sweep', states, answer: 'cancelled' };
  if (answer.requested.length > 0) return { what: 'sweep', states, answer: 'cancel_requested' };
  return { what: 'sweep', states, answer: 'left_alone' };
}

type FoundAnswer = Awaited<ReturnType<Store['cancelFound']>>;

/** Whether guarantee 9 allows these answers, in this order, about a job that is now `job`. */
export function isKept(events: readonly Event[], job: Job): boolean {
  let state: State = 'pending';
  let flagged = false;
  for (const event of events) {
    if (event.what === 'claimed') {
      if (state !== 'pending' && state !== 'failed') return false;
      state = 'processing';
    } else if (event.what === 'cancel') {
      if (event.answer !== ANSWER[state]) return false;
      if (event.answer === 'cancelled') state = 'cancelled';
      flagged = event.answer === 'cancel_requested';
    } else if (event.what === 'sweep') {
      if (event.answer !== sweepAnswer(state, event.states)) return false;
      if (event.answer === 'cancelled') state = 'cancelled';
      // What a filter leaves alone may have been flagged before.
      flagged ||= event.answer === 'cancel_requested';
    } else if (!event.recorded.stale) {
      const succeeded = event.outcome === SUCCESS;
      const next: State = event.recorded.state;
      if (state !== 'processing') return false;
      if (flagged !== (next === 'cancelled')) return false;
      if (!flagged && succeeded !== (next === 'completed')) return false;
      state = next;
      flagged = false;
    }
  }
  // Whoever was told that it is cancelled finds it so, unless its success was first.
  const isDone = state === 'completed' || state === 'cancelled';
  return job.state === state && (isDone || events.every(leavesAlone));
}

function leavesAlone(event: Event): boolean {
  return event.what === 'sweep' ? event.answer === 'left_alone' : event.what !== 'cancel';
}

export function told(seed: number, events: readonly Event[], { state }: Job): string {
  const all = events.map((event) => JSON.stringify(event));
  return `seed ${seed}: ${all.join(', ')}, at last ${state}`;
}

/** Counts what a job's story was, in short. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(events: readonly Event[]): void {
    for (const event of events) {
      if (event.what === 'cancel') this.#one(event.answer);
      else if (event.what === 'sweep') this.#one(`filter: ${event.answer}`);
      else if (event.what === 'ended') {
        this.#one(event.recorded.stale ? 'stale' : `ended ${event.recorded.state}`);
      }
    }
  }

  #one(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  assertAll(names: readonly string[]): void {
    for (const name of names) assert.ok((this.#counts.get(name) ?? 0) >= OFTEN, this.toString());
  }

  toString(): string {
    return [...this.#counts].map(([name, n]) => `${n} ${name}`).join(', ');
  }
}
