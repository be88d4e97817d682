// Random histories on a store and on the model of it (model.ts). What the store answers,
// and what it then shows, must be what the model says; and what the model did must be what
// the table of transitions in docs/states.md says, no more and no less.
//
// 20,000 commands a run (fewer on Bun: the model tests the store, and a quarter shows that
// it does the same there). MODEL_COMMANDS=1000000 runs longer. To repeat what failed, the
// test prints MODEL_SEED and MODEL_PATH.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { documentedTransitions } from '../fixtures/transitions.ts';
import { type Command, HISTORY } from './model-commands.ts';
import { keptHistories } from './model-kept.ts';
import { type Met, Pair } from './model-pair.ts';
import { shrunk } from './model-shrink.ts';
import { type ContractTest, World } from './world.ts';

const ON_BUN = process.versions['bun'] !== undefined;
const GOAL = Number(process.env['MODEL_COMMANDS'] ?? (ON_BUN ? 5000 : 20_000));
const BATCH = 25;

/** How often each transition must have been made for each thousand commands of GOAL. */
const OFTEN = 1;
/**
 * Chance may leave a rare transition out for a while: exploring goes on until none is
 * missing, and gives up after this many times GOAL. The rarest comes 1.8 times in a thousand
 * commands; that it comes less than a third as often in so many is out of the question.
 */
const PATIENCE = 4;

/** Every answer and refusal that the store has; each must have been met. */
const ANSWERS = [
  ...['created', 'was there', 'id_taken'].map((answer) => `enqueue: ${answer}`),
  ...['cancelled', 'cancel_requested', 'already_finished', 'not_found'].map(
    (answer) => `cancel: ${answer}`,
  ),
  ...['retried', 'wrong_state', 'not_found'].map((answer) => `retry: ${answer}`),
  ...['edited', 'wrong_state', 'not_found'].map((answer) => `edit: ${answer}`),
  ...['deleted', 'wrong_state', 'not_found'].map((answer) => `delete: ${answer}`),
  ...['retryFound', 'deleteFound', 'cancelFound', 'editFound'].flatMap((verb) => [
    `${verb}: some`,
    `${verb}: none`,
  ]),
  ...['as many as asked', 'fewer than asked', 'refused'].map((answer) => `claim: ${answer}`),
  ...['result', 'renew', 'reap'].flatMap((write) =>
    ['owned', 'ended', 'overtaken', 'deleted', 'forged'].map((why) => `${write}: ${why}`),
  ),
  ...['renewed', 'expired', 'crashed'].map((why) => `reap: ${why}`),
  'end worker: ended',
  'end worker: again',
  'closed: unavailable',
];

async function play(w: World, history: readonly Command[], met: Met): Promise<void> {
  const own = await World.create(w.backend, { inMemory: true });
  try {
    await (await Pair.create(own, met)).run(history);
  } finally {
    await own.remove();
  }
}

/** Random histories until there were enough commands and nothing is missing; says how many. */
async function explore(w: World, met: Met, seed: number): Promise<number> {
  let commands = 0;
  const path = process.env['MODEL_PATH'];
  const property = fc.asyncProperty(HISTORY, async (history) => {
    commands += history.length;
    await play(w, history, met);
  });
  const enough = (): boolean =>
    commands >= PATIENCE * GOAL || (commands >= GOAL && missing(met).length === 0);
  for (let batch = 0; !enough(); batch += 1) {
    const result = await fc.check(property, {
      seed: seed + batch,
      numRuns: BATCH,
      endOnFailure: true,
      ...(path !== undefined && { path }),
    });
    if (result.failed) throw await failure(w, result, commands);
    if (path !== undefined) break;
  }
  return commands;
}

async function failure(
  w: World,
  result: fc.RunDetails<[readonly Command[]]>,
  commands: number,
): Promise<Error> {
  const { seed, counterexamplePath, counterexample, errorInstance } = result;
  const met: Met = { transitions: new Map(), answers: new Map() };
  const { history, error } = await shrunk(counterexample?.[0] ?? [], errorInstance, (shorter) =>
    play(w, shorter, met),
  );
  const lines = history.map((command) => JSON.stringify(command));
  const told = [
    `Within ${commands} commands: store and model differ, or something else that must hold.`,
    `To repeat it: MODEL_SEED=${seed} MODEL_PATH=${counterexamplePath ?? ''}`,
    'To keep it, in test/contract/model-kept.ts:',
    `{\n  found: '…',\n  history: \`\n${lines.join('\n')}\n\`,\n},`,
    error instanceof Error ? error.message : String(error),
  ];
  return new Error(told.join('\n'), { cause: error });
}

export function histories(test: ContractTest): void {
  for (const { found, history } of keptHistories()) {
    test(`a kept history: ${found}`, async (w) => {
      await play(w, history, { transitions: new Map(), answers: new Map() });
    });
  }

  test(
    'the store does what the model says, and the model what the docs say',
    async (w, t) => {
      const met: Met = { transitions: new Map(), answers: new Map() };
      const seed = Number(process.env['MODEL_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
      const started = performance.now();
      const commands = await explore(w, met, seed);
      const took = performance.now() - started;
      const rate = Math.round((commands / took) * 1000);
      t.diagnostic(`MODEL_SEED=${seed}: ${commands} commands, ${rate} a second`);
      t.diagnostic(counted(met.transitions));
      t.diagnostic(counted(met.answers));
      // A history that is repeated alone need not meet everything.
      if (process.env['MODEL_PATH'] !== undefined) return;
      assert.ok(commands >= GOAL);
      assertDocumented(met.transitions);
      assert.deepEqual(missing(met), [], `not met in ${commands} commands`);
    },
    { timeout: 300_000 },
  );
}

function counted(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, n]) => `${name} ${n}`).join(' · ');
}

/** What the docs say can be done and was not done often enough, and answers never met. */
function missing(met: Met): string[] {
  const often = Math.floor((OFTEN * GOAL) / 1000);
  const transitions = documented()
    // Nothing enters `blocked` until jobs can depend on others.
    .filter((transition) => transition.split(' ')[1] !== 'blocked')
    .filter((transition) => (met.transitions.get(transition) ?? 0) < often);
  return [...transitions, ...ANSWERS.filter((answer) => !met.answers.has(answer))];
}

/** Nothing was done that the docs do not say can be done. */
function assertDocumented(taken: ReadonlyMap<string, number>): void {
  for (const transition of taken.keys()) {
    assert.ok(documented().includes(transition), `${transition} is not in docs/states.md`);
  }
}

function documented(): string[] {
  return documentedTransitions().map(([verb, from, to]) => `${verb} ${from} ${to}`);
}
