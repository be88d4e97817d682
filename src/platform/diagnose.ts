// Finding a command's program, and saying in one sentence why it could not be started.
// Guards field cases SH-08 (the job's own PATH and directory decide) and SH-21 (the true
// cause: the kernel says "no such file" for four different things).

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  openSync,
  readSync,
  statSync,
} from 'node:fs';
import { isAbsolute } from 'node:path';
import { messageOf, systemCode } from '../errors.ts';

/** The command was not started. */
export class SpawnError extends Error {
  override readonly name = 'SpawnError';
  /** What a shell would answer: 127 not found, 126 found but not startable. */
  readonly exitCode: 126 | 127;
  /** The machine lacked a resource; later it may work. */
  readonly transient: boolean;

  constructor(message: string, exitCode: 126 | 127, transient = false) {
    super(message);
    this.exitCode = exitCode;
    this.transient = transient;
  }
}

interface Command {
  readonly file: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

const windows = process.platform === 'win32';

/** What execvp(3) takes where there is no PATH. */
const DEFAULT_PATH = '/bin:/usr/bin';

/**
 * What to execute for `file`. A name without a slash is looked up in the command's own
 * PATH; a relative entry there means the command's directory, as in its shell. Answers
 * relative paths as they are: the child executes them from its `cwd`, and a script sees
 * in `$0` what it would see at the prompt. Throws SpawnError.
 */
export function findProgram({ file, cwd, env }: Command): string {
  if (file.includes('/') || windows) return file;
  const path = env['PATH'] ?? DEFAULT_PATH;
  let refused: string | null = null;
  for (const entry of file === '' ? [] : path.split(':')) {
    const candidate = `${entry === '' ? '.' : entry}/${file}`;
    const answer = probe(fromDirectory(cwd, candidate));
    if (answer === 'runs') return candidate;
    if (answer === 'refused') refused ??= candidate;
  }
  if (refused !== null) {
    throw new SpawnError(`${refused}: permission denied: the file is not executable`, 126);
  }
  // A missing directory explains better than a program that was not found in it.
  throw badDirectory(cwd) ?? new SpawnError(`${shown(file)}: not found in PATH (${path})`, 127);
}

function probe(path: string): 'runs' | 'refused' | 'absent' {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isFile() !== true) return 'absent';
    accessSync(path, constants.X_OK);
    return 'runs';
  } catch (error) {
    // A directory in PATH that we may not search hides whatever it holds.
    return systemCode(error) === 'EACCES' ? 'refused' : 'absent';
  }
}

/** Without normalizing: `link/..` is where the kernel says, not where the text says. */
function fromDirectory(cwd: string, path: string): string {
  return isAbsolute(path) ? path : `${cwd}/${path}`;
}

function shown(file: string): string {
  return file === '' ? '"" (an empty name)' : file;
}

const LACKING: Readonly<Record<string, string>> = {
  EAGAIN: 'the limit on processes is reached',
  ENOMEM: 'there is not enough memory',
  EMFILE: 'this worker has no file descriptors left',
  ENFILE: 'this machine has no file descriptors left',
};

/** True if the system lacked a resource, so that nothing is wrong with the command. */
export function isTransient(error: unknown): boolean {
  return Object.hasOwn(LACKING, systemCode(error) ?? '');
}

/** Why a start failed with `error`, found by looking at what it would have needed. */
export function whyNotStarted(
  error: unknown,
  command: Command | null,
  program: string,
): SpawnError {
  if (error instanceof SpawnError) return error;
  const code = systemCode(error) ?? '';
  if (isTransient(error) || command === null) return lacksResource(code, program);
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES' || code === 'UNKNOWN') {
    const seen = badDirectory(command.cwd) ?? badProgram(code, program, command.cwd);
    if (seen !== null) return seen;
    // Node does not say EAGAIN, see node.ts.
    if (code === 'UNKNOWN') return lacksResource('EAGAIN', program);
  }
  const reason = REASONS[code] ?? `cannot be started: ${messageOf(error)}`;
  return new SpawnError(`${program}: ${reason}`, 126);
}

