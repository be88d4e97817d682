// What JSON.parse does not tell: where a text is wrong, doubled names, numbers that change.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { QueuectlError } from '../../src/errors.ts';
import { parseJson } from '../../src/json.ts';

const MALFORMED: readonly (readonly [string, string])[] = [
  ['', 'column 1: expected a JSON value, found the end'],
  ['{', 'column 2: expected a name in double quotes, found the end'],
  ['{id:1}', 'column 2: expected a name in double quotes, found "i"'],
  ["{'id':1}", 'column 2: expected a name in double quotes, found "\'"'],
  ['{"id" 1}', 'column 7: expected ":" after the name, found "1"'],
  ['{"id":}', 'column 7: expected a value, found "}"'],
  ['{"id":1,}', 'column 9: expected a name in double quotes, found "}"'],
  ['{"id":1 "x":2}', 'column 9: expected "," or "}", found "\\""'],
  ['{"id":1', 'column 8: expected "," or "}", found the end'],
  ['{"id":"k2",', 'column 12: expected a name in double quotes, found the end'],
  ['[1,2', 'column 5: expected "," or "]", found the end'],
  ['[1,]', 'column 4: expected a value, found "]"'],
  ['{"id":"x', 'column 7: the text that begins here has no closing quote'],
  ['{"id":"\\x"}', 'column 8: expected an escape such as'],
  ['{"id":"\\u12"}', 'column 8: expected an escape such as'],
  ['{"id":"a\tb"}', 'column 9: expected control characters escaped, found "\\t"'],
  ['{"id":01}', 'column 8: expected "," or "}", found "1"'],
  ['{"id":1.}', 'column 8: expected "," or "}", found "."'],
  ['{"id":+1}', 'column 7: expected a value, found "+"'],
  ['{"id":NaN}', 'column 7: expected a value, found "N"'],
  ['{"id":tru}', 'column 7: expected a value, found "t"'],
  ['{} {}', 'column 4: expected nothing more, found "{"'],
  ['{}\u0000', 'column 3: expected nothing more, found "\\u0000"'],
  ['{"a":"😀é" 1}', 'column 11: expected "," or "}", found "1"'],
  ['{\n  "id": 1,\r\n  id: 2\n}', 'line 3, column 3: expected a name in double quotes, found "i"'],
];

for (const [text, expected] of MALFORMED) {
  test(`${JSON.stringify(text)} is refused with its position`, () => {
    assert.throws(
      () => parseJson(text),
      (error) => {
        assert.ok(error instanceof QueuectlError);
        assert.equal(error.code, 'invalid');
        assert.ok(error.message.startsWith(`malformed JSON at ${expected}`), error.message);
        return true;
      },
    );
  });
}

const NAMED_TWICE: readonly (readonly [string, string])[] = [
  ['{"a":1,"a":2}', 'column 8: "a" is given twice'],
  ['{"env":{"A":"1","A":"2"}}', 'column 17: "A" is given twice'],
  ['{"a":1,"\\u0061":2}', 'column 8: "a" is given twice'],
  ['{"__proto__":1,"__proto__":2}', 'column 16: "__proto__" is given twice'],
];

for (const [text, expected] of NAMED_TWICE) {
  test(`${text} is refused: the second one would win`, () => {
    assert.throws(() => parseJson(text), { message: `malformed JSON at ${expected}` });
  });
}

test('colons in texts are not taken for doubled names', () => {
  const text = '{"a":"x:y:z","b":{"a":":"},"c":[{"a":1},{"a":2}]}';
  assert.deepEqual(parseJson(text), JSON.parse(text));
});

for (const number of [
  '12345678901234567890',
  '9007199254740993',
  '-9007199254740993',
  '2.00000000000000000001',
  '0.12345678901234567890',
  '9007199254.740993001',
  '1e400',
  '-1e400',
  '1e-400',
]) {
  test(`${number} is refused: it would arrive as ${Number(number)}`, () => {
    assert.throws(() => parseJson(`{"priority":${number}}`), {
      code: 'invalid',
      message: `"priority": ${number} is a number that JSON cannot carry exactly`,
    });
  });
}

for (const number of ['9007199254740992', '1e3', '1E+2', '0.1', '-0', '1.50', '5e-324', '0e5']) {
  test(`${number} arrives as it is`, () => {
    assert.deepEqual(parseJson(`{"a":${number}}`), { a: Number(number) });
  });
}

test('a text of digits is no number', () => {
  assert.deepEqual(parseJson('{"id":"12345678901234567890"}'), { id: '12345678901234567890' });
});

test('nesting without end is refused, not a crash', () => {
  const deep = '['.repeat(1_000_000);
  assert.throws(() => parseJson(deep), { code: 'invalid', message: /at most 100 levels/ });
  assert.throws(() => parseJson(`{"a":":",${'{"a":'.repeat(200_000)}`), { code: 'invalid' });
});

test('agrees with JSON.parse on every text', () => {
  const piece = fc.constantFrom(
    ...'{}[]:,"\\ \n\t0123456789.-+eEtrufalsn/b'.split(''),
    ...'"a" "b" true null 1 0.5 \\u0041 {"a": é'.split(' '),
    '\u0001',
  );
  const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(text, (json) => {
      let expected: unknown;
      try {
        expected = JSON.parse(json);
      } catch {
        assert.throws(() => parseJson(json), { message: /^malformed JSON at / });
        return;
      }
      try {
        assert.deepEqual(parseJson(json), expected);
      } catch (error) {
        // Stricter in these two only.
        assert.ok(error instanceof QueuectlError, String(error));
        assert.match(error.message, /is given twice|cannot carry exactly/);
      }
    }),
    { numRuns: 5000 },
  );
  fc.assert(
    fc.property(fc.json(), (json) => {
      // -0 is written as 0 and random doubles have 17 digits: both arrive as they are.
      assert.deepEqual(parseJson(json), JSON.parse(json));
    }),
  );
});
