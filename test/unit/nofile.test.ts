// What a runtime does to its own limit on open files does not show in a job: the limit of
// whoever started us is found.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { linuxOnly, tempDirectory } from './command-support.ts';

test('the soft limit on open files is that of the shell that started us', linuxOnly, (t) => {
  const file = join(tempDirectory(t), 'ask.ts');
  const nofile = new URL('../../src/platform/nofile.ts', import.meta.url).pathname;
  writeFileSync(file, `import { originalNofile } from '${nofile}'; console.log(originalNofile());`);
  // `:` keeps the shell from becoming what it runs.
  const script = `ulimit -Sn 333; "${process.execPath}" "${file}"; :`;
  assert.equal(execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' }), '333\n');
});
