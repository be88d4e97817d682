// Fault 42: output that is no text. Every byte is kept, and given back unchanged to a file or
// a pipe; on a terminal nothing of it does anything but show (guarantee 11).

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { crew } from '../fixtures/crew.ts';
import { hasScript } from '../cli/box.ts';
import { EXECUTABLE } from '../cli/support.ts';
import { assertLineKept } from './kit/long-line.ts';

/** All bytes there are, bad UTF-8 of every kind, and what terminals obey. */
const NASTY = Buffer.concat([
  Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
  // Cut off, too long, a surrogate, beyond Unicode, a byte that is none.
  Buffer.from([0xe2, 0x82, 0x0a, 0xc0, 0xaf, 0xed, 0xa0, 0x80, 0xf4, 0x90, 0x80, 0x80, 0xff, 0x0a]),
  Buffer.from('\x1b]52;c;cHduZWQ=\x07\x1b]0;title\x1b\\\x1b[2J\x1b[?1049h\x9b31m\u009b31m\u202e\n'),
  Buffer.from('a\0b\0\0c\n'),
]);

/** What a terminal may be sent: text, and nothing that it would obey but these. */
const OBEYED = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u0080-\u009f\u202a-\u202e\u2066-\u2069]/;

suite('binary output', { concurrency: 2 }, () => {
  for (const [what, command] of [
    ['a megabyte of chance', 'head -c 1000000 /dev/urandom | tee made'],
    ['bad UTF-8, NUL and escapes', 'tee made <nasty'],
    ['the same on stderr', 'tee made <nasty >&2'],
    // Each byte alone: what belongs together comes in pieces.
    ['the same in single bytes', 'dd if=nasty bs=1 2>/dev/null | tee made'],
  ] as const) {
    test(`is kept: ${what}`, async (t) => {
      const queue = crew(t);
      writeFileSync(join(queue.directory, 'nasty'), NASTY);
      await queue.begin();
      await queue.enqueue('job', command);
      assert.equal((await queue.finished('job')).state, 'completed');
      const made = readFileSync(join(queue.directory, 'made'));
      for (const flags of [[], ['--raw'], ['-n', '1000000']]) {
        const shown = execFileSync(EXECUTABLE, ['logs', 'job', ...flags], {
          cwd: queue.directory,
          env: queue.env,
          maxBuffer: 10_000_000,
        });
        assert.ok(shown.equals(made), `logs ${flags.join(' ')}`);
      }
      assert.equal((await queue.show('job')).history[0]?.log_bytes, made.length);
    });
  }

  const skip = hasScript ? false : 'needs script, to make a terminal';
  test('does nothing to a terminal, unless it is asked for', { skip }, async (t) => {
    const queue = crew(t);
    writeFileSync(join(queue.directory, 'nasty'), NASTY);
    await queue.begin();
    // Also in what a person sees of the job elsewhere.
    await queue.enqueue('job', `cat nasty; : '\x1b]0;title\x07'; exit 3`, { max_retries: 0 });
    await queue.finished('job');
    const last = await queue.terminal('queuectl logs -f job');
    for (const line of [
      'queuectl logs job',
      'queuectl logs -n 100 job',
      'queuectl show job',
      'queuectl list',
      'queuectl dlq list',
    ]) {
      const { code, shown } = await queue.terminal(`NO_COLOR=1 ${line}`);
      assert.equal(code, 0, line);
      assert.doesNotMatch(shown, OBEYED, line);
    }
    assert.doesNotMatch(last.shown, OBEYED);
    const { shown } = await queue.terminal('queuectl logs job');
    assert.match(shown, /\\e\]52;c;cHduZWQ=\\x07/);
    const raw = await queue.terminal('stty -opost; queuectl logs --raw job');
    assert.ok(raw.shown.includes('\x1b]52;c;cHduZWQ=\x07'));
  });

  test('a line of 20 MB is kept whole', async (t) => {
    await assertLineKept(t, crew(t), 20_000_000, 60_000);
  });
});
