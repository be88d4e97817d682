// What the documents say is there: links lead somewhere, commands and their flags exist,
// settings have the defaults named, tests named as a proof are files. And what they tell
// people to run does what it says: the demo, and the example on a tree of odd names.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { GLOBAL_FLAGS } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { SETTINGS } from '../../src/config.ts';
import { STATES } from '../../src/job.ts';
import { EXECUTABLE, sandbox } from './support.ts';

const ROOT = resolve(import.meta.dirname, '../..');

const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** The anchors that a Markdown page has on the usual hosts. */
function anchorsOf(markdown: string): Set<string> {
  const headings = markdown.replaceAll(/^```.*?^```/gms, '').matchAll(/^#+ +(.*)$/gm);
  return new Set(
    [...headings].map(([, title = '']) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

for (const document of DOCUMENTS) {
  test(`every link in ${document} leads somewhere`, () => {
    const links = read(document).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g);
    for (const [link, path = '', anchor] of links) {
      const target = path === '' ? join(ROOT, document) : join(ROOT, dirname(document), path);
      assert.ok(existsSync(target), `${link}: there is no ${relative(ROOT, target)}`);
      if (anchor === undefined) continue;
      assert.ok(anchorsOf(readFileSync(target, 'utf8')).has(anchor), `${link}: no such heading`);
    }
  });

  test(`every command in ${document} exists, with the flags it is given`, async () => {
    for (const line of commandLines(read(document))) {
      for (const call of callsIn(line)) await checkCall(call, line);
    }
  });
}

/** Lines of shell in fenced blocks, without prompts, continued lines joined. */
function commandLines(markdown: string): string[] {
  const blocks = markdown.matchAll(/^```(?:sh|console|bat)\n(.*?)^```/gms);
  return [...blocks].flatMap(([block, code = '']) => {
    const lines = code.replaceAll('\\\n', ' ').split('\n');
    // A transcript: what has no prompt is output.
    if (!block.startsWith('```console')) return lines;
    return lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2));
  });
}

/**
 * `queuectl …` up to the end of the command: a pipe, a list, a substitution, a comment. Not the
 * directory `~/.queuectl`.
 */
function callsIn(line: string): string[] {
  return [
    ...line
      .replaceAll(/'[^']*'|"(?:\\.|[^"])*"/g, 'TEXT')
      .matchAll(/(?<!\.)\bqueuectl( [^|;&)#]*)?/g),
  ]
    .filter(([, rest]) => rest !== undefined)
    .map(([, rest = '']) => rest.trim());
}

async function checkCall(call: string, line: string): Promise<void> {
  const words = call.split(/\s+/).filter((word) => word !== '');
  const end = words.indexOf('--');
  const ours = end < 0 ? words : words.slice(0, end);
  if (ours.length === 0) return;
  const plain = ours.filter((word) => !word.startsWith('-'));
  const entry = COMMANDS.get(plain.slice(0, 2).join(' ')) ?? COMMANDS.get(plain[0] ?? '');
  if (plain.length > 0) assert.ok(entry, `no such command: ${line}`);
  const command = await entry?.load();
  for (const word of ours) {
    const [name = ''] = word.replace(/^--/, '').split('=', 1);
    if (!word.startsWith('--') || word === '--') continue;
    const known = Object.hasOwn(GLOBAL_FLAGS, name) || Object.hasOwn(command?.flags ?? {}, name);
    assert.ok(known, `no flag ${word}: ${line}`);
  }
}

test('the settings in README.md are those of the code, with their defaults', () => {
  const rows = [...read('README.md').matchAll(/^\| `(\w+)` \| `([^`]*)` \|/gm)];
  const told = rows.map(([, name, fallback]) => [name, fallback]);
  const real = Object.entries(SETTINGS).map(([name, { fallbackText }]) => [name, fallbackText]);
  assert.deepEqual(told, real);
});

test('tables in the samples of README.md have the columns that the code gives them', () => {
  const sources = readdirSync(join(ROOT, 'src/cli'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => read(`src/cli/${name}`))
    .join('');
  const states = STATES.map((state) => state.toUpperCase());
  const samples = [...read('README.md').matchAll(/^```console\n(.*?)^```/gms)];
  const headings = samples.flatMap(([, text = '']) => text.match(/^[A-Z]+(?: +[A-Z]+)+$/gm) ?? []);
  assert.ok(headings.length >= 6, headings.join('\n'));
  for (const title of headings.flatMap((line) => line.split(/ {2,}/))) {
    assert.ok(states.includes(title) || sources.includes(`'${title}'`), `no column ${title}`);
  }
});

test('every file that docs/ names as a place in the tree is there', () => {
  for (const document of DOCUMENTS) {
    const paths = read(document).matchAll(
      /`((?:src|test|docs|bench|scripts|examples)\/[\w./-]*)`/g,
    );
    for (const [, path = ''] of paths)
      assert.ok(existsSync(join(ROOT, path)), `${document}: ${path}`);
  }
});

test('nothing promises exactly once', () => {
  for (const document of DOCUMENTS) {
    assert.doesNotMatch(read(document), /exactly[\s-]once/i, document);
  }
});

const posix = { skip: process.platform === 'win32' && 'a shell script' };

/** Runs one of our scripts in a directory for temporary files of its own. */
async function script(t: TestContext, name: string, ...args: string[]): Promise<string> {
  const { directory, env } = sandbox(t);
  const temporary = join(directory, 'tmp');
  mkdirSync(temporary);
  const { stdout } = await promisify(execFile)('bash', [join(ROOT, name), ...args], {
    env: { ...env, TMPDIR: temporary, QUEUECTL: EXECUTABLE },
    timeout: 55_000,
  });
  assert.deepEqual(readdirSync(temporary), [], 'it leaves nothing behind');
  return stdout;
}

test('the demo ends well, in less than a minute', posix, async (t) => {
  assert.match(await script(t, 'demo.sh'), /Everything was as promised, in \d+ seconds\.\n$/);
});

test('the example archives a tree, whatever its files are called', posix, async (t) => {
  const tree = join(sandbox(t).directory, "a tree's");
  mkdirSync(join(tree, 'sub dir', '-x'), { recursive: true });
  const odd = [
    '-dash',
    'new\nline',
    `q'uo"te`,
    'a',
    'a.gz',
    'a.gz.sha256',
    '$(exit) `id` \\',
    'ü 文',
  ];
  const plain = Array.from({ length: 20 }, (_, i) => `file ${i}`);
  for (const name of [...odd, ...plain, 'sub dir/-x/deep']) writeFileSync(join(tree, name), name);
  const said = await script(t, 'examples/archive-tree.sh', tree);
  assert.match(said, /^dead +1$/m);
  assert.match(said, /^archives +29$/m);
  assert.match(said, /^content, unpacked +[0-9a-f]{64}\n$/m);
});
