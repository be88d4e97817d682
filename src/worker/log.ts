// What workers and supervisors tell the operator: one line an event, to stderr, which in
// the background is a file under logs/workers/.

import type { Env } from '../env.ts';

export type Log = (message: string) => void;

/** Lines like `2026-11-25T10:00:00.000Z w3 started a1 (attempt 1)`. */
export function createLog(name: string, env: Env, write: (line: string) => void): Log {
  return (message) => {
    const time = new Date(env.now()).toISOString();
    // One event, one line: a message may quote what a job or an error said.
    write(`${time} ${name} ${message.replaceAll(/[\r\n]+/g, ' ')}\n`);
  };
}
