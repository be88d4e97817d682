// Page after page of jobs, as a table or as a JSON array: what `list` and `dlq list` share.
// Invariant: memory does not grow with --limit; a million jobs stream through.

import type { Job } from '../job.ts';
import type { Queue } from '../queue.ts';
import type { ListQuery } from '../store/store.ts';
import type { Io } from './io.ts';
import { jobJson } from './json.ts';
import { JsonArray } from './json-array.ts';
import { wholeNumber } from './numbers.ts';
import type { Style } from './style.ts';
import { type Column, Table } from './table.ts';

/** As many as a page of the store costs a few milliseconds. */
const PAGE = 1000;
const SCANNED_PAGE = 3000;
const DEFAULT_LIMIT = 50;

export const LIMIT_FLAGS = {
  limit: { type: 'text', value: 'N', help: 'at most so many, without a maximum (default: 50)' },
  cursor: { type: 'text', value: 'ID', help: 'go on after this job: the last one shown' },
} as const;

export function limitOf(text: string | undefined): number {
  return wholeNumber('--limit', text, 1) ?? DEFAULT_LIMIT;
}

export interface Listing {
  readonly query: ListQuery;
  readonly columns: (jobs: readonly Job[], style: Style, now: number) => Column<Job>[];
  /** Said where there is nothing to show. */
  readonly nothing: () => Promise<string>;
}

export async function printJobs(queue: Queue, listing: Listing, io: Io): Promise<void> {
  const output = outputFor(listing, io);
  let { limit, cursor } = listing.query;
  let last: string | null = null;
  // No index serves these: each page looks at all that match.
  const isScan = ['updated', 'priority'].includes(listing.query.sort);
  const size = isScan ? SCANNED_PAGE : PAGE;
  let shown = 0;
  let more = true;
  while (more && limit > 0) {
    const page = await queue.list({ ...listing.query, limit: Math.min(limit, size), cursor });
    await output.add(page.jobs);
    shown += page.jobs.length;
    limit -= page.jobs.length;
    more = page.more;
    // Where it stood, not who it was: it may change, or be deleted, before the next page.
    cursor = page.jobs.at(-1) ?? cursor;
    last = page.jobs.at(-1)?.id ?? last;
    if (page.jobs.length === 0) break;
  }
  output.end();
  if (more && last !== null) {
    io.note(`there are more: --cursor ${last} goes on, --limit shows more at once`);
  }
  if (shown === 0 && !io.json && !io.quiet) io.print(await listing.nothing());
}

function outputFor(listing: Listing, io: Io): JobOutput {
  if (io.json) return new JsonOutput(io);
  return io.quiet ? new IdOutput(io) : new TableOutput(io, listing);
}

interface JobOutput {
  add(jobs: readonly Job[]): void | Promise<void>;
  end(): void;
}

class JsonOutput implements JobOutput {
  readonly #array: JsonArray;

  constructor(io: Io) {
    this.#array = new JsonArray(io);
  }

  add(jobs: readonly Job[]): void {
    for (const job of jobs) this.#array.add(jobJson(job));
  }

  end(): void {
    this.#array.end();
  }
}

/** `--quiet`: the ids alone, for scripts, as `enqueue --quiet` prints them. */
class IdOutput implements JobOutput {
  readonly #io: Io;

  constructor(io: Io) {
    this.#io = io;
  }

  add(jobs: readonly Job[]): void {
    for (const { id } of jobs) this.#io.print(id);
  }

  end(): void {
    // Every id has been printed as it came.
  }
}

class TableOutput implements JobOutput {
  readonly #io: Io;
  readonly #listing: Listing;
  #table: Table<Job> | undefined;

  constructor(io: Io, listing: Listing) {
    this.#io = io;
    this.#listing = listing;
  }

  async add(jobs: readonly Job[]): Promise<void> {
    if (jobs.length === 0) return;
    const io = this.#io;
    this.#table ??= new Table(
      this.#listing.columns(jobs, io.style, io.now()),
      io.style,
      io.context.stdout.columns,
    );
    io.print((await this.#table.page(jobs)).join('\n'));
  }

  end(): void {
    // Every page has been printed as it came.
  }
}
