// A real terminal for tests: a tmux server of its own with one pane. Keys are sent, screens
// are waited for, never slept for. Invariant: no server and no socket is left behind.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Box, QUEUECTL } from './box.ts';

export const hasTmux = spawnSync('tmux', ['-V']).status === 0;

export interface Terminal {
  /** Types a line and Enter. */
  type(line: string): void;
  /** Presses keys by tmux's names: `C-c`, `Enter`, `c`. */
  press(...keys: readonly string[]): void;
  resize(columns: number, rows: number): void;
  /** Whether it is on the page that programs have of their own, and whether a cursor shows. */
  modes(): { readonly otherPage: boolean; readonly cursor: boolean };
  /** What stands on the screen with its colours, as escapes. */
  painted(): string;
  /** What stands on the screen, without blanks at line ends and empty lines below. */
  screen(): string;
  /** Waits until the screen matches and answers it. */
  shows(pattern: RegExp): Promise<string>;
  /** Closes the terminal, as somebody who closes its window. */
  readonly close: () => void;
}

export interface TerminalSize {
  readonly columns?: number;
  readonly rows?: number;
}

/** Longer than anything takes on a machine that does a lot else. */
const PATIENCE_MS = 30_000;
const POLL_MS = 30;

/** A shell in a pane, queuectl first in PATH, its prompt `$ `. */
export async function terminal(
  t: TestContext,
  cli: Box,
  { columns = 100, rows = 24 }: TerminalSize = {},
): Promise<Terminal> {
  // Not in the sandbox, which must be empty of sockets when it is removed.
  const directory = mkdtempSync(join(tmpdir(), 'queuectl-tmux-'));
  const socket = join(directory, 's');
  const env = { ...cli.env, PATH: `${dirname(QUEUECTL)}:${cli.env['PATH'] ?? ''}`, PS1: '$ ' };
  const tmux = (...args: readonly string[]): string =>
    execFileSync('tmux', ['-S', socket, '-f', '/dev/null', ...args], {
      cwd: cli.directory,
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  const close = (): void => {
    spawnSync('tmux', ['-S', socket, 'kill-server'], { stdio: 'ignore' });
  };
  t.after(() => {
    close();
    rmSync(directory, { recursive: true, force: true });
  });
  const size = ['-x', String(columns), '-y', String(rows)];
  tmux('new-session', '-d', ...size, 'env PS1="\\$ " sh');
  const screen = (): string => tmux('capture-pane', '-p').trimEnd();
  const pane: Terminal = {
    type: (line) => {
      tmux('send-keys', '-l', line);
      tmux('send-keys', 'Enter');
    },
    press: (...keys) => {
      tmux('send-keys', ...keys);
    },
    resize: (width, height) => {
      tmux('resize-window', '-x', String(width), '-y', String(height));
    },
    modes: () => {
      const [page, cursor] = tmux('display', '-p', '#{alternate_on} #{cursor_flag}')
        .trim()
        .split(' ');
      return { otherPage: page === '1', cursor: cursor === '1' };
    },
    painted: () => tmux('capture-pane', '-p', '-e'),
    screen,
    shows: async (pattern) => {
      const end = performance.now() + PATIENCE_MS;
      for (;;) {
        const shown = screen();
        if (pattern.test(shown)) return shown;
        assert.ok(performance.now() < end, `never on the screen: ${String(pattern)}\n${shown}`);
        await sleep(POLL_MS);
      }
    },
    close,
  };
  await pane.shows(/^\$/m);
  return pane;
}
