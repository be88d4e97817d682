// archive-jobs.mjs TREE ARCHIVE VAULT: reads names of files in TREE from stdin, each ended by
// a NUL byte, and prints one job a line for `queuectl enqueue --file -`.
//
// Of every 40 files one has to fail twice before it succeeds, and one belongs to the vault,
// which does not exist yet.

import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const [tree = '.', archive = '', vault = ''] = process.argv.slice(2);
const script = join(dirname(fileURLToPath(import.meta.url)), 'archive-file.sh');
const input = readFileSync(0);
const text = input.toString();
// Jobs are text, and a name that is not would become another one.
if (!Buffer.from(text).equals(input)) {
  console.error('archive-jobs: a name is not valid UTF-8; rename that file first');
  process.exit(1);
}
const names = text
  .split('\0')
  .filter((name) => name !== '')
  .map((name) => name.replace(/^\.\//, ''));

const width = String(names.length).length;
const lines = names.map((name, index) => {
  const number = index + 1;
  const kind = { 7: 'unsteady', 23: 'vault' }[number % 40] ?? 'plain';
  return JSON.stringify({
    id: `file-${String(number).padStart(width, '0')}`,
    // A list of arguments goes to the program as it is: no quoting, whatever a name contains.
    args: ['/bin/sh', script, name, resolve(kind === 'vault' ? vault : archive)],
    cwd: resolve(tree),
    max_retries: 2,
    tags: { kind },
    ...(kind === 'unsteady' && { env: { FAIL_FIRST: '2' } }),
  });
});
process.stdout.write(lines.map((line) => `${line}\n`).join(''));
