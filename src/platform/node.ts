// Starting a command under Node, and under Bun where it has no pipes for us (macOS,
// Windows). The twin of bun.ts, with these differences:
// - stdout and stderr are socket pairs: `> /dev/stderr` fails in a command ("No such
//   device or address"), while `>&2` works;
// - a death by a real-time signal is reported like an exit with 0. The kernel's own
//   record is looked at when the output ends, which is before the runtime reaps the
//   process; a command that lets its output go early, or whose output somebody else still
//   holds, escapes this look and reads as an exit with 0;
// - a script without a #! line is run by /bin/sh, as execvp(3) does;
// - the limit on open files is the one this process has.

import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { readStat } from './identity.ts';
import { signalOf } from './signals.ts';
import type { ExitStatus, Spawned, StartRequest, StreamName } from './starter.ts';

export function startWithNode(request: StartRequest): Spawned {
  const child = spawn(request.program, [...request.args], {
    argv0: request.file,
    cwd: request.cwd,
    env: request.env,
    stdio: [request.stdinText === undefined ? request.stdinFd : 'pipe', 'pipe', 'pipe'],
    // A session of its own; on Windows that would open a console window.
    detached: process.platform !== 'win32',
    windowsHide: true,
    windowsVerbatimArguments: request.verbatim,
  });
  // Told later what we know now; without a listener it would end this process.
  child.on('error', () => {});
  const { pid, stdout, stderr } = child;
  if (pid === undefined || stdout === null || stderr === null) {
    stdout?.destroy();
    stderr?.destroy();
    throw new NotStarted(child);
  }
  // Who does not read it all is no error of ours.
  child.stdin?.on('error', () => {});
  child.stdin?.end(request.stdinText);
  return running(child, pid, stdout, stderr);
}

/**
 * Node tells the error code only later, in an event. Of the errors it does not throw,
 * EMFILE and ENFILE leave a child without streams; ENOENT and EACCES are left for
 * diagnose.ts to find; if it finds neither, it was EAGAIN.
 */
class NotStarted extends Error {
  readonly code: 'EMFILE' | 'UNKNOWN';

  constructor(child: ChildProcess) {
    super('not started');
    // Absent and not null, whatever the types say.
    this.code = (child.stdout ?? null) === null ? 'EMFILE' : 'UNKNOWN';
  }
}

function running(child: ChildProcess, pid: number, stdout: Readable, stderr: Readable): Spawned {
  let realTimeSignal = 0;
  const lookAtEnd = (): void => {
    if (child.exitCode === null && child.signalCode === null) realTimeSignal ||= endSignal(pid);
  };
  for (const stream of [stdout, stderr]) {
    stream.on('end', lookAtEnd);
    // ECONNRESET and the like: the output has ended, `close` follows.
    stream.on('error', () => {});
  }
  return {
    pid,
    startTime: readStat(pid)?.startTime ?? '',
    exited: new Promise((resolve) => {
      child.on('exit', (code, signal) => resolve(statusOf(code, signal, realTimeSignal)));
    }),
    async pump(write) {
      await Promise.all([pumpOne(stdout, 'stdout', write), pumpOne(stderr, 'stderr', write)]);
    },
    outputEnded: () => stdout.closed && stderr.closed,
    closeOutput() {
      stdout.destroy();
      stderr.destroy();
      return Promise.resolve();
    },
  };
}

/** `data` handlers are synchronous: the stream reads on when `write` has returned. */
async function pumpOne(
  stream: Readable,
  name: StreamName,
  write: (stream: StreamName, bytes: Uint8Array) => void,
): Promise<void> {
  if (stream.destroyed) return;
  await new Promise<void>((resolve) => {
    stream.on('close', resolve);
    stream.on('data', (bytes: Buffer) => write(name, bytes));
  });
}

function statusOf(code: number | null, signal: string | null, realTimeSignal: number): ExitStatus {
  if (signal !== null && signal !== '') return { code: null, signal: signalOf(signal) };
  if (realTimeSignal !== 0 && (code ?? 0) === 0) {
    return { code: null, signal: signalOf(realTimeSignal) };
  }
  return { code: code ?? 0, signal: null };
}

/** Field 52 of /proc/<pid>/stat, counted from the third: the status that wait(2) will give. */
const EXIT_CODE_FIELD = 52 - 3;
/** The signal in a wait status; above it lies the flag for a core dump. */
const SIGNAL_MASK = 0x7f;

/** The signal that is ending this process, 0 for none or where there is no /proc. */
function endSignal(pid: number): number {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    return Number(fields[EXIT_CODE_FIELD] ?? 0) & SIGNAL_MASK;
  } catch {
    return 0;
  }
}
