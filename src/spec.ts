// What a user may ask for: JSON fields or command-line flags → NewJob. Judged whole before
// anything is stored; every refusal names the field and what was expected. Names given by
// users are never used as keys to assign to: `__proto__` is a variable like any other.

import { resolve } from 'node:path';
import { parseDuration } from './duration.ts';
import { QueuectlError } from './errors.ts';
import { parseInstant } from './instant.ts';
import { closest, grouped, invalid, mustBe, shown } from './invalid.ts';
import type { NewJob } from './job.ts';
import { parseJson } from './json.ts';
import { checkPath, commandSpec, type Label, tagsOf } from './limits.ts';
import { quote } from './platform/shell.ts';

const NAME = /^(?!-|\.{1,2}$)[A-Za-z0-9._:@-]{1,128}$/;
export const NAME_EXPECTED =
  'text of 1 to 128 characters from A-Z a-z 0-9 . _ : @ - that do not begin with "-"';

/** What the caller knows and a job needs. */
export interface JobContext {
  /** Absolute. The job's directory, and where relative paths in the input begin. */
  readonly cwd: string;
  /** The caller's `PATH`; null if it has none. */
  readonly path: string | null;
  /** ms since 1970. */
  readonly now: () => number;
  readonly newId: () => string;
  /**
   * True: the input is made of command-line flags. Refusals then say `--max-retries`,
   * numbers may be text, and an instant without a zone is local time.
   */
  readonly flags?: boolean;
}

/** What may stand in a field, so far as its value alone tells. */
interface Field<T> {
  readonly accepts: (value: unknown) => value is T;
  /** Completes "must be …". */
  readonly expected: string;
}

function is<T>(accepts: Field<T>['accepts'], expected: string): Field<T> {
  return { accepts, expected };
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isFilled = (value: unknown): value is string => isText(value) && value.trim() !== '';
/** Of a job or a queue. */
export const isName = (value: unknown): value is string => isText(value) && NAME.test(value);
const isDuration = (value: unknown): value is string | number =>
  isText(value) || typeof value === 'number';
const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);

function integer(min: number, max: number): Field<number> {
  const accepts = (value: unknown): value is number =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
  return {
    accepts,
    // Made when it is asked for: it would cost every `enqueue` 0.1 ms.
    get expected() {
      return `a whole number from ${grouped(min)} to ${grouped(max)}`;
    },
  };
}

const name = is(isName, NAME_EXPECTED);
const duration = is(isDuration, 'a number of seconds or a duration such as 30s, 5m or 1h30m');
const record = is(isRecord, 'an object of names and texts');

const FIELDS = {
  id: name,
  command: is(isFilled, 'text that is not empty'),
  args: is(isList, 'a list of texts'),
  queue: name,
  priority: integer(-1000, 1000),
  max_retries: integer(0, 1_000_000),
  delay: duration,
  run_at: is(isText, 'text such as "2030-12-01T09:00Z" or "10m"'),
  timeout: duration,
  cwd: is(isFilled, 'the path of a directory'),
  env: record,
  env_from: is(isList, 'a list of names'),
  stdin: is(isFilled, 'the path of a file'),
  stdin_text: is(isText, 'text'),
  tags: record,
};

type FieldName = keyof typeof FIELDS;
type Fields = {
  readonly [F in FieldName]?: (typeof FIELDS)[F] extends Field<infer T> ? T : never;
};

/** Fields of a stored job that only queuectl writes; people copy them from `show --json`. */
const OUTPUT_FIELDS =
  'state attempts created_at updated_at started_at finished_at ' +
  'exit_code signal outcome error worker cancel_requested history';

/** One JSON object as text → a job. Throws `invalid`, with the position where it is malformed. */
export function parseJobText(json: string, context: JobContext): NewJob {
  const bare = json.trim(); // a byte order mark counts as space
  let value: unknown;
  try {
    value = parseJson(bare);
  } catch (error) {
    if (!(error instanceof QueuectlError)) throw error;
    throw invalid(error.message, error.hint ?? shellHint(bare));
  }
  if (!isRecord(value)) throw mustBe('the job', 'a JSON object', value, shellHint(bare));
  return parseJob(value, context);
}

