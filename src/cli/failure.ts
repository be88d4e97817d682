// How a failure is told: one line that says what, one that says what to do. Invariant: no
// stack trace without --debug, no control character from wherever the message came. With
// --json too it is text on stderr: the exit code tells programs, stdout stays empty.

import { EXIT_CODE_OF, messageOf, QueuectlError } from '../errors.ts';
import type { Context } from './context.ts';
import { visible } from './text.ts';

/** Says it on stderr and answers the exit code that cli.md gives it. */
export function tellFailure(error: unknown, context: Context): number {
  const known = error instanceof QueuectlError;
  const message = known ? error.message : `internal error: ${messageOf(error)}`;
  const hint = known ? error.hint : 'the same command with --debug shows where';
  let text = `queuectl: ${visible(message)}\n`;
  if (hint !== undefined) text += `hint: ${visible(hint)}\n`;
  if (isDebug(context.argv)) text += `${traceOf(error)}\n`;
  try {
    context.stderr.write(text);
  } catch {
    // Nobody can be told; the exit code still says it.
  }
  return EXIT_CODE_OF[known ? error.code : 'internal'];
}

/** Looked up in the raw arguments, because they may be what is wrong. */
function isDebug(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).includes('--debug');
}

function traceOf(error: unknown): string {
  if (!(error instanceof Error)) return visible(String(error));
  const own = (error.stack ?? error.message).split('\n').map(visible).join('\n');
  return error.cause === undefined ? own : `${own}\ncaused by: ${traceOf(error.cause)}`;
}
