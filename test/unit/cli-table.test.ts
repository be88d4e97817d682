// Tables: one line a row, aligned whatever is in them, within the terminal. SH-05.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { styleOf } from '../../src/cli/style.ts';
import { type Column, Table } from '../../src/cli/table.ts';
import stringWidth from 'string-width';

interface Row {
  readonly id: string;
  readonly n: number;
  readonly command: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'ID', text: ({ id }) => id, paint: (text) => `\u001b[1m${text}\u001b[22m` },
  { title: 'N', text: ({ n }) => String(n), right: true, dispensable: 1 },
  { title: 'COMMAND', text: ({ command }) => command, stretch: true },
];

const ROWS: readonly Row[] = [
  { id: 'm', n: 5, command: 'echo one\necho two\n# 漢字 😀\ttab' },
  { id: 'longer-id', n: 12_345, command: `x${'y'.repeat(300)}` },
  { id: '漢字', n: 0, command: '' },
];

const plain = (line: string): string => line.replaceAll(/\u001b\[\d+m/g, '');

test('one line a row, columns below their titles', async () => {
  const lines = await new Table(COLUMNS, styleOf(false), 60).page(ROWS);
  assert.equal(lines.length, 4);
  const [titles = '', first = '', second = '', third = ''] = lines.map(plain);
  assert.equal(titles, 'ID             N  COMMAND');
  assert.equal(first, 'm              5  echo one\\necho two\\n# 漢字 😀\\ttab');
  assert.ok(second.startsWith('longer-id  12345  xyyy'));
  assert.ok(second.endsWith('y…'));
  assert.equal(third, '漢字           0');
});

test('no line is wider than the terminal, and none is padded', async () => {
  for (const width of [16, 20, 30, 40, 57, 80, 200]) {
    const lines = await new Table(COLUMNS, styleOf(true), width).page(ROWS);
    for (const line of lines) {
      assert.ok(stringWidth(plain(line)) <= width, `${width}: ${line}`);
      assert.equal(plain(line), plain(line).trimEnd());
    }
  }
});

test('where it gets narrow, what can be spared goes before the command does', async () => {
  const [titles = ''] = await new Table(COLUMNS, styleOf(false), 30).page(ROWS);
  assert.equal(titles, 'ID         COMMAND');
});

test('without a terminal nothing is cut but what is absurd', async () => {
  const rows = [...ROWS, { id: 'z', n: 1, command: 'z'.repeat(100_000) }];
  const lines = (await new Table(COLUMNS, styleOf(false), null).page(rows)).map(plain);
  assert.ok(lines[2]?.endsWith('y'.repeat(300)));
  assert.ok((lines[4]?.length ?? 0) < 600);
});

test('later pages have no titles and stay below the first', async () => {
  const table = new Table(COLUMNS, styleOf(false), 60);
  const [, first = ''] = await table.page(ROWS.slice(1, 2));
  const [again = '', none] = await table.page(ROWS.slice(2));
  assert.equal(none, undefined);
  assert.equal(
    plain(first).indexOf('12345') + 4,
    plain(again).replace('漢字', 'abcd').indexOf('0'),
  );
});
