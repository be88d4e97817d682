// status --watch: the picture redrawn in place whenever something changes. Invariant: the
// terminal is left as it was found, with the last picture on it, however it ends.

import { systemEnv } from '../env.ts';
import type { Queue } from '../queue.ts';
import { hintFor, type Status, statusJson } from './commands/status.ts';
import { Interrupted, ReaderGone } from './context.ts';
import type { Io } from './io.ts';
import { Rate } from './rate.ts';
import { statusText } from './status-text.ts';
import type { Style } from './style.ts';

/**
 * What `screen` programs do: a page of its own, without a cursor, and back. Lines that are
 * too long are cut at the edge; wrapped, they would push the picture off the screen.
 */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l';
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l';
/** Terminals that know these show what is between them at once; others ignore them. */
const BEGIN = '\u001b[?2026h';
const END = '\u001b[?2026l';
const HOME = '\u001b[H';
const END_OF_LINE = '\u001b[K';
const END_OF_SCREEN = '\u001b[J';

/** A picture is for people: looking more often than this only costs. */
const PAUSE_MS = 100;

export async function watchStatus(
  look: () => Promise<Status>,
  queue: Queue,
  io: Io,
): Promise<void> {
  const { stdout } = io.context;
  const signal = io.context.interrupted();
  // A dumb terminal is one that knows none of what is above.
  const onScreen = stdout.isTerminal && !io.json && io.context.env['TERM'] !== 'dumb';
  const picture = new Picture(io, onScreen);
  let looked = Number.NEGATIVE_INFINITY;
  const draw = async (): Promise<void> => {
    // Before the look, not instead of it: what has changed last is always shown.
    const early = looked + PAUSE_MS - systemEnv.boot();
    if (early > 0) await systemEnv.sleep(early, signal).catch(() => {});
    if (signal.aborted) return;
    looked = systemEnv.boot();
    // Where nothing changes there is nothing to write, and so nothing to notice it by.
    if (!onScreen && !(await io.context.hasReader())) throw new ReaderGone();
    await picture.show(await look());
  };
  try {
    if (onScreen) stdout.write(ENTER);
    await queue.until(draw, () => false, { signal });
  } catch (error) {
    // Ctrl-C is how one leaves it.
    if (!(error instanceof Interrupted) || error.signal !== 'SIGINT') throw error;
  } finally {
    // What was last seen stays readable above the prompt.
    if (onScreen) stdout.write(`${LEAVE}${picture.text}\n`);
  }
}

/** Each look as text or as a line of JSON, where it says something new. */
class Picture {
  /** The last one, whole. */
  text = '';
  readonly #io: Io;
  readonly #onScreen: boolean;
  readonly #rate = new Rate();
  #drawn = '';

  constructor(io: Io, onScreen: boolean) {
    this.#io = io;
    this.#onScreen = onScreen;
  }

  async show(status: Status): Promise<void> {
    const io = this.#io;
    const { stdout } = io.context;
    const now = io.now();
    this.#rate.add(now, ended(status));
    if (!this.#onScreen) {
      // Without what only grows older: that would be a new picture each second.
      const json = statusJson(status);
      const line = JSON.stringify(json);
      if (line === this.#drawn) return;
      this.#drawn = line;
      if (io.json) return io.printJsonLine(json);
    }
    const view = { ...status, rate: this.#rate.perSecond(now) };
    const hint = hintFor(status);
    const { rows } = stdout;
    // In the last column "erase the rest of the line" would erase what stands in it.
    const columns = stdout.columns === null ? null : stdout.columns - 1;
    const tail = hint === null ? [] : ['', ...wrap(`hint: ${hint}`, columns, io.style)];
    const height = rows === null ? null : rows - tail.length;
    const body = await statusText(view, io.style, now, columns, height);
    this.text = [body, ...tail].join('\n');
    if (!this.#onScreen) return stdout.write(`${this.text}\n\n`);
    // A terminal of another size needs the same text again.
    const drawn = `${columns ?? 0}x${rows ?? 0} ${this.text}`;
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    stdout.write(frameOf(this.text, rows));
  }
}

/** Overwrites what is there line by line, which does not flicker as clearing does. */
function frameOf(text: string, rows: number | null): string {
  const lines = text.split('\n').slice(0, rows ?? undefined);
  const body = lines.map((line) => line + END_OF_LINE).join('\n');
  return `${BEGIN}${HOME}${body}${END_OF_SCREEN}${END}`;
}

/** Between words; plain text, not yet coloured. */
function wrap(text: string, columns: number | null, style: Style): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    const longer = line === '' ? word : `${line} ${word}`;
    if (columns === null || longer.length <= columns || line === '')
      lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.map((line) => style.warn(line));
}

function ended({ stats }: Status): number {
  return stats.throughput.reduce((sum, { succeeded, failed }) => sum + succeeded + failed, 0);
}
