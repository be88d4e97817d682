// `doctor --export`: the jobs that a damaged database still gives, one JSON object a line; with
// --unfinished those that are still to run, as `enqueue --file` takes them. Invariant: no
// file is overwritten, and none is left that holds less than was told.

import { closeSync, existsSync, fsyncSync, linkSync, openSync, writeSync } from 'node:fs';
import { draftOf, removeAbandonedDrafts, removeDraft } from '../drafts.ts';
import { systemEnv } from '../env.ts';
import { EXIT_CODE_OF, QueuectlError, systemCode } from '../errors.ts';
import { isTerminal } from '../job.ts';
import type { Location } from '../location.ts';
import type { SalvagedJob } from '../store/inspection.ts';
import { salvageStore } from '../store/open.ts';
import type { Io } from './io.ts';
import { iso, jobJson, wellFormedJson } from './json.ts';
import { Progress } from './progress.ts';
import { reasonOf } from './reason.ts';
import { count, visible } from './text.ts';

export interface ExportOptions {
  /** A path, or `-`. */
  readonly file: string;
  readonly unfinished: boolean;
}

/** Answers 6 where there were jobs and none could be saved. */
export async function exportJobs(
  { file, unfinished }: ExportOptions,
  location: Location,
  io: Io,
): Promise<number> {
  const target = file === '-' ? null : new Target(file);
  const progress = new Progress(io);
  let [written, ended, astray, seen] = [0, 0, 0, 0];
  const onJob = (found: SalvagedJob): void => {
    progress.update('Reading', (seen += 1), null, 'jobs');
    const json = unfinished ? unfinishedJson(found) : exportJson(found);
    if (json === 'ended') ended += 1;
    else if (json === 'astray') astray += 1;
    else {
      written += 1;
      const line = wellFormedJson(json);
      if (target === null) io.print(line);
      else target.write(`${line}\n`);
    }
  };
  try {
    const { jobs, lost, lostIds } = await salvageStore(location, onJob);
    progress.clear();
    const told = [
      `saved ${count(written, unfinished ? 'unfinished job' : 'job')}${
        target === null || written === 0 ? '' : ` to ${visible(file)}`
      }`,
    ];
    if (ended > 0) told.push(`${count(ended, 'job')} had ended`);
    if (astray > 0) {
      told.push(`of ${count(astray, 'unfinished job')} the queue or the directory is lost`);
    }
    if (lost > 0) told.push(`${count(lost, 'job')} could not be read${named(lostIds, lost)}`);
    target?.end(written > 0);
    if (lost + astray > 0) io.warn(told.join('; '));
    else io.note(`queuectl: ${told.join('; ')}`);
    if (astray > 0) io.note('hint: without --unfinished they are saved too, to be looked at');
    return jobs === 0 && lost > 0 ? EXIT_CODE_OF.damaged : 0;
  } catch (error) {
    progress.clear();
    target?.end(false);
    throw error;
  }
}

function named(ids: readonly string[], lost: number): string {
  if (ids.length === 0) return '';
  return `: ${ids.map((id) => visible(id)).join(', ')}${ids.length < lost ? ' …' : ''}`;
}

function exportJson({ job, queue, cwd }: SalvagedJob): Record<string, unknown> {
  return { ...jobJson(job), queue, cwd };
}

/** What `enqueue` takes; the retries are counted anew. */
function unfinishedJson({
  job,
  queue,
  cwd,
}: SalvagedJob): Record<string, unknown> | 'ended' | 'astray' {
  if (isTerminal(job.state) || job.cancelRequested) return 'ended';
  // In another directory it might do harm, and in another queue nobody might serve it.
  if (queue === null || cwd === null) return 'astray';
  const { spec } = job;
  return {
    id: job.id,
    ...(spec.args === undefined ? { command: job.command } : { args: spec.args }),
    queue,
    priority: job.priority,
    max_retries: job.maxRetries,
    run_at: iso(job.runAt),
    timeout: (job.timeout ?? 0) / 1000,
    tags: job.tags,
    cwd,
    env: spec.env ?? {},
    env_from: spec.env_from ?? [],
    stdin: spec.stdin ?? null,
    stdin_text: spec.stdin_text ?? null,
  };
}

/** Has another name until it is complete. */
class Target {
  readonly #file: string;
  readonly #draft: string;
  readonly #fd: number;

  constructor(file: string) {
    this.#file = file;
    if (existsSync(file)) throw this.#taken();
    removeAbandonedDrafts(file, systemEnv.now());
    this.#draft = draftOf(file, systemEnv.newId());
    try {
      this.#fd = openSync(this.#draft, 'wx', 0o600);
    } catch (error) {
      throw this.#refused(error);
    }
  }

  write(line: string): void {
    let bytes: Uint8Array = Buffer.from(line);
    try {
      while (bytes.length > 0) bytes = bytes.subarray(writeSync(this.#fd, bytes));
    } catch (error) {
      throw this.#refused(error);
    }
  }

  /** What holds nothing, or not all, is taken away again. */
  end(keep: boolean): void {
    try {
      if (!keep) return;
      fsyncSync(this.#fd);
      // Never over a file that is there: it may be the last good copy of something.
      linkSync(this.#draft, this.#file);
    } catch (error) {
      throw systemCode(error) === 'EEXIST' ? this.#taken() : this.#refused(error);
    } finally {
      closeSync(this.#fd);
      removeDraft(this.#draft);
    }
  }

  #taken(): QueuectlError {
    const message = `${this.#file} is there already`;
    return new QueuectlError('wrong_state', message, { hint: 'choose another name' });
  }

  #refused(error: unknown): QueuectlError {
    const full = systemCode(error) === 'ENOSPC' || systemCode(error) === 'EDQUOT';
    return new QueuectlError(
      full ? 'full' : 'invalid',
      `cannot write ${this.#file}: ${reasonOf(error)}`,
      { cause: error, ...(full && { hint: 'choose a place on another disk' }) },
    );
  }
}
