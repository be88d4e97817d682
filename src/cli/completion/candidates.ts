// What may stand at the cursor, from what commands declare about themselves and, for names,
// from a look at the store. Invariant: nothing is made, waited for or reported here; what
// cannot be told is no candidate.

import { QUEUE_SETTINGS, SETTING_NAMES, SETTINGS } from '../../config.ts';
import { STATES } from '../../job.ts';
import { type Command, type Flag, type Flags, GLOBAL_FLAGS } from '../command.ts';
import { COMMANDS, FAMILIES, membersOf } from '../commands.ts';
import { locate } from '../run.ts';
import { type Tokens, tokenize } from '../tokens.ts';
import { visible } from '../text.ts';
import { type Answer, type Candidate, NOTHING } from './shell.ts';

/** What only the store knows; each answers [] where it cannot be asked. */
export interface Names {
  jobs(prefix: string, which: JobsWanted): Promise<readonly NamedJob[]>;
  queues(prefix: string): Promise<readonly string[]>;
}

export type JobsWanted = NonNullable<Command['operands']['jobs']>;

interface NamedJob {
  readonly id: string;
  readonly state: string;
  readonly command: string;
}

/** `openNames` gets what the line gives for `--db`. */
export async function completeLine(
  before: readonly string[],
  current: string,
  openNames: (db: string | undefined) => Promise<Names>,
): Promise<Answer> {
  const { words, rest } = locate(before);
  const command = (await COMMANDS.get(words.join(' '))?.load()) ?? null;
  const table: Flags = { ...command?.flags, ...GLOBAL_FLAGS };
  const tokens = tokenize(rest, table);
  const line: Typed = { words, command, table, tokens, current };
  const db = tokens.tokens.find((token) => token.kind === 'flag' && token.name === 'db');
  return await answer(line, async () => await openNames(db?.value));
}

interface Typed {
  /** Of the command. */
  readonly words: readonly string[];
  readonly command: Command | null;
  readonly table: Flags;
  readonly tokens: Tokens;
  readonly current: string;
}

type OpenNames = () => Promise<Names>;

async function answer(line: Typed, names: OpenNames): Promise<Answer> {
  const { words, command, table, tokens, current } = line;
  if (tokens.rest !== null && command?.takesRest === true) {
    const kind = tokens.rest.length === 0 ? 'commands' : 'arguments';
    return { ...NOTHING, kind, value: current };
  }
  const waiting = tokens.rest === null ? waitingFlag(tokens, table) : undefined;
  if (waiting !== undefined) return await flagValue(line, waiting, '', names);
  if (tokens.rest === null && current.startsWith('-') && !/^-[\d.]/.test(current)) {
    const [, name = '', equals] = /^--([^=]*)(=?)/.exec(current) ?? [];
    const flag = Object.hasOwn(table, name) ? table[name] : undefined;
    if (equals !== '=') return { ...NOTHING, value: current, candidates: flagsLeft(line) };
    return flag === undefined ? NOTHING : await flagValue(line, flag, `--${name}=`, names);
  }
  const first = words[0];
  if (command !== null) {
    const found = await operand(line, command, names);
    if (current !== '' || found.kind !== 'words' || found.candidates.length > 0) return found;
    // Where nothing has to stand here, what else there is to say.
    if (operandsOf(tokens).length < command.operands.min) return found;
    return { ...NOTHING, candidates: flagsLeft(line) };
  }
  if (tokens.rest !== null) return NOTHING;
  if (first === undefined) return { ...NOTHING, value: current, candidates: commandNames() };
  if (words.length > 1 || !FAMILIES.has(first)) return NOTHING;
  return { ...NOTHING, value: current, candidates: memberNames(first) };
}

/** The flag whose value is what comes next. */
function waitingFlag({ tokens }: Tokens, table: Flags): Flag | undefined {
  const last = tokens.at(-1);
  if (last?.kind !== 'flag' || last.value !== undefined) return undefined;
  const flag = Object.hasOwn(table, last.name) ? table[last.name] : undefined;
  return flag?.type === 'boolean' ? undefined : flag;
}

async function flagValue(
  line: Typed,
  flag: Flag,
  attached: string,
  names: OpenNames,
): Promise<Answer> {
  if (flag.type === 'boolean') return NOTHING;
  const given = line.current.slice(attached.length);
  if (flag.choices === undefined) {
    return prefixed(attached, await valuesNamed(flag.value, given, names));
  }
  // Several choices are joined by commas.
  const comma = flag.type === 'list' ? given.lastIndexOf(',') + 1 : 0;
  const chosen = given.slice(0, comma).split(',');
  const left = flag.choices.filter((choice) => !chosen.includes(choice));
  return prefixed(attached + given.slice(0, comma), wordsOf(given.slice(comma), left));
}

