// From a mutant to changed files. A text that is to be replaced stands in its file exactly
// once, or the list has rotted and says so.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mutant } from './mutant.ts';

/** The changed files of a mutant, by path under `root`. */
export function withEdits(mutant: Mutant, root: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const { file, text, replacement } of mutant.edits) {
    const before = files.get(file) ?? readFileSync(join(root, file), 'utf8');
    files.set(
      file,
      before.replace(text, () => replacement),
    );
  }
  return files;
}

/** Why this mutant is none, in words; [] if it is one. */
export function problemsOf(mutant: Mutant, root: string): string[] {
  const problems: string[] = [];
  for (const { file, text, replacement } of mutant.edits) {
    const found = readFileSync(join(root, file), 'utf8').split(text).length - 1;
    if (found !== 1) problems.push(`${mutant.name}: ${file} has ${found} times: ${text}`);
    if (text === replacement) problems.push(`${mutant.name}: changes nothing in ${file}`);
  }
  return problems;
}
