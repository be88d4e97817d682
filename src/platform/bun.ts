// Starting a command under Bun on Linux, with real pipes: `> /dev/stderr` and
// `tee /dev/stdout` fail on the socket pairs that Bun and Node make by themselves.
// Guards that what Bun does to its own process, such as raising the limit on open files,
// does not show in a job. node.ts is the twin.

import { closeSync } from 'node:fs';
import { readStat } from './identity.ts';
import { type Libc, openLibc } from './libc.ts';
import { memoryFile } from './memory-file.ts';
import { outOfDescriptors, Pipe } from './pipe.ts';
import { signalOf } from './signals.ts';
import type { ExitStatus, Spawned, Starter, StartRequest, StreamName } from './starter.ts';

/** fcntl.h, the same on x64 and arm64. */
const F_DUPFD_CLOEXEC = 1030;
/** sys/resource.h, the same on x64 and arm64. */
const RLIMIT_NOFILE = 7;
/** time.h: the clock that start times of processes are told by. */
const CLOCK_BOOTTIME = 7;
/** USER_HZ is 100 on every architecture that Bun runs on. */
const TICKS_PER_SECOND = 100;
const NANOSECONDS_PER_TICK = 1e9 / TICKS_PER_SECOND;

/** Null where this is not Bun on Linux; the caller then takes the Node twin. */
export function createBunStarter(): Starter | null {
  const libc = openLibc();
  return libc === null ? null : (request) => start(libc, request);
}

function start(libc: Libc, request: StartRequest): Spawned {
  if (request.stdinText === undefined) return startWith(libc, request);
  const stdinFd = memoryFile(request.stdinText);
  try {
    return startWith(libc, { ...request, stdinFd });
  } finally {
    closeSync(stdinFd);
  }
}

function startWith(libc: Libc, request: StartRequest): Spawned {
  const stdout = new Pipe(libc);
  let stderr: Pipe | null = null;
  try {
    stderr = new Pipe(libc);
    const stdio: [number | 'ignore', number, number] = [
      request.stdinFd,
      stdout.writeEnd,
      stderr.writeEnd,
    ];
    const spare = spareDescriptor(libc, stdout.writeEnd);
    const before = bootTicks(libc);
    const child = withFileLimit(libc, request.nofile, spare, () =>
      Bun.spawn([request.program, ...request.args], {
        argv0: request.file,
        cwd: request.cwd,
        env: request.env,
        stdio,
        detached: true,
      }),
    );
    stdout.closeWriteEnd();
    stderr.closeWriteEnd();
    return new BunProcess(child, startTimeOf(child, before, bootTicks(libc)), stdout, stderr);
  } catch (error) {
    // Without a stream these close everything before they return their promise.
    void stdout.close();
    void stderr?.close();
    throw error;
  }
}

/**
 * The number that the next descriptor will have. Bun opens one for the child when it runs
 * already, and where that fails kills what it has started: throw before that.
 */
function spareDescriptor(libc: Libc, anyDescriptor: number): number {
  const spare = libc.fcntl(anyDescriptor, F_DUPFD_CLOEXEC, 0);
  if (spare < 0) throw outOfDescriptors();
  closeSync(spare);
  return spare;
}

/** struct rlimit: soft, hard. */
const limits = new BigUint64Array(2);

/**
 * Runs `spawn` while our soft limit on open files is `nofile`, so that the child inherits
 * it. Nothing else runs meanwhile: `spawn` is synchronous. Where we have so many files
 * open that no number below `nofile` is left for Bun, the child gets our limit instead.
 */
function withFileLimit<T>(libc: Libc, nofile: number | null, spare: number, spawn: () => T): T {
  if (nofile === null || spare >= nofile) return spawn();
  if (libc.getrlimit(RLIMIT_NOFILE, limits) !== 0) return spawn();
  const [soft = 0n, hard = 0n] = limits;
  const wanted = BigInt(nofile);
  limits[0] = wanted < hard ? wanted : hard;
  if (limits[0] === soft || libc.setrlimit(RLIMIT_NOFILE, limits) !== 0) return spawn();
  try {
    return spawn();
  } finally {
    limits[0] = soft;
    limits[1] = hard;
    libc.setrlimit(RLIMIT_NOFILE, limits);
  }
}

