// One table per subject: what was measured, its median, how that compares with its floor,
// what was to be reached, and whether it was.

export interface Row {
  readonly what: string;
  readonly median: string;
  /** Against the floor named in `what` or above it; '' where there is none. */
  readonly ratio?: string;
  readonly target?: string;
  /** undefined: there is no target. */
  readonly met?: boolean;
}

const HEADINGS = ['what', 'median', 'to floor', 'target', 'met'];

/** Prints it as Markdown, so that it can be pasted; answers whether every target was met. */
export function printTable(title: string, rows: readonly Row[]): boolean {
  const lines = [HEADINGS, ...rows.map(cells)];
  const widths = HEADINGS.map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? '').length)),
  );
  const written = lines.map(
    (line) => `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
  );
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  console.log(`\n${title}\n\n${[written[0], rule, ...written.slice(1)].join('\n')}`);
  return rows.every((row) => row.met !== false);
}

function cells({ what, median, ratio = '', target = '', met }: Row): string[] {
  return [what, median, ratio, target, met === undefined ? '' : met ? 'yes' : 'NO'];
}
