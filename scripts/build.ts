// npm run build                      → dist/queuectl
// npm run build -- --target windows  → dist/queuectl.exe, from any system

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const ENTRY = 'src/cli/main.ts';

const FLAGS = [
  '--compile',
  // Without these two it would read `.env` and run the preloads of `bunfig.toml` from
  // whatever directory somebody calls it in.
  '--no-compile-autoload-dotenv',
  '--no-compile-autoload-bunfig',
  // Start-up: nothing is parsed, and a command loads its own chunks only.
  '--bytecode',
  '--format=esm',
  '--splitting',
  // Stack traces name the lines of src/, at no cost in start-up. Minifying saves nothing
  // that can be measured, and takes the names out of them.
  '--sourcemap',
];

const root = resolve(import.meta.dirname, '..');
const { values } = parseArgs({ options: { target: { type: 'string' } } });
if (values.target !== undefined && values.target !== 'windows') {
  throw new Error(`unknown target ${values.target}: only 'windows' can be built from elsewhere`);
}
const cross = values.target === 'windows' && process.platform !== 'win32';
const name = cross || process.platform === 'win32' ? 'queuectl.exe' : 'queuectl';

const dist = join(root, 'dist');
mkdirSync(dist, { recursive: true });
const work = mkdtempSync(join(dist, '.build-'));
try {
  const target = cross
    ? ['--target=bun-windows-x64', `--compile-executable-path=${windowsBun()}`]
    : [];
  const bun = join(root, 'node_modules/bun/bin/bun.exe'); // its name on every system
  const { status } = spawnSync(
    bun,
    ['build', ...FLAGS, ...target, ENTRY, '--outfile', join(work, name)],
    { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  if (status === 0) {
    // Replaced at once: somebody may be running the old one.
    renameSync(join(work, name), join(dist, name));
    console.log(`dist/${name}`);
  } else {
    process.exitCode = 1;
  }
} finally {
  rmSync(work, { recursive: true });
}

/**
 * The Windows runtime of the installed version. npm does not install packages for other
 * systems, so this one is packed from the registry and held against the lock file.
 */
function windowsBun(): string {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version: string; integrity: string } | undefined>;
  };
  const locked = lock.packages['node_modules/@oven/bun-windows-x64'];
  if (locked === undefined) throw new Error('package-lock.json has no @oven/bun-windows-x64');
  const cache = join(root, 'node_modules/.cache', `bun-windows-x64-${locked.version}`);
  const executable = join(cache, 'package/bin/bun.exe');
  if (existsSync(executable)) return executable;

  const spec = `@oven/bun-windows-x64@${locked.version}`;
  execFileSync('npm', ['pack', spec, '--silent', '--pack-destination', work], { stdio: 'ignore' });
  const tarball = join(work, `oven-bun-windows-x64-${locked.version}.tgz`);
  const hash = createHash('sha512').update(readFileSync(tarball)).digest('base64');
  if (locked.integrity !== `sha512-${hash}`) throw new Error(`${spec} is not what was locked`);
  mkdirSync(cache, { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', cache]);
  return executable;
}
