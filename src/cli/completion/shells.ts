// The shells there is completion for. Each is loaded alone.

import type { Shell } from './shell.ts';

const SHELLS = {
  bash: async () => await import('./bash.ts'),
  zsh: async () => await import('./zsh.ts'),
  fish: async () => await import('./fish.ts'),
  powershell: async () => await import('./powershell.ts'),
} as const satisfies Record<string, () => Promise<{ readonly shell: Shell }>>;

export const SHELL_NAMES = Object.keys(SHELLS);

/** Null for one there is none for. */
export async function findShell(name: string): Promise<Shell | null> {
  for (const [known, load] of Object.entries(SHELLS)) {
    if (known === name) return (await load()).shell;
  }
  return null;
}
