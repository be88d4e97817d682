// Arguments → tokens, as parseArgs of node:util reads them: long and short flags, grouped
// short ones, values attached or following, `--`. Ours, because loading node:util costs
// every command 0.8 ms of the 3 that `enqueue` may take (docs/decisions.md), and all that
// is worth a library (names, types, messages) is in parse.ts anyway.

import type { Flag, Flags } from './command.ts';

export interface FlagToken {
  readonly kind: 'flag';
  /** As in the table; for an unknown one as it was written, without its dashes. */
  readonly name: string;
  /** As it was written, for messages: `--limit`, `-n`. */
  readonly rawName: string;
  /** undefined where there was none to take. */
  readonly value: string | undefined;
  /** Attached: `--limit=5`, `-n5`. */
  readonly inline: boolean;
}

export interface OperandToken {
  readonly kind: 'operand';
  readonly value: string;
}

export interface Tokens {
  readonly tokens: readonly (FlagToken | OperandToken)[];
  /** What follows `--`; null without one. */
  readonly rest: readonly string[] | null;
}

/** A flag that takes a value takes the next word, whatever it looks like. */
export function tokenize(argv: readonly string[], table: Flags): Tokens {
  const tokens: (FlagToken | OperandToken)[] = [];
  for (let i = 0; i < argv.length; i += 1) {
    const word = argv[i] ?? '';
    if (word === '--') return { tokens, rest: argv.slice(i + 1) };
    // No short flag is a digit: `config set max_retries -1` has a value, and is told its range.
    if (!word.startsWith('-') || word === '-' || /^-[\d.]/.test(word)) {
      tokens.push({ kind: 'operand', value: word });
      continue;
    }
    const found = word.startsWith('--') ? [longFlag(word)] : shortFlags(word, table);
    for (const flag of found) {
      const takesNext = flag.value === undefined && takesValue(table, flag.name);
      if (takesNext) i += 1;
      tokens.push(takesNext ? { ...flag, value: argv[i] } : flag);
    }
  }
  return { tokens, rest: null };
}

function longFlag(word: string): FlagToken {
  const equals = word.indexOf('=');
  const rawName = equals < 0 ? word : word.slice(0, equals);
  const value = equals < 0 ? undefined : word.slice(equals + 1);
  return { kind: 'flag', name: rawName.slice(2), rawName, value, inline: equals >= 0 };
}

/** `-fn5` is `-f -n 5`: the first that takes a value takes the rest of the word. */
function shortFlags(word: string, table: Flags): FlagToken[] {
  const flags: FlagToken[] = [];
  const letters = Array.from(word.slice(1));
  for (const [index, letter] of letters.entries()) {
    const name = Object.keys(table).find((known) => table[known]?.short === letter) ?? letter;
    const attached = letters.slice(index + 1).join('');
    const inline = takesValue(table, name) && attached !== '';
    const value = inline ? attached : undefined;
    flags.push({ kind: 'flag', name, rawName: `-${letter}`, value, inline });
    if (inline) break;
  }
  return flags;
}

function takesValue(table: Flags, name: string): boolean {
  const flag: Flag | undefined = Object.hasOwn(table, name) ? table[name] : undefined;
  return flag !== undefined && flag.type !== 'boolean';
}
