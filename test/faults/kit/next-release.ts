// The release after this one: the executable built from a copy of src/ that has more
// migrations. Until there are two releases, this is how two versions meet in a test; what
// it knows of the schema beyond ours is SQL that the test gives.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';

const ROOT = resolve(import.meta.dirname, '../../..');
const SCHEMA = 'src/store/sqlite/schema.ts';
const LIST = /^export const MIGRATIONS: readonly string\[\] = \[([^\]]*)\];$/m;

/** Touches a table that everybody uses, and breaks nothing for who does not know of it. */
const HARMLESS = 'ALTER TABLE job ADD COLUMN note TEXT; CREATE INDEX job_note ON job (note);';

/**
 * Builds it with `migrations` appended to ours, each raising the schema version by one, and
 * answers the path of the executable. Gone when the test ends.
 */
export async function nextRelease(
  t: TestContext,
  migrations: readonly string[] = [HARMLESS],
): Promise<string> {
  const tree = mkdtempSync(join(tmpdir(), 'queuectl-next-'));
  t.after(() => rmSync(tree, { recursive: true, force: true }));
  for (const name of ['src', 'scripts', 'package.json', 'tsconfig.json']) {
    cpSync(join(ROOT, name), join(tree, name), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  const schema = readFileSync(join(tree, SCHEMA), 'utf8');
  assert.match(schema, LIST, `${SCHEMA} lists its migrations in another way: adapt this`);
  const more = migrations.map((sql) => JSON.stringify(sql)).join(', ');
  const edited = schema.replace(
    LIST,
    (_all, ours: string) => `export const MIGRATIONS: readonly string[] = [${ours}, ${more}];`,
  );
  writeFileSync(join(tree, SCHEMA), edited);
  await promisify(execFile)(process.execPath, ['scripts/build.ts'], { cwd: tree });
  return join(tree, 'dist', 'queuectl');
}
