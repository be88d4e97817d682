// Fault 18: a transaction that began with reading and then writes. SQLite refuses it halfway
// when somebody else has written in between, so there must be none: whatever writes runs in a
// transaction that took the lock at its beginning.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { crew } from '../fixtures/crew.ts';

const FOLDER = resolve(import.meta.dirname, '../../src/store/sqlite');

/** File → its code without comments. */
const sources = new Map(
  readdirSync(FOLDER).map((name) => [
    name,
    readFileSync(join(FOLDER, name), 'utf8').replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, ''),
  ]),
);

function source(name: string): string {
  return sources.get(name) ?? assert.fail(`there is no ${name} any more: adapt this test`);
}

/** The files of SQL: their functions, each with its text. */
function functionsOf(files: ReadonlyMap<string, string>): Map<string, string> {
  const found = new Map<string, string>();
  for (const [file, code] of files) {
    if (['connection.ts', 'create.ts', 'migrate.ts', 'schema.ts', 'store.ts'].includes(file))
      continue;
    for (const part of code.split(/^(?=(?:export )?function )/m)) {
      const [, name] = /^(?:export )?function (\w+)/.exec(part) ?? [];
      if (name !== undefined) found.set(name, part);
    }
  }
  return found;
}

function mentions(code: string, name: string): boolean {
  return new RegExp(`(?<![.\\w#'])${name}\\b(?!')`).test(code);
}

/** Functions that write, themselves or through others. */
function writersOf(functions: ReadonlyMap<string, string>): Set<string> {
  const writers = new Set<string>();
  for (const [name, code] of functions) {
    if (/\b(INSERT|UPDATE|DELETE|REPLACE|DROP|ALTER|CREATE)\b|\.(run|insert)\(/.test(code)) {
      writers.add(name);
    }
  }
  for (let before = -1; before < writers.size;) {
    before = writers.size;
    for (const [name, code] of functions) {
      if ([...writers].some((writer) => mentions(code, writer))) writers.add(name);
    }
  }
  return writers;
}

/** The arguments of every call of one of these methods. */
function argumentsOf(code: string, methods: string): string[] {
  return [...code.matchAll(new RegExp(`[.#](?:${methods})(?:<\\w+>)?\\(`, 'g'))].map((match) => {
    const from = match.index + match[0].length;
    let depth = 1;
    let to = from;
    for (; depth > 0 && to < code.length; to += 1) {
      if (code[to] === '(') depth += 1;
      if (code[to] === ')') depth -= 1;
    }
    return code.slice(from, to - 1);
  });
}

/** What writes without the lock: within `read`, or within no transaction at all. */
function unlocked(store: string, writers: ReadonlySet<string>): string[] {
  const written = argumentsOf(store, 'write|#write|finish|#finish');
  let rest = store.replaceAll(/^import [^;]+;$/gm, '').replaceAll(/^ {2}(async )?\w+\(/gm, '');
  for (const body of written) rest = rest.replace(body, '');
  return [...writers].filter((writer) => mentions(rest, writer));
}

const functions = functionsOf(sources);
const writers = writersOf(functions);

test('the search tells what writes from what reads', () => {
  for (const name of [
    'enqueue',
    'claim',
    'record',
    'reap',
    'renew',
    'probe',
    'take',
    'nextRunToken',
  ]) {
    assert.ok(writers.has(name), `${name} writes`);
  }
  for (const name of ['find', 'list', 'attempts', 'stats', 'attend', 'running', 'workers']) {
    assert.ok(functions.has(name) && !writers.has(name), `${name} reads`);
  }
  const store = source('store.ts');
  const harmed = store.replace('#read((db) => find(db, id))', '#read((db) => cancel(db, 0, id))');
  assert.notEqual(harmed, store);
  assert.deepEqual(unlocked(harmed, writers), ['cancel']);
});

test('no statement writes outside a transaction that began IMMEDIATE', () => {
  assert.deepEqual(unlocked(source('store.ts'), writers), []);
  assert.doesNotMatch(argumentsOf(source('store.ts'), 'read|#read').join('\n'), /\.(run|insert)\(/);
});

test('nothing but reading begins a transaction that does not take the lock', () => {
  const deferred = [...sources].flatMap(([file, code]) =>
    [...code.matchAll(/^(?!.*\b(?:ON job|WHEN new|WHEN old)\b).*\bBEGIN\b(?! IMMEDIATE).*$/gm)].map(
      ([line]) => `${file}: ${line.trim()}`,
    ),
  );
  assert.deepEqual(deferred.toSorted(), [
    "connection.ts: #transaction<T>(begin: 'BEGIN' | 'BEGIN IMMEDIATE', body: () => T): T {",
    "connection.ts: return await this.#retry(() => this.#transaction('BEGIN', body));",
    "inspect.ts: db.exec('BEGIN');",
    "untouched.ts: reader.exec('BEGIN; SELECT 1 FROM sqlite_schema');",
  ]);
});

test('readers and writers at once: none is refused, nothing is lost', async (t) => {
  const queue = crew(t);
  await queue.begin('--count', '2');
  const ids = Array.from({ length: 40 }, (_, i) => `job${i}`);
  const each = async (rounds: readonly string[], args: (id: string) => string[]): Promise<void> => {
    for (const id of rounds) await queue.ok(args(id));
  };
  await Promise.all([
    each(ids.slice(0, 20), (id) => ['enqueue', '--id', id, '--', 'true']),
    each(ids.slice(20), (id) => ['enqueue', '--id', id, '--if-absent', '--', 'true']),
    each(ids.slice(20), (id) => ['enqueue', '--id', id, '--if-absent', '--', 'true']),
    each(ids.slice(0, 20), () => ['list', '--json']),
    each(ids.slice(0, 20), () => ['status', '--json']),
  ]);
  const jobs = await queue.allFinished(ids);
  assert.ok(jobs.every(({ state, attempts }) => state === 'completed' && attempts === 1));
  assert.doesNotMatch(queue.log(), /locked|trying again|could not/);
});
