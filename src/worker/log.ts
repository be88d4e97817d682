// What workers and supervisors tell the operator: one line an event, for people or, with
// `--log-format json`, one JSON object. Invariant: an event is one line whatever it quotes,
// and nothing in it acts on a terminal.

import type { Env } from '../env.ts';
import type { Outcome, State } from '../job.ts';

export const LOG_FORMATS = ['text', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** What programs want to know apart from the words. */
export interface LogFields {
  /** `info` if not given. */
  readonly level?: 'info' | 'warn' | 'error';
  readonly job?: string;
  readonly attempt?: number;
  readonly outcome?: Outcome['kind'];
  /** Of the job, after the event. */
  readonly state?: State;
}

export type Log = (message: string, fields?: LogFields) => void;

export interface LogOptions {
  /** Whose events these are: `supervisor`, `w3`. */
  readonly name: string;
  readonly env: Env;
  readonly format: LogFormat;
  readonly write: (line: string) => void;
}

/** Lines like `2026-11-25T10:00:00.000Z w3 a1: attempt 1 timed_out, now failed`. */
export function createLog({ name, env, format, write }: LogOptions): Log {
  return (message, { level = 'info', ...fields } = {}) => {
    const time = new Date(env.now()).toISOString();
    const words = printable(message);
    write(
      format === 'json'
        ? `${JSON.stringify({ time, level, process: name, pid: process.pid, message: words, ...fields })}\n`
        : `${time} ${name} ${words}\n`,
    );
  };
}

const REASON = 'ended: ';

/** The last line of a process that gives up. `reasonIn` finds it again. */
export function reasonLine(reason: string): string {
  return `${REASON}${reason}`;
}

/** Why a process gave up, from a line that `createLog` wrote; null: it says something else. */
export function reasonIn(line: string): string | null {
  const message = messageIn(line);
  return message.startsWith(REASON) ? message.slice(REASON.length) : null;
}

/** What a line says, in whichever format. */
export function messageIn(line: string): string {
  if (!line.startsWith('{')) return line.replace(/^\S+Z \S+ /, '');
  try {
    const parsed: unknown = JSON.parse(line);
    const message = typeof parsed === 'object' && parsed && 'message' in parsed && parsed.message;
    return typeof message === 'string' ? message : line;
  } catch {
    return line;
  }
}

const LINE_ENDS = /[\r\n]+/g;
/** C0, DEL, C1: a message may quote what a job or an error said. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

function printable(message: string): string {
  return message
    .toWellFormed()
    .replaceAll(LINE_ENDS, ' ')
    .replaceAll(CONTROL, (one) => `\\x${one.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
