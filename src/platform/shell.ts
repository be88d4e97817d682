// The shell of this platform: how it is called with a command line, and how arguments are
// written so that they can be pasted into it. Guards field case SH-01: what is shown is
// what was meant.

const windows = process.platform === 'win32';

export interface ShellCall {
  readonly file: string;
  readonly args: readonly string[];
  /** Windows: pass the arguments as they are, cmd.exe does its own unquoting. */
  readonly verbatim: boolean;
}

/** How `command` is run through the shell. The shell gets it byte for byte. */
export function shellCall(command: string): ShellCall {
  if (windows) {
    // /d: no AutoRun commands from the registry; /s: strip just the outer quotes.
    const file = process.env['ComSpec'] ?? 'cmd.exe';
    return { file, args: ['/d', '/s', '/c', `"${command}"`], verbatim: true };
  }
  // Without `--` a command that begins with a dash would be read as the shell's options.
  const args = /^[-+]/.test(command) ? ['-c', '--', command] : ['-c', command];
  return { file: '/bin/sh', args, verbatim: false };
}

/** Arguments as one line that can be pasted into a shell and gives the same arguments. */
export function quote(args: readonly string[]): string {
  return args.map(windows ? quoteForCmd : quoteForSh).join(' ');
}

/** No shell gives these characters a meaning, wherever they stand. */
const PLAIN = /^[\w@%+=:,./-]+$/;

/** Of the plain words those that mean something as the first one, or to zsh. */
const MEANING_FIRST =
  /^(?:[=%]|[\w.]+\+?=|(?:case|coproc|do|done|elif|else|esac|fi|for|foreach|function|if|in|repeat|select|then|time|until|while)$)/;

/** Control characters, and those that would turn the direction of what is shown. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

function quoteForSh(arg: string, index: number): string {
  if (PLAIN.test(arg) && !(index === 0 ? MEANING_FIRST : /^[=]/).test(arg)) return arg;
  if (CONTROL.test(arg)) return `$'${Array.from(arg, escaped).join('')}'`;
  return `'${arg.replaceAll("'", "'\\''")}'`;
}

/** One character inside `$'…'`: octal ends after three digits in every shell, hex does not. */
function escaped(character: string): string {
  if (character === '\n') return '\\n';
  if (character === '\t') return '\\t';
  if (character === '\r') return '\\r';
  if (character === "'" || character === '\\') return `\\${character}`;
  if (!CONTROL.test(character)) return character;
  return [...Buffer.from(character)]
    .map((byte) => `\\${byte.toString(8).padStart(3, '0')}`)
    .join('');
}

/** The rules of CommandLineToArgvW: backslashes count only before a quote. */
function quoteForCmd(arg: string): string {
  if (/^[\w@+=:,./\\-]+$/.test(arg)) return arg;
  return `"${arg.replaceAll(/(\\*)"/g, '$1$1\\"').replace(/\\+$/, '$&$&')}"`;
}
