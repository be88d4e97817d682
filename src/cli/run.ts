// argv → which command → its exit code. Invariant: whatever is thrown below ends here, as
// an exit code and, where it is a failure, as a line on stderr.

import type { QueuectlError } from '../errors.ts';
import type { Command } from './command.ts';
import { COMMANDS, FAMILIES, membersOf, OTHER_NAMES } from './commands.ts';
import { type Context, Interrupted, ReaderGone } from './context.ts';
import { tellFailure } from './failure.ts';
import { Io } from './io.ts';
import { parse, usage } from './parse.ts';
import { VERSION } from './version.ts';

export async function run(context: Context): Promise<number> {
  try {
    return await dispatch(context);
  } catch (error) {
    return report(error, context);
  }
}

async function dispatch(context: Context): Promise<number> {
  const { words, rest } = locate(context.argv);
  const name = words.join(' ');
  const command = await find(name, words, rest);
  let outcome: Awaited<ReturnType<typeof parse>>;
  try {
    outcome = await parse(rest, name, command);
  } catch (error) {
    return report(error, context, command?.usageExitCode);
  }
  if (outcome.kind === 'version') {
    context.stdout.write(`queuectl ${VERSION}\n`);
    return 0;
  }
  if (outcome.kind === 'help' || command === null) {
    const { printHelp } = await import('./commands/help.ts');
    const { styleFor } = await import('./style.ts');
    const noColour =
      outcome.kind === 'help' ? outcome.noColour : outcome.parsed.globals['no-color'];
    return await printHelp(words, context, styleFor(context.stdout, context.env, noColour));
  }
  const { flags, globals, operands, rest: tail } = outcome.parsed;
  return await command.run({ flags, operands, rest: tail, io: new Io(context, globals) });
}

/** The command's words and everything else: global flags may stand before and between. */
export function locate(argv: readonly string[]): { words: string[]; rest: string[] } {
  const words: string[] = [];
  const rest: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] ?? '';
    const more = words.length === 0 || (words.length === 1 && FAMILIES.has(words.join()));
    if (!more || arg === '--') return { words, rest: [...rest, ...argv.slice(i)] };
    if (!arg.startsWith('-')) {
      words.push(arg);
      continue;
    }
    rest.push(arg);
    // The only global flag whose value is an argument of its own.
    const value = argv[i + 1];
    if (arg === '--db' && value !== undefined) {
      rest.push(value);
      i++;
    }
  }
  return { words, rest };
}

/** Null where there is no command: `queuectl`, `queuectl --help`, `queuectl dlq --help`. */
async function find(
  name: string,
  words: readonly string[],
  rest: readonly string[],
): Promise<Command | null> {
  const entry = COMMANDS.get(name);
  if (entry !== undefined) return await entry.load();
  const [first, second] = words;
  if (first === undefined) {
    if (rest[0] === '--') throw usage('the command is missing before --', '');
    return null;
  }
  if (FAMILIES.has(first)) {
    if (second !== undefined) throw await unknown(`${first} `, second, membersOf(first));
    if (rest.includes('--help') || rest.includes('-h')) return null;
    throw usage(`${first} needs one of: ${membersOf(first).join(', ')}`, first);
  }
  const visibleNames = [...COMMANDS].filter(([, { group }]) => group !== null);
  const known = visibleNames.map(([full]) => full.split(' ', 1).join());
  throw await unknown('', first, [...new Set(known)]);
}

async function unknown(
  prefix: string,
  word: string,
  known: readonly string[],
): Promise<QueuectlError> {
  const { didYouMean } = await import('./suggest.ts');
  const other = prefix === '' ? OTHER_NAMES.get(word) : undefined;
  const meant = other === undefined ? didYouMean(word, known) : `, did you mean ${other}?`;
  return usage(`unknown command ${JSON.stringify(prefix + word)}${meant}`, prefix.trimEnd());
}

function report(error: unknown, context: Context, code?: number): number {
  if (error instanceof ReaderGone) return 0;
  if (error instanceof Interrupted) return error.exitCode;
  const own = tellFailure(error, context);
  return code ?? own;
}
