// SH-01: what is shown of a command can be pasted into a shell and gives the same words.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { quote } from '../../src/platform/shell.ts';

const posix = process.platform === 'win32' ? { skip: 'cmd.exe has other rules' } : {};

test('plain words stay as they are', posix, () => {
  const args = ['ls', '-l', '--color=auto', 'a/b.c', 'x:y', '50%', '1+1', 'a@b', 'A=1'];
  assert.equal(quote(args), args.join(' '));
});

test('everything else is quoted, as little as possible', posix, () => {
  assert.equal(
    quote(['printf', '', 'a b', "it's", '$HOME', '*']),
    `printf '' 'a b' 'it'\\''s' '$HOME' '*'`,
  );
  assert.equal(quote(['echo', 'two\nlines', "\t'\\\r"]), `echo $'two\\nlines' $'\\t\\'\\\\\\r'`);
  assert.equal(
    quote(['echo', '\u001b[31m9', '\u009b', '\u202e']),
    `echo $'\\033[31m9' $'\\302\\233' $'\\342\\200\\256'`,
  );
  // As the first word they would be an assignment, a keyword or a job.
  assert.equal(quote(['A=1', 'A=1']), `'A=1' A=1`);
  assert.equal(quote(['if']), `'if'`);
  assert.equal(quote(['%1']), `'%1'`);
  assert.equal(quote(['ls', '=ls', '~', '#x', '!x', '{a,b}']), `ls '=ls' '~' '#x' '!x' '{a,b}'`);
  assert.equal(quote(['échø', '漢字😀']), `'échø' '漢字😀'`);
});

const BASH = '/bin/bash';
const bash = existsSync(BASH) ? {} : { skip: 'needs bash' };

test('a shell reads back the same words', bash, () => {
  const characters = [
    '',
    ' ',
    "'",
    '"',
    '\\',
    '\n',
    '\t',
    '\r',
    '\u0001',
    '\u007f',
    '\u009b',
    '\u202e',
  ];
  characters.push(
    '$',
    '`',
    '*',
    '?',
    '[',
    '~',
    '#',
    '!',
    '=',
    '%',
    '-',
    'a',
    '0',
    'é',
    '😀',
    '&',
    ';',
    '|',
    '<',
    '(',
  );
  const words = characters.flatMap((one) => characters.map((two) => `${one}${two}`));
  const output = execFileSync(BASH, ['-c', `printf '%s\\0' ${quote(['x', ...words])}`]);
  assert.deepEqual(output.toString().split('\0').slice(1, -1), words);
});
