// The C library through Bun's foreign function interface: what neither runtime offers and
// a job needs. Bun on Linux only. Guards that `bun:ffi`, which costs start-up time, is
// loaded by who starts commands and by nobody else.

import type * as Ffi from 'bun:ffi';

/** glibc, then musl: Bun's executables exist for both. */
const NAMES = ['libc.so.6', `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`];

export type Libc = NonNullable<ReturnType<typeof openLibc>>;

/** Null where this is not Bun on Linux, or its C library is not found. */
export function openLibc() {
  // All answer −1 for an error; errno cannot be relied upon, the engine calls the system too.
  return open({
    clock_gettime: { args: ['int', 'ptr'], returns: 'int' },
    fcntl: { args: ['int', 'int', 'int'], returns: 'int' },
    getrlimit: { args: ['int', 'ptr'], returns: 'int' },
    pipe2: { args: ['ptr', 'int'], returns: 'int' },
    read: { args: ['int', 'ptr', 'int'], returns: 'int' },
    setrlimit: { args: ['int', 'ptr'], returns: 'int' },
  });
}

/** The same for who hands text to a command. Apart: glibc has it from 2.27 on. */
export function openMemfd() {
  return open({ memfd_create: { args: ['ptr', 'int'], returns: 'int' } });
}

/** The same for who only looks whether somebody still reads. */
export function openPoll() {
  return open({ poll: { args: ['ptr', 'int', 'int'], returns: 'int' } });
}

function open<Symbols extends Record<string, Ffi.FFIFunction>>(symbols: Symbols) {
  if (process.platform !== 'linux' || process.versions['bun'] === undefined) return null;
  // Not an import statement: Node would fail on it.
  const ffi = process.getBuiltinModule('bun:ffi') as typeof Ffi;
  for (const name of NAMES) {
    try {
      return ffi.dlopen(name, symbols).symbols;
    } catch {
      // Not the C library of this system.
    }
  }
  return null;
}
