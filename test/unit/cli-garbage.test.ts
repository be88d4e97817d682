// Whatever is typed: an answer, never a crash, and nothing that acts on a terminal.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GLOBAL_FLAGS } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { run } from '../../src/cli/run.ts';
import { fakeContext } from './cli-context.ts';

// Where a queue is opened at all, this one cannot be.
const env = { QUEUECTL_HOME: '/dev/null/home' };
// Nothing can be written here either: doctor --export takes any name for a file.
const cwd = '/dev/null';

const commands = [...COMMANDS].filter(([, { group }]) => group !== null).map(([name]) => name);
const flags = new Set(Object.keys(GLOBAL_FLAGS));
for (const name of commands) {
  const command = await COMMANDS.get(name)?.load();
  for (const flag of Object.keys(command?.flags ?? {})) flags.add(flag);
}
// With it a queue could be opened after all.
flags.delete('db');

const word = fc.oneof(
  fc.constantFrom(...flags).map((flag) => `--${flag}`),
  fc.constantFrom(...flags).chain((flag) => fc.string().map((value) => `--${flag}=${value}`)),
  fc.constantFrom('-f', '-n', '-h', '-', '--', '-5', '1', '30s', 'a', '{"command":"true"}', ''),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ maxLength: 20 }),
  fc.constantFrom('__proto__', 'constructor', '\u001b]0;x\u0007', '\u202e', '\ud800'),
);

const words = fc.array(
  word.filter((text) => !/^--db|^(--export=)?[/]/.test(text)),
  { maxLength: 6 },
);
const argv = fc.tuple(fc.constantFrom(...commands, ''), words);

test('every command line is answered with an exit code that is ours', async () => {
  await fc.assert(
    fc.asyncProperty(argv, async ([name, args]) => {
      const context = fakeContext({ argv: [...name.split(' '), ...args], env, cwd });
      const code = await run(context);
      const { out, err } = context.said;
      assert.ok([0, 2, 3, 5, 125].includes(code), `${code}: ${err}`);
      assert.doesNotMatch(out + err, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
      if (code !== 0) assert.match(err, /^(.+\n)*queuectl: .+\n(hint: .+\n)?/);
      assert.doesNotMatch(err, /internal error/);
    }),
    { numRuns: 1000 },
  );
});