function lacksResource(code: string, program: string): SpawnError {
  return new SpawnError(`${program}: cannot be started now: ${LACKING[code] ?? code}`, 126, true);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOEXEC: 'neither a program for this machine nor a script that begins with #!',
  E2BIG: 'arguments and environment together are longer than this system allows',
  ELOOP: 'too many symbolic links in its path',
  ENAMETOOLONG: 'its path is longer than this system allows',
  ETXTBSY: 'the file is being written by another process',
  EPERM: 'this system does not permit to execute it',
};

/** What is wrong with the working directory, or null. */
function badDirectory(cwd: string): SpawnError | null {
  const problem = (what: string): SpawnError =>
    new SpawnError(`working directory ${cwd}: ${what}`, 126);
  try {
    const stat = statSync(cwd, { throwIfNoEntry: false });
    if (stat === undefined) return problem('does not exist');
    if (!stat.isDirectory()) return problem('is not a directory');
    accessSync(cwd, constants.X_OK);
    return null;
  } catch (error) {
    return problem(systemCode(error) === 'EACCES' ? 'permission denied' : messageOf(error));
  }
}

function badProgram(code: string, program: string, cwd: string): SpawnError | null {
  const problem = (what: string, exitCode: 126 | 127 = 126): SpawnError =>
    new SpawnError(`${shown(program)}: ${what}`, exitCode);
  if (code === 'ENOTDIR') return problem('a part of its path is not a directory');
  const path = fromDirectory(cwd, program);
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) {
      const link = lstatSync(path, { throwIfNoEntry: false });
      return problem(
        link === undefined ? 'no such file' : 'a symbolic link to a file that does not exist',
        127,
      );
    }
    if (stat.isDirectory()) return problem('is a directory');
    if (!stat.isFile()) return problem('is not a regular file');
    if (!mayExecute(path)) return problem('permission denied: the file is not executable');
    const interpreter = badInterpreter(path, cwd);
    return interpreter === null ? null : problem(interpreter);
  } catch (error) {
    return problem(systemCode(error) === 'EACCES' ? 'permission denied' : messageOf(error));
  }
}

function mayExecute(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A `#!` line may have 256 bytes; the name of a program's loader stands in its first page. */
const HEAD_BYTES = 4096;
/** As in /lib64/ld-linux-x86-64.so.2 or /lib/ld-musl-x86_64.so.1. */
const LOADER = /\0(\/[\x21-\x7e]*\/ld[-\w]*\.so[\w.]*)\0/;

/** The file itself is fine, so what it needs to run is not. */
function badInterpreter(path: string, cwd: string): string | null {
  const head = Buffer.alloc(HEAD_BYTES);
  const fd = openSync(path, 'r');
  try {
    readSync(fd, head, 0, HEAD_BYTES, 0);
  } finally {
    closeSync(fd);
  }
  const text = head.toString('latin1');
  if (text.startsWith('\x7fELF')) {
    const loader = LOADER.exec(text)?.[1];
    if (loader === undefined || existsSync(loader)) return null;
    return `its program loader ${loader} does not exist: it was built for another system`;
  }
  if (!text.startsWith('#!')) return null;
  const line = text.slice(2).split('\n', 1)[0] ?? '';
  const interpreter = /^[ \t]*([^ \t\0]*)/.exec(line)?.[1] ?? '';
  if (interpreter.endsWith('\r')) {
    const name = interpreter.slice(0, -1);
    return `its #! line names ${name} followed by a carriage return: the file has Windows line endings`;
  }
  const target = fromDirectory(cwd, interpreter);
  if (!existsSync(target)) {
    return `its interpreter ${interpreter} does not exist`;
  }
  return mayExecute(target) ? null : `its interpreter ${interpreter} is not executable`;
}

/** Why the file for stdin could not be opened. */
export function whyNoStdin(path: string, cause: unknown): SpawnError {
  const code = systemCode(cause);
  let reason = typeof cause === 'string' ? cause : messageOf(cause);
  if (code === 'ENOENT') reason = 'no such file';
  if (code === 'ENOTDIR') reason = 'a part of its path is not a directory';
  if (code === 'EACCES') reason = 'permission denied';
  return new SpawnError(`cannot read stdin from ${path}: ${reason}`, 126);
}
