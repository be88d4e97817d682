// Ending although something is still waited for that may never come, like a read of a silent
// pipe, which nothing can take back. Only for who has written everything with writeSync: what
// is on its way into a pipe otherwise is cut.

/** With the exit code that is set. */
export function leave(): void {
  process.exit();
}
