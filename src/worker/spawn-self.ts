// Starting ourselves again as a supervisor or a worker, in a session of our own, so that
// neither the terminal nor a pipe that `worker start` was called with is held.

import { spawn, type ChildProcess } from 'node:child_process';
import { selfCommand } from '../platform/self.ts';

export interface SpawnSelfOptions {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Descriptor for both outputs, or 'inherit' for the foreground. */
  readonly output: number | 'inherit';
}

export function spawnSelf(options: SpawnSelfOptions): ChildProcess {
  const { file, args } = selfCommand();
  return spawn(file, [...args, ...options.args], {
    // Where we were called from must not be kept from being unmounted or deleted.
    cwd: '/',
    detached: true,
    env: options.environment,
    stdio: ['ignore', options.output, options.output],
  });
}
