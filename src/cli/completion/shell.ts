// What a shell and our side of completion say to each other. Each shell has a file: the
// script that people load, how its question is read, how the answer is written for it.
// Invariant: a script passes on what was typed as plain text and runs none of it.

export interface Candidate {
  /** The whole word as it would stand, what was typed of it included. */
  readonly value: string;
  /** Safe on a terminal, one line; may be empty. */
  readonly description: string;
}

export interface Answer {
  /**
   * Only the candidates; or what the shell knows best: files, directories, commands, and
   * the arguments of a command that is not ours.
   */
  readonly kind: 'words' | 'files' | 'directories' | 'commands' | 'arguments';
  /** What of the word comes before the value: `--file=`. */
  readonly prefix: string;
  /** The value so far. */
  readonly value: string;
  readonly candidates: readonly Candidate[];
}

export const NOTHING: Answer = { kind: 'words', prefix: '', value: '', candidates: [] };

/** Words after the program's name and before the cursor's; the cursor's, up to the cursor. */
export type Complete = (before: readonly string[], current: string) => Promise<Answer>;

export interface Shell {
  readonly script: string;
  /** What the script reads, for the arguments that it passes. */
  answer(args: readonly string[], complete: Complete): Promise<string>;
}

/** Those that a word can grow into, for shells that do not choose themselves. */
export function fitting({ candidates }: Answer, current: string): readonly Candidate[] {
  return candidates.filter(({ value }) => value.startsWith(current));
}
