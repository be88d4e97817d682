// A history that fails, made short enough to read.

import type { Command } from './model-commands.ts';

const SHRINK_MS = 60_000;

/**
 * Fewer commands that fail as well: ever smaller pieces are left out, from the end, then
 * single items of single commands, as long as what remains fails. (A history is one long
 * story; fast-check, which shrinks any value, would spend its time on the numbers in it.)
 */
export async function shrunk(
  history: readonly Command[],
  error: unknown,
  play: (history: readonly Command[]) => Promise<void>,
): Promise<{ history: readonly Command[]; error: unknown }> {
  const until = performance.now() + SHRINK_MS;
  let shortest = { history, error };
  const fails = async (shorter: readonly Command[]): Promise<boolean> => {
    if (performance.now() > until) return false;
    try {
      await play(shorter);
      return false;
    } catch (again) {
      shortest = { history: shorter, error: again };
      return true;
    }
  };
  let last;
  do {
    last = shortest.history;
    for (let piece = Math.max(last.length >> 1, 1); piece > 0; piece >>= 1) {
      for (let at = shortest.history.length - piece; at > -piece; at -= piece) {
        await fails(shortest.history.toSpliced(Math.max(at, 0), piece));
      }
    }
    for (const at of shortest.history.keys()) {
      let candidates = smaller(shortest.history[at]);
      for (let next = candidates.shift(); next !== undefined; next = candidates.shift()) {
        if (await fails(shortest.history.with(at, next))) candidates = smaller(next);
      }
    }
  } while (shortest.history !== last);
  return shortest;
}

/** The command with one item less in one of its lists. */
function smaller(command: Command | undefined): Command[] {
  return Object.entries(command ?? {}).flatMap(([name, value]) =>
    Array.isArray(value)
      ? [...value.keys()].map((at) => ({ ...command, [name]: value.toSpliced(at, 1) }) as Command)
      : [],
  );
}
