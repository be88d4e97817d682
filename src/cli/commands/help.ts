// queuectl help [COMMAND]

import { QueuectlError } from '../../errors.ts';
import { defineCommand } from '../command.ts';
import { COMMANDS, FAMILIES } from '../commands.ts';
import type { Context } from '../context.ts';
import { commandHelp, familyHelp, overview } from '../help.ts';
import type { Style } from '../style.ts';

export const command = defineCommand({
  summary: 'show what a command does, its flags and examples',
  usage: ['help [COMMAND]'],
  flags: {},
  operands: { min: 0, max: 2, name: 'command' },
  examples: [
    ['queuectl help enqueue', 'everything about enqueue'],
    ['queuectl help dlq', 'the commands of the dead letter queue'],
  ],
  run: ({ operands, io }) => printHelp(operands, io.context, io.style),
});

/** Help for the command of these words; for none, the overview. */
export async function printHelp(
  words: readonly string[],
  { stdout }: Context,
  style: Style,
): Promise<number> {
  stdout.write(`${await helpOn(words.join(' '), style)}\n`);
  return 0;
}

async function helpOn(name: string, style: Style): Promise<string> {
  if (name === '') return overview(style);
  const entry = COMMANDS.get(name);
  if (entry !== undefined) return commandHelp(name, await entry.load(), style);
  if (FAMILIES.has(name)) return familyHelp(name, style);
  const { didYouMean } = await import('../suggest.ts');
  const meant = didYouMean(name, [...COMMANDS.keys(), ...FAMILIES]);
  throw new QueuectlError('usage', `unknown command ${JSON.stringify(name)}${meant}`, {
    hint: 'queuectl help',
  });
}