/** What probably happened to JSON typed into a shell. */
function shellHint(json: string): string {
  if (/^\{[^"']*$/.test(json)) {
    return `the shell took the double quotes: put single quotes around the JSON, or use ${WITHOUT_JSON}`;
  }
  if (json.startsWith("'")) {
    return `this shell knows no single quotes: write "{\\"command\\": …}", or use ${WITHOUT_JSON}`;
  }
  if (!json.startsWith('{')) return `to enqueue a command use ${WITHOUT_JSON}`;
  return `JSON looks like {"command": "echo hello"}; without JSON use ${WITHOUT_JSON}`;
}

const WITHOUT_JSON = 'queuectl enqueue -- COMMAND';

/** Fields by name, `-` and `_` alike, null like absent → a job. Throws `invalid`. */
export function parseJob(input: unknown, context: JobContext): NewJob {
  if (!isRecord(input)) throw mustBe('a job', 'an object', input);
  const label = context.flags ? flagOf : plain;
  return build(fieldsOf(input, label, context.flags === true), context, label);
}

const plain: Label = (field) => field;
const ALIASES: Readonly<Record<string, string>> = {
  env_from: 'env',
  tags: 'tag',
  command: 'shell',
  stdin_text: 'stdin',
};
/** The flag that a field came from. Some have another name; `args` has none. */
const flagOf: Label = (field) => {
  if (field === 'args') return field;
  const flag = ALIASES[field] ?? field;
  return `--${flag.replaceAll('_', '-')}`;
};

/** The fields that are given, each with a value it accepts. */
function fieldsOf(input: Record<string, unknown>, label: Label, flags: boolean): Fields {
  const fields: Partial<Record<FieldName, unknown>> = {};
  for (const [given, value] of Object.entries(input)) {
    const known = given.includes('-') ? given.replaceAll('-', '_') : given;
    if (!isFieldName(known)) throw unknownField(given, known);
    if (known in fields) throw invalid(`${label(known)} is given twice`);
    if (value === undefined || value === null) continue;
    const typed = flags ? numberFromFlag(known, value) : value;
    const { accepts, expected } = FIELDS[known];
    if (!accepts(typed)) throw mustBe(label(known), expected, typed);
    // Safe to assign by: the key is one of ours.
    fields[known] = typed;
  }
  return fields as Fields;
}

function isFieldName(given: string): given is FieldName {
  return Object.hasOwn(FIELDS, given);
}

function unknownField(given: string, field: string): QueuectlError {
  if (OUTPUT_FIELDS.split(' ').includes(field)) {
    return invalid(`${shown(given)} is set by queuectl, not by the job`, 'leave it out');
  }
  const names = Object.keys(FIELDS);
  const near = closest(field, names);
  return invalid(
    `unknown field ${shown(given)}`,
    near === undefined ? `a job has these: ${names.join(', ')}` : `did you mean ${shown(near)}?`,
  );
}

/** A flag's value is text; what does not look like a number stays text and is refused later. */
function numberFromFlag(field: string, value: unknown): unknown {
  const numeric = field === 'priority' || field === 'max_retries';
  return numeric && typeof value === 'string' && /^[+-]?\d{1,16}$/.test(value)
    ? Number(value)
    : value;
}

function build(fields: Fields, context: JobContext, label: Label): NewJob {
  const { command, args, env, env_from, cwd, stdin, stdin_text } = fields;
  const { delay, run_at: runAt, timeout, tags } = fields;
  if (command !== undefined && args !== undefined) {
    throw invalid('command and args exclude each other', 'args runs a program without a shell');
  }
  if (delay !== undefined && runAt !== undefined) {
    throw invalid(`${label('delay')} and ${label('run_at')} exclude each other`);
  }
  if (stdin !== undefined && stdin_text !== undefined) {
    throw invalid('stdin and stdin_text exclude each other', 'stdin is the path of a file');
  }
  if (stdin === '-') {
    throw invalid('"-" is no file for stdin', 'stdin_text takes its content; ./- is a file');
  }
  const absolute = (path: string, field: FieldName): string =>
    checkPath(label(field), resolve(context.cwd, path));
  const spec = commandSpec(
    {
      command,
      args,
      env,
      env_from,
      stdin: stdin === undefined ? undefined : absolute(stdin, 'stdin'),
      stdin_text,
    },
    label,
  );
  return {
    id: fields.id ?? context.newId(),
    kind: 'command',
    command: command ?? quote(programOf(spec.args)),
    spec,
    cwd: cwd === undefined ? context.cwd : absolute(cwd, 'cwd'),
    path: context.path,
    queue: fields.queue ?? 'default',
    priority: (fields.priority ?? 0) + 0, // -0 becomes 0
    maxRetries: fields.max_retries === undefined ? null : fields.max_retries + 0,
    timeout: timeout === undefined ? null : timeoutOf(timeout, label('timeout')),
    runAt: runAt === undefined ? null : instantOf(runAt, context, label('run_at')),
    delay: delay === undefined ? null : parseDuration(delay, label('delay')) || null,
    tags: tags === undefined ? null : tagsOf(tags, label('tags')),
  };
}

/** The arguments, the first of which names a program. */
function programOf(args: readonly string[] | undefined): readonly string[] {
  if (args === undefined) {
    throw invalid(
      'command is missing',
      'give "command" for the shell, or "args" to run a program without one',
    );
  }
  const [program] = args;
  if (program === undefined) throw mustBe('args', 'a list with a program in it', args);
  if (program.trim() === '') throw mustBe('the program', 'a name that is not empty', program);
  return args;
}

/** `none` and 0 both mean no timeout, whatever is stored. */
function timeoutOf(value: string | number, field: string): number {
  return value === 'none' ? 0 : parseDuration(value, field);
}

function instantOf(value: string, context: JobContext, field: string): number {
  return parseInstant(value, { now: context.now(), local: context.flags === true }, field);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return Object.prototype.toString.call(value) === '[object Object]';
}