/** struct timespec on 64-bit little-endian machines: seconds, nanoseconds, each in two halves. */
const clock = new Uint32Array(4);

/** The boot clock in ticks, rounded down as the kernel rounds start times. */
function bootTicks(libc: Libc): number {
  libc.clock_gettime(CLOCK_BOOTTIME, clock);
  const [seconds = 0, , nanoseconds = 0] = clock;
  return seconds * TICKS_PER_SECOND + Math.floor(nanoseconds / NANOSECONDS_PER_TICK);
}

/**
 * When it started. /proc knows, but to ask it costs as much as half of all else that we do
 * for a trivial command; mostly the spawn was over within one tick, and then that is it.
 */
function startTimeOf(child: Bun.Subprocess, before: number, after: number): string {
  return before === after ? String(before) : (readStat(child.pid)?.startTime ?? '');
}

type Write = (stream: StreamName, bytes: Uint8Array) => void;

class BunProcess implements Spawned {
  readonly pid: number;
  readonly startTime: string;
  readonly exited: Promise<ExitStatus>;
  readonly #stdout: Pipe;
  readonly #stderr: Pipe;
  readonly #pumped = Promise.withResolvers<void>();
  #write: Write = () => {};
  #looks = 0;
  #talks = 0;

  constructor(child: Bun.Subprocess, startTime: string, stdout: Pipe, stderr: Pipe) {
    this.pid = child.pid;
    this.startTime = startTime;
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.exited = child.exited.then(() => {
      // All that it wrote is in the pipes by now.
      if (newcomers.has(this)) this.look();
      return statusOf(child);
    });
  }

  pump(write: Write): Promise<void> {
    this.#write = write;
    welcome(this);
    return this.#pumped.promise;
  }

  outputEnded(): boolean {
    return !this.#stdout.isOpen && !this.#stderr.isOpen;
  }

  async closeOutput(): Promise<void> {
    newcomers.delete(this);
    await Promise.all([this.#stdout.close(), this.#stderr.close()]);
    this.#pumped.resolve();
  }

  /** Reads what is there. One who has ended needs no watching, one who talks on needs it. */
  look(): void {
    this.#looks += 1;
    const talks = [
      this.#stdout.look((bytes) => this.#write('stdout', bytes)),
      this.#stderr.look((bytes) => this.#write('stderr', bytes)),
    ];
    if (this.outputEnded()) {
      newcomers.delete(this);
      this.#pumped.resolve();
      return;
    }
    if (talks.includes(true)) this.#talks += 1;
    if (this.#talks >= TALKS || this.#looks >= LOOKS) this.#watch();
  }

  #watch(): void {
    let streams: Promise<void>[];
    try {
      streams = [
        this.#stdout.stream((bytes) => this.#write('stdout', bytes)),
        this.#stderr.stream((bytes) => this.#write('stderr', bytes)),
      ];
    } catch {
      // No descriptor left: it stays a newcomer, so the next look tries again.
      return;
    }
    newcomers.delete(this);
    void Promise.all(streams).then(() => this.#pumped.resolve());
  }
}

/** A look every ms, 10 times: by then a trivial command has ended even on a busy machine. */
const LOOK_MS = 1;
const LOOKS = 10;
/** Who has said something three times is more than a trivial command. */
const TALKS = 3;

/** Processes whose output is looked for now and then, but not watched yet. */
const newcomers = new Set<BunProcess>();
let looking = false;

function welcome(newcomer: BunProcess): void {
  newcomers.add(newcomer);
  if (looking) return;
  looking = true;
  setTimeout(lookAtAll, LOOK_MS);
}

function lookAtAll(): void {
  for (const newcomer of newcomers) newcomer.look();
  looking = newcomers.size > 0;
  if (looking) setTimeout(lookAtAll, LOOK_MS);
}

function statusOf(child: Bun.Subprocess): ExitStatus {
  // The types know names only, but real-time signals come as numbers.
  const signal: string | number | null = child.signalCode;
  if (signal !== null) return { code: null, signal: signalOf(signal) };
  return { code: child.exitCode, signal: null };
}
