// "did you mean": the nearest of the words there are, if it is near enough to be meant.
// Loaded only to explain a refusal, because its dictionary work is.

import { closest } from '../invalid.ts';

/** `, did you mean list?`, or an empty string. */
export function didYouMean(word: string, known: readonly string[]): string {
  const best = begunBy(word, known) ?? closest(word, known) ?? swapped(word, known);
  return best === undefined ? '' : `, did you mean ${best}?`;
}

/** Half a word, as for completion: `conf` is config. */
function begunBy(word: string, known: readonly string[]): string | undefined {
  if (word.replace(/^-+/, '').length < 2) return undefined;
  const begun = known.filter((candidate) => candidate.startsWith(word.toLowerCase()));
  return begun.length === 1 ? begun[0] : undefined;
}

/** The right letters in the wrong order, which counts as two mistakes elsewhere. */
function swapped(word: string, known: readonly string[]): string | undefined {
  const letters = (text: string): string => Array.from(text.toLowerCase()).toSorted().join('');
  return known.find((candidate) => letters(candidate) === letters(word));
}
