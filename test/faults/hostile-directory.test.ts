// Fault 51: a hostile .env, bunfig.toml, package.json or node_modules in the directory that
// queuectl is called in, and in which its jobs run, has no effect whatever.

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { crew } from '../fixtures/crew.ts';
import { EXECUTABLE } from '../cli/support.ts';

/** What queuectl is made of, and what its runtime would look for. */
const PACKAGES = ['valibot', 'string-width', 'fastest-levenshtein', 'pg', 'bun', 'node:fs'];

/** All that is there, in an order that does not depend on the file system. */
function listing(directory: string): string[] {
  return readdirSync(directory, { encoding: 'utf8', recursive: true }).toSorted((a, b) =>
    a < b ? -1 : 1,
  );
}

function plant(directory: string): void {
  const evil = `require('fs').writeFileSync(${JSON.stringify(join(directory, 'pwned'))}, 'pwned');`;
  const variables = [
    `QUEUECTL_HOME=${directory}/elsewhere`,
    `QUEUECTL_DB=${directory}/elsewhere.db`,
    `HOME=${directory}`,
    `NODE_OPTIONS=--require ${directory}/evil.js`,
    `BUN_OPTIONS=--preload ${directory}/evil.js`,
    'FROM_DOT_ENV=1',
  ].join('\n');
  for (const name of ['.env', '.env.local', '.env.production', '.env.development']) {
    writeFileSync(join(directory, name), variables);
  }
  for (const name of ['evil.js', 'evil.ts', 'main.ts', 'index.js', 'queuectl']) {
    writeFileSync(join(directory, name), evil);
  }
  writeFileSync(
    join(directory, 'bunfig.toml'),
    'preload = ["./evil.js"]\n[run]\npreload = ["./evil.js"]\nbun = true\n[test]\npreload = ["./evil.js"]\n',
  );
  const paths = Object.fromEntries(PACKAGES.map((name) => [name, ['./evil.ts']]));
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions: { paths } }));
  const main = { name: 'queuectl', main: './evil.js', imports: { '#*': './evil.js' } };
  writeFileSync(join(directory, 'package.json'), JSON.stringify(main));
  for (const name of PACKAGES) {
    const home = join(directory, 'node_modules', name);
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'package.json'), JSON.stringify({ name, main: 'index.js' }));
    writeFileSync(join(home, 'index.js'), evil);
  }
}

test('nothing in the directory has an effect', async (t) => {
  const queue = crew(t);
  const { directory } = queue;
  plant(directory);
  const before = listing(directory);
  const PATH = `${dirname(EXECUTABLE)}:${process.env['PATH'] ?? ''}`;

  for (const args of [['--version'], ['help'], ['config', 'list'], ['status'], ['list']]) {
    await queue.ok(args);
  }
  assert.equal((await queue.q(['enqeue'])).code, 2); // looks for what was meant
  await queue.ok(['worker', 'start', '--count', '2'], { env: { PATH } });
  const command = 'queuectl list && queuectl enqueue --id inner -- env && env';
  await queue.ok(['enqueue', '--id', 'job', '--shell', command], { env: { PATH } });
  assert.equal((await queue.finished('job')).state, 'completed');
  assert.equal((await queue.finished('inner')).state, 'completed');
  assert.match(await queue.ok(['list']), /inner/);
  for (const id of ['job', 'inner']) {
    const log = await queue.ok(['logs', id]);
    assert.match(log, new RegExp(`^QUEUECTL_HOME=${queue.home}$`, 'm'));
    assert.doesNotMatch(log, /FROM_DOT_ENV|BUN_OPTIONS|elsewhere/);
  }
  // A worker of this directory, too.
  await queue.ok(['enqueue', '--id', 'last', '--', 'true']);
  await queue.ok(['worker', 'start', '--foreground', '--drain']);
  await queue.ok(['worker', 'stop']);
  assert.deepEqual(listing(directory), before);
});
