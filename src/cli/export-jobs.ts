// `doctor --export`: the jobs that a damaged database still gives, one JSON object a line.

import { closeSync, openSync, writeSync } from 'node:fs';
import { QueuectlError, systemCode } from '../errors.ts';
import type { Job } from '../job.ts';
import type { Location } from '../location.ts';
import { salvageStore } from '../store/open.ts';
import type { Io } from './io.ts';
import { jobJson, wellFormedJson } from './json.ts';
import { reasonOf } from './reason.ts';
import { count, visible } from './text.ts';

export async function exportJobs(file: string, location: Location, io: Io): Promise<number> {
  const write = file === '-' ? null : openFile(file);
  try {
    const { jobs, gaps } = await salvageStore(location, (job: Job) => {
      const line = wellFormedJson(jobJson(job));
      if (write === null) io.print(line);
      else writeSync(write, `${line}\n`);
    });
    const lost = gaps === 0 ? '' : `; ${gaps} could not be read`;
    io.note(
      `queuectl: saved ${count(jobs, 'job')}${file === '-' ? '' : ` to ${visible(file)}`}${lost}`,
    );
    return 0;
  } finally {
    if (write !== null) closeSync(write);
  }
}

/** Never over a file that is there: it may be the last good copy of something. */
function openFile(file: string): number {
  try {
    return openSync(file, 'wx', 0o600);
  } catch (error) {
    const there = systemCode(error) === 'EEXIST';
    throw new QueuectlError(
      there ? 'wrong_state' : 'invalid',
      `cannot write ${file}: ${reasonOf(error)}`,
      there ? { hint: 'choose another name' } : { cause: error },
    );
  }
}
