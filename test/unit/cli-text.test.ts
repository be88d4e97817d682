// Escaping, measuring and cutting of text for people. Security row "terminal escapes".

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bytes,
  count,
  enumerate,
  measureFor,
  shorten,
  visible,
  visibleOutput,
} from '../../src/cli/text.ts';

test('nothing in a field acts on a terminal', () => {
  assert.equal(visible('\u001b]52;c;aGk=\u0007'), String.raw`\e]52;c;aGk=\x07`);
  assert.equal(visible('a\nb\tc\rd\u0000e\u007f'), String.raw`a\nb\tc\rd\x00e\x7f`);
  assert.equal(visible('\u009b31m \u0085'), String.raw`\x9b31m \x85`);
  assert.equal(
    visible('a\u202egnp.exe\u2066 \u2028\ufeff'),
    String.raw`a\u202egnp.exe\u2066 \u2028\ufeff`,
  );
  assert.equal(visible('\ud800x\udc00'), '\ufffdx\ufffd');
});

test('what is harmless stays as it is', () => {
  for (const text of ['', 'plain', 'émoji 😀 漢字', 'zażółć', '👩‍👩‍👧', 'نامه‌ای', "it's \\n"]) {
    assert.equal(visible(text), text);
  }
});

test('every single control character is escaped, whatever stands around it', () => {
  const dangerous: number[] = [];
  for (let code = 0; code < 0x20; code++) dangerous.push(code);
  for (let code = 0x7f; code < 0xa0; code++) dangerous.push(code);
  for (let code = 0x2028; code <= 0x202e; code++) dangerous.push(code);
  for (let code = 0x2066; code <= 0x2069; code++) dangerous.push(code);
  for (const code of dangerous) {
    const character = String.fromCodePoint(code);
    assert.ok(!visible(`a${character}b`).includes(character), code.toString(16));
  }
});

test('output keeps its lines, tabs and carriage returns', () => {
  assert.equal(
    visibleOutput('10%\r100%\n\tx\u001b[31m\u0008\u009b'),
    '10%\r100%\n\tx\\e[31m\\x08\\x9b',
  );
});

test('cutting goes by columns and never through a character', async () => {
  const measure = await measureFor(['漢']);
  assert.equal(shorten('echo hello', 10, measure), 'echo hello');
  assert.equal(shorten('echo hello!', 10, measure), 'echo hell…');
  assert.equal(shorten('漢字漢字漢字', 7, measure), '漢字漢…');
  assert.equal(measure(shorten('漢字漢字漢字', 6, measure)), 5);
  assert.equal(shorten('👩‍👩‍👧👩‍👩‍👧', 3, measure), '👩‍👩‍👧…');
  assert.equal(shorten('x'.repeat(1_000_000), 5, measure), 'xxxx…');
  assert.equal(shorten('', 5, measure), '');
});

test('ASCII is measured without the tables of wide characters', async () => {
  const measure = await measureFor(['plain']);
  assert.equal(measure('plain'), 5);
});

test('numbers and lists in sentences', () => {
  assert.equal(count(1, 'job'), '1 job');
  assert.equal(count(200_000, 'job'), '200,000 jobs');
  assert.equal(enumerate([]), '');
  assert.equal(enumerate(['a']), 'a');
  assert.equal(enumerate(['a', 'b', 'c']), 'a, b and c');
  assert.equal(bytes(0), '0 B');
  assert.equal(bytes(1023), '1023 B');
  assert.equal(bytes(1536), '1.5 KiB');
  assert.equal(bytes(10 * 1024 ** 3), '10.0 GiB');
});
