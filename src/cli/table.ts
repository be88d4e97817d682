// Rows → an aligned table that fits the terminal. Invariant: one line a row, whatever the
// cells hold, and no line wider than asked. Where even the columns that must be there do not
// fit, the first one, which names the row, stands on a line of its own.

import type { Style } from './style.ts';
import { type Measure, measureFor, shorten, visible } from './text.ts';

export interface Column<Row> {
  readonly title: string;
  /** The cell as it is; escaping, cutting and aligning are done here. */
  readonly text: (row: Row) => string;
  /** Colour, applied after everything is measured. */
  readonly paint?: (text: string, row: Row) => string;
  readonly right?: boolean;
  /** Takes the room that is left and is cut to it. The last column that says so. */
  readonly stretch?: boolean;
  /** At most this wide; what is longer is cut. */
  readonly most?: number;
  /** Left out, lowest first, where the stretching column would get too little. */
  readonly dispensable?: number;
}

const GAP = '  ';
const INDENT = '  ';
/** Below this a command tells nothing; other columns go first. */
const LEAST_STRETCH = 16;
/** Where no terminal sets a limit: a single command may be 128,000 bytes. */
const UNLIMITED = 500;
/** More than UNLIMITED columns in any script; the rest is not even looked at. */
const LONGEST_TEXT = 8000;

export class Table<Row> {
  readonly #columns: readonly Column<Row>[];
  readonly #style: Style;
  readonly #width: number | null;
  #shown: readonly Column<Row>[] | undefined;
  /** Too narrow for one line a row. */
  #stacked = false;
  readonly #widths = new Map<Column<Row>, number>();

  /** `width` null: as wide as it comes, only a cell of absurd length is cut. */
  constructor(columns: readonly Column<Row>[], style: Style, width: number | null) {
    this.#columns = columns;
    this.#style = style;
    this.#width = width;
  }

  /**
   * The lines of these rows, the titles before the first page. Later pages keep the
   * columns of the first; only a wider cell widens them.
   */
  async page(rows: readonly Row[]): Promise<string[]> {
    const cells = new Map<Column<Row>, readonly string[]>();
    for (const column of this.#columns) {
      cells.set(
        column,
        rows.map((row) => visible(column.text(row).slice(0, LONGEST_TEXT))),
      );
    }
    const measure = await measureFor([...cells.values()].flat());
    for (const [column, texts] of cells) {
      const { most = UNLIMITED } = column;
      cells.set(
        column,
        texts.map((text) => shorten(text, most, measure)),
      );
    }
    for (const [column, texts] of cells) {
      const before = this.#widths.get(column) ?? column.title.length;
      this.#widths.set(column, Math.max(before, ...texts.map(measure)));
    }
    const first = this.#shown === undefined;
    if (this.#shown === undefined) {
      this.#shown = this.#choose(this.#columns);
      this.#stacked = this.#shown.length > 1 && this.#room(this.#shown) < this.#least();
      if (this.#stacked) this.#shown = this.#choose(this.#columns.slice(1));
    }
    const lines = rows.flatMap((row, i) => {
      const cellOf = (column: Column<Row>): string => cells.get(column)?.[i] ?? '';
      if (!this.#stacked) return [this.#line(cellOf, measure, row)];
      return this.#stack(cellOf, measure, row);
    });
    if (this.#stacked) return lines;
    const titles = this.#line(({ title }) => title, measure, null);
    return first ? [this.#style.dim(titles), ...lines] : lines;
  }

  /** The name, and below it the rest: without titles, which would stand above nothing. */
  #stack(cellOf: (column: Column<Row>) => string, measure: Measure, row: Row): string[] {
    const [name] = this.#columns;
    if (name === undefined) return [];
    // Not cut: who looks at a list goes on with an id.
    const text = cellOf(name);
    const title = name.paint === undefined ? text : name.paint(text, row);
    if (this.#columns.some(({ stretch }) => stretch)) {
      const rest = this.#line(cellOf, measure, row);
      return rest === '' ? [title] : [title, INDENT + rest];
    }
    const rest = this.#columns.slice(1);
    const widest = Math.max(...rest.map((column) => column.title.length));
    const right = Math.max(...rest.map((column) => this.#widths.get(column) ?? 0));
    const facts = rest.map((column) => {
      const cell = cellOf(column);
      const painted = column.paint === undefined ? cell : column.paint(cell, row);
      const pad = ' '.repeat(column.right === true ? right - measure(cell) : 0);
      return `${INDENT}${this.#style.dim(column.title.padEnd(widest))}${GAP}${pad}${painted}`;
    });
    return [title, ...facts];
  }

  /** What the stretching column must get, for one line to tell anything. */
  #least(): number {
    return Math.min(LEAST_STRETCH / 2, this.#stretching());
  }

  /** Columns that fit, dispensable ones given up until the stretching one has room. */
  #choose(columns: readonly Column<Row>[]): readonly Column<Row>[] {
    let shown = columns;
    for (;;) {
      const out = shown
        .filter(({ dispensable }) => dispensable !== undefined)
        .toSorted((a, b) => (a.dispensable ?? 0) - (b.dispensable ?? 0))[0];
      if (out === undefined || this.#room(shown) >= Math.min(LEAST_STRETCH, this.#stretching())) {
        return shown;
      }
      shown = shown.filter((column) => column !== out);
    }
  }

  #stretching(): number {
    const column = this.#columns.find(({ stretch }) => stretch);
    return column === undefined ? 0 : (this.#widths.get(column) ?? 0);
  }

  /** What the other columns leave for the stretching one. */
  #room(shown: readonly Column<Row>[]): number {
    if (this.#width === null) return UNLIMITED;
    const taken = shown
      .filter(({ stretch }) => stretch !== true)
      .reduce((sum, column) => sum + (this.#widths.get(column) ?? 0) + GAP.length, 0);
    // The last gap of a table without a stretching column has nothing behind it.
    const gap = shown.some(({ stretch }) => stretch) ? 0 : GAP.length;
    return this.#width - taken + gap - (this.#stacked ? INDENT.length : 0);
  }

  #line(cellOf: (column: Column<Row>) => string, measure: Measure, row: Row | null): string {
    const shown = this.#shown ?? this.#columns;
    const room = Math.max(this.#room(shown), 1);
    const parts = shown.map((column, i) => {
      const cell = cellOf(column);
      const cut = column.stretch === true ? shorten(cell, room, measure) : cell;
      const painted = row === null || column.paint === undefined ? cut : column.paint(cut, row);
      // Nothing pads the end of a line.
      if (i === shown.length - 1 && column.right !== true) return painted;
      const wanted = this.#widths.get(column) ?? 0;
      const width = column.stretch === true ? Math.min(wanted, room) : wanted;
      const pad = ' '.repeat(Math.max(0, width - measure(cut)));
      return column.right === true ? pad + painted : painted + pad;
    });
    return parts.join(GAP).trimEnd();
  }
}