async function operand(line: Typed, command: Command, names: OpenNames): Promise<Answer> {
  const { name, max, each, jobs, choices } = command.operands;
  const given = operandsOf(line.tokens);
  if (max !== null && given.length >= max) return NOTHING;
  const { current } = line;
  if (choices !== undefined) return wordsOf(current, choices);
  const what = each?.[given.length] ?? name;
  if (what === 'ID') return await ids(jobs ?? statesOf(command), given, current, names);
  if (what === 'key') return { ...NOTHING, value: current, candidates: settings(line) };
  if (what === 'command') {
    const [family] = given;
    const candidates = family === undefined ? commandNames() : memberNames(family);
    return { ...NOTHING, value: current, candidates };
  }
  return await valuesNamed(what, current, names);
}

function operandsOf({ tokens, rest }: Tokens): string[] {
  const plain = tokens.flatMap((token) => (token.kind === 'operand' ? [token.value] : []));
  return [...plain, ...(rest ?? [])];
}

/** What `--state` may be is what the command applies to. */
function statesOf({ flags }: Command): JobsWanted {
  const flag = flags['state'];
  const choices = flag?.type === 'list' ? flag.choices : undefined;
  return choices === undefined ? STATES : STATES.filter((state) => choices.includes(state));
}

async function ids(
  which: JobsWanted,
  given: readonly string[],
  current: string,
  names: OpenNames,
): Promise<Answer> {
  const found = await (await names()).jobs(current, which);
  const candidates = found
    .filter(({ id }) => !given.includes(id))
    .map(({ id, state, command }) => ({ value: id, description: describe(state, command) }));
  return { ...NOTHING, value: current, candidates };
}

/** Longer ones would be wrapped beside the id. */
const DESCRIPTION = 60;

function describe(state: string, command: string): string {
  const shown = Array.from(visible(command));
  const cut = shown.length > DESCRIPTION ? `${shown.slice(0, DESCRIPTION - 1).join('')}…` : command;
  return `${state}  ${visible(cut)}`.trimEnd();
}

/** By the name that help gives a value. */
async function valuesNamed(name: string, value: string, names: OpenNames): Promise<Answer> {
  if (name === 'FILE' || name === 'PATH') return { ...NOTHING, kind: 'files', value };
  if (name === 'DIR') return { ...NOTHING, kind: 'directories', value };
  if (name === 'Q') return wordsOf(value, await (await names()).queues(value));
  return NOTHING;
}

function wordsOf(value: string, words: readonly string[]): Answer {
  return { ...NOTHING, value, candidates: words.map((word) => ({ value: word, description: '' })) };
}

function prefixed(prefix: string, found: Answer): Answer {
  const candidates = found.candidates.map((one) => ({ ...one, value: prefix + one.value }));
  return { ...found, prefix, candidates };
}

/** Those not given yet, and those that may be given again. */
function flagsLeft({ table, tokens, current, command }: Typed): Candidate[] {
  const given = new Set(tokens.tokens.flatMap((token) => ('name' in token ? [token.name] : [])));
  const left = Object.entries(table).filter(
    ([name, { type }]) => type === 'list' || !given.has(name),
  );
  const found = left.flatMap(([name, { help, short }]) => [
    { value: `--${name}`, description: help },
    // Only beside the dash alone: nobody goes on typing towards one letter.
    ...(short !== undefined && current === '-' ? [{ value: `-${short}`, description: help }] : []),
  ]);
  if (command?.takesRest === true && tokens.rest === null) {
    found.unshift({ value: '--', description: 'what follows is the command to run' });
  }
  return found;
}

function settings({ tokens }: Typed): Candidate[] {
  const ofQueue = tokens.tokens.some((token) => token.kind === 'flag' && token.name === 'queue');
  const keys = ofQueue ? QUEUE_SETTINGS : SETTING_NAMES;
  return keys.map((key) => ({ value: key, description: SETTINGS[key].help }));
}

/** First words: commands and families. */
function commandNames(): Candidate[] {
  const found = new Map<string, string>();
  for (const [name, { group, summary }] of COMMANDS) {
    if (group === null) continue;
    const [first = '', second] = name.split(' ');
    found.set(first, second === undefined ? summary : membersOf(first).join(', '));
  }
  return [...found].map(([value, description]) => ({ value, description }));
}

function memberNames(family: string): Candidate[] {
  return membersOf(family).map((value) => {
    const description = COMMANDS.get(`${family} ${value}`)?.summary ?? '';
    return { value, description };
  });
}
