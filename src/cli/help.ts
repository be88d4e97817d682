// Help, made from what commands declare about themselves and from nothing else.

import { type Command, type Flags, GLOBAL_FLAGS } from './command.ts';
import { COMMANDS, GROUPS, membersOf } from './commands.ts';
import type { Style } from './style.ts';

/** `queuectl` alone: what it is for, every command, and how to begin. */
export function overview(style: Style): string {
  const names = [...COMMANDS].filter(([, { group }]) => group !== null);
  const width = Math.max(...names.map(([name]) => name.length));
  const groups = GROUPS.map((group) =>
    section(
      style,
      group,
      names
        .filter(([, entry]) => entry.group === group)
        .map(([name, { summary }]) => `${name.padEnd(width)}  ${summary}`),
    ),
  );
  return [
    'queuectl runs commands that must not get lost: a durable job queue with retries.',
    section(style, 'Usage', ['queuectl COMMAND [flags]']),
    ...groups,
    section(style, 'Flags of every command', flagLines(GLOBAL_FLAGS)),
    section(style, 'Begin with', [
      'queuectl worker start',
      'queuectl enqueue -- echo hello',
      'queuectl list',
    ]),
    style.dim('queuectl help COMMAND shows its flags and examples.'),
  ].join('\n\n');
}

/** `queuectl dlq --help`: the commands that begin with this word. */
export function familyHelp(family: string, style: Style): string {
  const members = membersOf(family);
  const width = Math.max(...members.map((member) => member.length));
  const lines = members.map((member) => {
    const summary = COMMANDS.get(`${family} ${member}`)?.summary ?? '';
    return `queuectl ${family} ${member.padEnd(width)}  ${summary}`;
  });
  return [
    section(style, 'Commands', lines),
    style.dim(`queuectl help ${family} COMMAND shows its flags and examples.`),
  ].join('\n\n');
}

export function commandHelp(name: string, command: Command, style: Style): string {
  const { summary, usage, about = [], flags, examples } = command;
  const own = Object.keys(flags).length > 0 ? [section(style, 'Flags', flagLines(flags))] : [];
  const shown = examples.flatMap(([line, what]) => [style.dim(`# ${what}`), line]);
  return [
    `queuectl ${name}: ${summary}`,
    section(
      style,
      'Usage',
      usage.map((form) => `queuectl ${form}`),
    ),
    ...about,
    ...own,
    section(style, 'Flags of every command', flagLines(GLOBAL_FLAGS)),
    section(style, 'Examples', shown),
  ].join('\n\n');
}

function section(style: Style, title: string, lines: readonly string[]): string {
  return [style.bold(`${title}:`), ...lines.map((line) => `  ${line}`)].join('\n');
}

/** A longer flag pushes its own help to the right; the others stay aligned. */
const WIDEST_FLAG = 24;
/** Longer lines are hard to read, and this fits beside most things. */
const LINE = 90;

function flagLines(flags: Flags): string[] {
  const rows = Object.entries(flags).map(([name, flag]) => {
    const short = flag.short === undefined ? '    ' : `-${flag.short}, `;
    const value = flag.type === 'boolean' ? '' : ` ${flag.value}`;
    const again = flag.type === 'list' ? ' (may be repeated)' : '';
    return { left: `${short}--${name}${value}`, help: flag.help + again };
  });
  const width = Math.max(
    ...rows.map(({ left }) => left.length).filter((length) => length <= WIDEST_FLAG),
  );
  return rows.flatMap(({ left, help }) => {
    const [first = '', ...more] = wrap(help, LINE - width - 4);
    return [`${left.padEnd(width)}  ${first}`, ...more.map((line) => ' '.repeat(width + 2) + line)];
  });
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
