// The programs that we measure against, in bench/floor/. Those in TypeScript are compiled
// like queuectl itself, or run by the Bun it is compiled with; those in C need a compiler.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newPath, outputOf, ROOT } from './place.ts';

const BUN = join(ROOT, 'node_modules/bun/bin/bun.exe');
const C_COMPILER = 'gcc';

/** Compiles what `import.meta.resolve` answered for a TypeScript file; answers the executable. */
export function compiled(url: string): string {
  const source = fileURLToPath(url);
  const executable = newPath(basename(source, '.ts'));
  const args = ['build', ...buildFlags(), source, '--outfile', executable];
  outputOf(spawnSync(BUN, args, { encoding: 'utf8' }));
  return executable;
}

/** What scripts/build.ts passes to `bun build`. */
function buildFlags(): string[] {
  const script = readFileSync(join(ROOT, 'scripts/build.ts'), 'utf8');
  const [, list = ''] = /^const FLAGS = \[(.*?)^\];/ms.exec(script) ?? [];
  const flags = [...list.matchAll(/^ +'(--\S+)',$/gm)].map(([, flag = '']) => flag);
  if (!flags.includes('--compile')) throw new Error('no FLAGS found in scripts/build.ts');
  return flags;
}

/** Runs such a TypeScript file and answers the JSON it printed. */
export function runFloor<T>(url: string, ...args: readonly (string | number)[]): T {
  const command = [fileURLToPath(url), ...args.map(String)];
  return JSON.parse(outputOf(spawnSync(BUN, command, { encoding: 'utf8' }))) as T;
}

/** The path of `bench/floor/<name>.c` as an executable; null where there is no compiler. */
export function compiledC(name: string): string | null {
  const executable = newPath(name);
  const args = ['-O2', '-o', executable, join(ROOT, `bench/floor/${name}.c`)];
  const result = spawnSync(C_COMPILER, args, { encoding: 'utf8' });
  if (result.error) return null;
  outputOf(result);
  return executable;
}
