// A copy of a database whose beginning is destroyed, with that of a new one in its place: what
// says how to read the rest is the same in every database of one version. The damaged file
// is only read; the copy is nobody else's and goes when it has been looked at.

import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backupDatabase } from './backup.ts';
import { createDatabase } from './create.ts';
import { HEAD_BYTES } from './file.ts';

const PAGE_BYTES = 4096;
/** Offsets in the header: pages of the file, the first free page, how many of them. */
const [PAGES, FREE, FREE_COUNT] = [28, 32, 36];

/**
 * How much of the beginning is a new one: the header, or the page that leads to all tables, as
 * it is where they were made, or where a backup has laid them out anew.
 */
export type Extent = 'header' | 'page' | 'page of a backup';

export function withMended<T>(path: string, extent: Extent, use: (copy: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'queuectl-doctor-'));
  try {
    const fresh = join(directory, 'new.db');
    createDatabase(fresh, 'new');
    const copy = join(directory, 'copy.db');
    for (const suffix of ['', '-wal']) {
      if (!existsSync(path + suffix)) continue;
      copyFileSync(path + suffix, copy + suffix);
      chmodSync(copy + suffix, 0o600);
    }
    let model = fresh;
    if (extent === 'page of a backup') {
      model = join(directory, 'model.db');
      backupDatabase(fresh, model, { force: false, unique: 'draft', now: 0 });
    }
    const page = readFileSync(model).subarray(0, PAGE_BYTES);
    page.writeUInt32BE(Math.ceil(statSync(copy).size / PAGE_BYTES), PAGES);
    page.writeUInt32BE(0, FREE);
    page.writeUInt32BE(0, FREE_COUNT);
    const fd = openSync(copy, 'r+');
    try {
      writeSync(fd, page, 0, extent === 'header' ? HEAD_BYTES : PAGE_BYTES, 0);
    } finally {
      closeSync(fd);
    }
    return use(copy);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
