// Two lint rules that no stock rule can express, loaded by oxlint (.oxlintrc.json):
// `queuectl/layers`, who in src/ may import what, and `queuectl/no-current-date`.

import { dirname, relative, resolve, sep } from 'node:path';

interface Layer {
  readonly name: string;
  /** A folder, or a pattern for file names; the first layer that fits a file has it. */
  readonly files: RegExp;
  /** Layers it may import besides itself. */
  readonly mayImport: readonly string[];
}

const BASE = ['errors', 'pure', 'platform', 'root'];

/** The engine's layers, then what is built on them. */
const LAYERS: readonly Layer[] = [
  { name: 'errors', files: /^src\/errors\.ts$/, mayImport: [] },
  // No system, no clock: what a job is can be tested with values alone.
  { name: 'pure', files: /^src\/(job|backoff)\.ts$/, mayImport: ['errors'] },
  { name: 'platform', files: /^src\/platform\//, mayImport: ['errors'] },
  { name: 'queue', files: /^src\/(queue|presence)\.ts$/, mayImport: [...BASE, 'store'] },
  {
    name: 'library',
    files: /^src\/index\.ts$/,
    mayImport: [...BASE, 'store', 'open', 'queue', 'worker'],
  },
  { name: 'root', files: /^src\/[^/]+\.ts$/, mayImport: ['errors', 'pure', 'platform'] },
  { name: 'sqlite', files: /^src\/store\/sqlite\//, mayImport: [...BASE, 'store'] },
  { name: 'postgres', files: /^src\/store\/postgres\//, mayImport: [...BASE, 'store'] },
  // The only file that names a backend.
  {
    name: 'open',
    files: /^src\/store\/open\.ts$/,
    mayImport: [...BASE, 'store', 'sqlite', 'postgres'],
  },
  { name: 'store', files: /^src\/store\//, mayImport: BASE },
  { name: 'worker', files: /^src\/worker\//, mayImport: [...BASE, 'store', 'open', 'queue'] },
  { name: 'web', files: /^src\/web\//, mayImport: [...BASE, 'queue'] },
  {
    name: 'cli',
    files: /^src\/cli\//,
    mayImport: [...BASE, 'store', 'open', 'queue', 'library', 'worker', 'web'],
  },
];

interface Restriction {
  readonly module: RegExp;
  /** Layers, and files outside src/, that may import it all the same. */
  readonly allowed: RegExp;
  readonly reason: string;
}

const OUTSIDE_SRC = '^(?!src/)';

const RESTRICTIONS: readonly Restriction[] = [
  {
    module: /^bun(:|$)/,
    allowed: /^src\/platform\//,
    reason: "Bun's own modules belong in src/platform/, with a Node twin",
  },
  {
    module: /^node:sqlite$/,
    allowed: new RegExp(`${OUTSIDE_SRC}|^src/store/sqlite/`),
    reason: 'only src/store/sqlite/ speaks to SQLite',
  },
  {
    module: /^pg(-|\/|$)/,
    allowed: new RegExp(`${OUTSIDE_SRC}|^src/store/postgres/`),
    reason: 'only src/store/postgres/ speaks to PostgreSQL',
  },
  {
    module: /^node:(timers(\/|$)|perf_hooks$)/,
    allowed: new RegExp(`${OUTSIDE_SRC}|^src/(platform|cli|web)/|^src/env\\.ts$`),
    reason: 'the engine takes clocks and timers from its Env, so that tests can step them',
  },
];

const ROOT = resolve(import.meta.dirname, '..');

/** Why `file` may not import `specifier`; null if it may. Paths are relative to the root. */
function violation(file: string, specifier: string): string | null {
  for (const { module, allowed, reason } of RESTRICTIONS) {
    if (module.test(specifier) && !allowed.test(file)) return `${specifier}: ${reason}`;
  }
  if (!specifier.startsWith('.') || !file.startsWith('src/')) return null;
  const target = portable(relative(ROOT, resolve(ROOT, dirname(file), specifier)));
  if (target === 'package.json') return null;
  const from = layerOf(file);
  const to = layerOf(target);
  if (from === undefined || to === undefined) {
    return `${from === undefined ? file : target} has no layer: give it one in scripts/layers.ts`;
  }
  if (from === to || from.mayImport.includes(to.name)) return null;
  const allowed = from.mayImport.length === 0 ? 'nothing else' : from.mayImport.join(', ');
  return `${target} (${to.name}) is not for ${from.name}, which may import ${allowed}`;
}

function layerOf(file: string): Layer | undefined {
  return LAYERS.find((layer) => layer.files.test(file));
}

function portable(path: string): string {
  return path.split(sep).join('/');
}

// What the rules look at of ESLint's rule interface, which oxlint implements.
interface Node {
  readonly type: string;
  readonly value?: unknown;
  readonly name?: string;
}
interface ImportNode extends Node {
  readonly source: Node | null;
}
interface CallNode extends Node {
  readonly callee: Node & { readonly property?: Node };
  readonly arguments: readonly Node[];
}
interface Context {
  readonly filename: string;
  report(problem: { node: Node; message: string }): void;
}

const layers = {
  create(context: Context) {
    const file = portable(relative(ROOT, context.filename));
    function judge(source: Node | null | undefined): void {
      if (typeof source?.value !== 'string') return;
      const message = violation(file, source.value);
      if (message !== null) context.report({ node: source, message });
    }
    return {
      ImportDeclaration: (node: ImportNode) => judge(node.source),
      ImportExpression: (node: ImportNode) => judge(node.source),
      ExportNamedDeclaration: (node: ImportNode) => judge(node.source),
      ExportAllDeclaration: (node: ImportNode) => judge(node.source),
      TSImportType: (node: ImportNode) => judge(node.source),
      CallExpression(node: CallNode) {
        const name = node.callee.property?.name ?? node.callee.name;
        if (name === 'require' || name === 'getBuiltinModule') judge(node.arguments[0]);
      },
    };
  },
};

/** `new Date()` and `Date()` read the clock behind Env's back; `new Date(ms)` does not. */
const noCurrentDate = {
  create(context: Context) {
    function judge(node: CallNode): void {
      if (node.callee.name === 'Date' && node.arguments.length === 0) {
        context.report({ node, message: 'the engine takes the time from its Env' });
      }
    }
    return { NewExpression: judge, CallExpression: judge };
  },
};

export default {
  meta: { name: 'queuectl' },
  rules: { layers, 'no-current-date': noCurrentDate },
};
