// The last N lines of a log, in one pass and without holding more than they take.

import type { LogChunk } from '../worker/log-reader.ts';

const NEWLINE = 10;

/**
 * What of these chunks belongs to the last `lines` lines. Chunks are cut at line ends;
 * marks between them stay where they are.
 */
export function lastLines(chunks: Iterable<LogChunk>, lines: number): LogChunk[] {
  let kept: LogChunk[] = [];
  let first = 0;
  // A newline at the very end ends the last line and begins none.
  let breaks = 0;
  const size = (): number => kept.length - first;
  for (const chunk of chunks) {
    kept.push(chunk);
    breaks += breaksIn(chunk);
    // The first chunk may go as soon as the others have enough line ends without it.
    while (size() > 1) {
      const oldest = kept[first];
      if (oldest === undefined || breaks - breaksIn(oldest) <= lines) break;
      breaks -= breaksIn(oldest);
      first++;
    }
    if (first > 1000) {
      kept = kept.slice(first);
      first = 0;
    }
  }
  kept = kept.slice(first);
  const last = kept.findLast((chunk) => chunk.kind === 'output');
  const open = last?.kind === 'output' && last.bytes.at(-1) !== NEWLINE;
  return dropLines(kept, breaks + (open ? 1 : 0) - lines);
}

function breaksIn(chunk: LogChunk): number {
  if (chunk.kind !== 'output') return 0;
  let n = 0;
  for (let at = chunk.bytes.indexOf(NEWLINE); at >= 0; at = chunk.bytes.indexOf(NEWLINE, at + 1)) {
    n++;
  }
  return n;
}

/** Without the first `n` lines, and without marks before what is left. */
function dropLines(chunks: readonly LogChunk[], n: number): LogChunk[] {
  let left = n;
  const kept: LogChunk[] = [];
  for (const chunk of chunks) {
    if (left <= 0) {
      kept.push(chunk);
    } else if (chunk.kind === 'output') {
      let at = -1;
      while (left > 0) {
        const next = chunk.bytes.indexOf(NEWLINE, at + 1);
        if (next < 0) break;
        at = next;
        left--;
      }
      const rest = chunk.bytes.subarray(at + 1);
      if (left === 0 && rest.length > 0) kept.push({ ...chunk, bytes: rest });
    }
  }
  return kept;
}
