// Many processes append to one log file and put it aside when it is large: no line is lost or
// torn, though some of them are killed meanwhile.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const WRITER = resolve(import.meta.dirname, '../fixtures/append-lines.ts');
const WRITERS = 6;
const LINES = 400;
/** A few dozen lines: put aside some hundred times, often by two at once. */
const BYTES = 2048;

test('many append, put aside and are killed, and no line is lost or torn', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'queuectl-log-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const start = (name: string, lines: number) =>
    spawn(process.execPath, [WRITER, directory, name, String(lines), String(BYTES)], {
      stdio: 'inherit',
    });
  const doomed = [start('k1', 1e9), start('k2', 1e9)];
  const writers = Array.from({ length: WRITERS }, (_, i) => start(`w${i}`, LINES));
  const codes = await Promise.all(
    writers.map(async (writer) => {
      await once(writer, 'exit');
      return writer.exitCode;
    }),
  );
  for (const one of doomed) {
    one.kill('SIGKILL');
    await once(one, 'exit');
  }
  assert.deepEqual(new Set(codes), new Set([0]));

  const files = readdirSync(directory);
  assert.ok(files.length > 20, `${files.length} files`);
  const text = files.map((file) => readFileSync(join(directory, file), 'utf8')).join('');
  const lines = text.trimEnd().split('\n');
  for (const line of lines) {
    const [, n = '', rest] = /^[wk]\d (\d+) (x*\.)$/.exec(line) ?? [];
    assert.equal(rest, `${'x'.repeat(Number(n) % 90)}.`, line);
  }
  const own = lines.filter((line) => line.startsWith('w'));
  assert.equal(own.length, WRITERS * LINES);
  assert.equal(new Set(own).size, WRITERS * LINES);
});
