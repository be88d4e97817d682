// How this program starts itself again: a compiled executable is its own script, a
// runtime needs the script's path.

/** Where Bun mounts what is compiled in, on POSIX and on Windows. */
const COMPILED_ROOTS = ['/$bunfs/', 'B:\\~BUN\\', 'B:/~BUN/'];

export function selfCommand(): { file: string; args: readonly string[] } {
  const script = process.argv[1] ?? '';
  const compiled = COMPILED_ROOTS.some((root) => script.startsWith(root));
  return { file: process.execPath, args: compiled ? [] : [script] };
}
