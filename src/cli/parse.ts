// Arguments → flags, operands and what follows `--`, by a command's table of flags.
// Invariant: whatever stands after `--` comes out exactly as it went in, and a value is
// never guessed: a flag without its value, twice, or unknown is refused by name.

import { QueuectlError } from '../errors.ts';
import {
  type Command,
  type Flag,
  type Flags,
  GLOBAL_FLAGS,
  type GlobalValues,
  type Values,
} from './command.ts';
import { count } from './text.ts';
import { type FlagToken, tokenize } from './tokens.ts';

export interface Parsed {
  readonly flags: Values<Flags>;
  readonly globals: GlobalValues;
  readonly operands: readonly string[];
  readonly rest: readonly string[] | null;
}

/** What is missing or wrong is thrown as `usage`; `--help` and `--version` win over it. */
export type Outcome =
  | { readonly kind: 'help'; readonly noColour: boolean }
  | { readonly kind: 'version' }
  | { readonly kind: 'parsed'; readonly parsed: Parsed };

/**
 * `argv` is without the command's own words; `name` is those words, for messages. A null
 * `command` knows the global flags only.
 */
export async function parse(
  argv: readonly string[],
  name: string,
  command: Command | null,
): Promise<Outcome> {
  const table: Flags = { ...command?.flags, ...GLOBAL_FLAGS };
  const found = tokenize(argv, table);
  const given = (flag: string): boolean =>
    found.tokens.some((token) => token.kind === 'flag' && token.name === flag);
  if (given('help')) return { kind: 'help', noColour: given('no-color') };
  if (given('version')) return { kind: 'version' };

  const values = new Map<string, string[]>();
  const operands: string[] = [];
  for (const token of found.tokens) {
    if (token.kind === 'operand') {
      operands.push(token.value);
      continue;
    }
    const flag = Object.hasOwn(table, token.name) ? table[token.name] : undefined;
    if (flag === undefined) throw await unknownFlag(token.rawName, name, table);
    const seen = values.get(token.name);
    if (seen === undefined) values.set(token.name, await valuesOf(token, flag, table));
    else if (flag.type === 'list') seen.push(...(await valuesOf(token, flag, table)));
    else if (flag.type === 'text') throw usage(`--${token.name} was given twice`, name);
  }
  let { rest } = found;
  if (rest !== null && command?.takesRest !== true) {
    // For a command without a command line of its own, `--` only ends the flags.
    operands.push(...rest);
    rest = null;
  }
  if (command !== null) checkOperands(operands, name, command);
  return {
    kind: 'parsed',
    parsed: {
      flags: collect(command?.flags ?? {}, values),
      globals: collect(GLOBAL_FLAGS, values) as GlobalValues,
      operands,
      rest,
    },
  };
}

export function usage(message: string, command: string): QueuectlError {
  return new QueuectlError('usage', message, { hint: `queuectl help ${command}`.trimEnd() });
}

async function valuesOf(token: FlagToken, flag: Flag, table: Flags): Promise<string[]> {
  const { name, rawName, value } = token;
  if (flag.type === 'boolean') {
    if (value === undefined) return [''];
    throw new QueuectlError('usage', `${rawName} takes no value`, { hint: `write ${rawName}` });
  }
  if (value === undefined || (!token.inline && isFlag(value, table))) {
    throw new QueuectlError('usage', `${rawName} needs a value: ${rawName} ${flag.value}`, {
      ...(value !== undefined && {
        hint: `a value that looks like a flag is given as ${rawName}=${value}`,
      }),
    });
  }
  // `-n=5` reads as the value `=5`; nobody means that.
  const given = rawName.startsWith('--') ? value : value.replace(/^=/, '');
  if (flag.choices === undefined) return [given];
  const chosen = flag.type === 'list' ? given.split(',') : [given];
  for (const choice of chosen) {
    if (!flag.choices.includes(choice)) {
      throw new QueuectlError(
        'usage',
        `--${name} does not know ${JSON.stringify(choice)}${await guess(choice, flag.choices)}`,
        { hint: `one of: ${flag.choices.join(', ')}` },
      );
    }
  }
  return chosen;
}

/**
 * Whether the word after a flag is the next flag rather than its value (the
 * tokens take anything): `--priority -5` is a value, `--priority --max-retries 1` a forgotten one.
 */
function isFlag(word: string, table: Flags): boolean {
  if (word.startsWith('--')) return true;
  if (!word.startsWith('-') || word.length !== 2) return false;
  return Object.values(table).some((flag) => flag.short === word[1]);
}

async function unknownFlag(raw: string, name: string, table: Flags): Promise<QueuectlError> {
  const known = Object.keys(table).map((flag) => `--${flag}`);
  const where = name === '' ? '' : ` for ${name}`;
  const meant = raw.startsWith('--') ? await guess(raw, known) : '';
  return usage(`unknown flag ${raw}${where}${meant}`, name);
}

async function guess(word: string, known: readonly string[]): Promise<string> {
  const { didYouMean } = await import('./suggest.ts');
  return didYouMean(word, known);
}

function checkOperands(operands: readonly string[], name: string, command: Command): void {
  const { min, max, name: noun } = command.operands;
  if (operands.length < min) {
    throw usage(`${name} needs ${min === 1 ? withArticle(noun) : count(min, noun)}`, name);
  }
  if (max !== null && operands.length > max) {
    const extra = JSON.stringify(operands[max]);
    throw usage(
      max === 0 ? `${name} takes no ${noun}: ${extra}` : `${name}: unexpected ${extra}`,
      name,
    );
  }
}

function withArticle(noun: string): string {
  return `${/^[aeiou]|^id\b/i.test(noun) ? 'an' : 'a'} ${noun}`;
}

/** The value of every flag there is: absent ones as false, undefined or an empty list. */
function collect(table: Flags, given: ReadonlyMap<string, readonly string[]>): Values<Flags> {
  return Object.fromEntries(
    Object.entries(table).map(([name, flag]) => [name, valueOf(flag, given.get(name))]),
  );
}

function valueOf(
  flag: Flag,
  given: readonly string[] | undefined,
): boolean | string | readonly string[] | undefined {
  if (flag.type === 'boolean') return given !== undefined;
  return flag.type === 'list' ? (given ?? []) : given?.[0];
}
