// npm run test:mutants [-- name …]: takes each guard of mutants.ts out of a copy of the code
// and looks whether the check that is named for it fails, and no other thing. First every
// check must pass with all guards in place. Exits with 1 if a mutant survives.

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Copy, createWork } from './copy.ts';
import type { Check, Mutant } from './mutant.ts';
import { MUTANTS } from './mutants.ts';
import { problemsOf, withEdits } from './edit.ts';
import type { Reported } from './reporter.ts';

const AT_ONCE = 2;
/** Ms for one test, as in `npm test`; one that hangs has failed. */
const TEST_LIMIT_MS = 60_000;
/** Ms for one run of one file. */
const LIMIT_MS = 180_000;

interface Verdict {
  readonly mutant: Mutant;
  readonly caught: boolean;
  /** Why not; what the check said otherwise. */
  readonly told: string;
  readonly seconds: number;
}

const work = createWork();
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(signal, () => {
    work.remove();
    process.exit(code);
  });
}
try {
  process.exitCode = await main(process.argv.slice(2));
} finally {
  work.remove();
}

async function main(wanted: readonly string[]): Promise<number> {
  const mutants = MUTANTS.filter(
    ({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)),
  );
  if (mutants.length === 0) throw new Error(`no mutant is called so: ${wanted.join(', ')}`);
  const plain = work.copyTree('plain');
  const problems = mutants.flatMap((mutant) => problemsOf(mutant, plain.directory));
  if (problems.length > 0) {
    for (const problem of problems) console.error(problem);
    return 1;
  }

  const begun = performance.now();
  const broken = await checksThatFail(plain, mutants);
  const checked = seconds(begun);
  progress(`all checks run without a mutant in ${checked.toFixed(0)} s`);
  let done = 0;
  const verdicts = await inTurn(mutants, async (mutant) => {
    const verdict = broken.get(keyOf(mutant.caughtBy));
    const answer: Verdict =
      verdict === undefined
        ? await judge(plain, mutant)
        : { mutant, caught: false, told: `unmutated, too: ${verdict}`, seconds: 0 };
    done += 1;
    progress(`${done}/${mutants.length} ${answer.caught ? 'caught' : 'SURVIVED'}: ${mutant.name}`);
    return answer;
  });
  progress(null);
  printTable(verdicts);
  const survivors = verdicts.filter(({ caught }) => !caught);
  console.log(
    `${verdicts.length - survivors.length} of ${verdicts.length} mutants caught, ` +
      `in ${seconds(begun).toFixed(0)} s`,
  );
  for (const { mutant, told } of survivors) console.log(`SURVIVED: ${mutant.name}: ${told}`);
  return survivors.length === 0 ? 0 : 1;
}

/** Checks that fail with all guards in place, and what they say. */
async function checksThatFail(
  plain: Copy,
  mutants: readonly Mutant[],
): Promise<Map<string, string>> {
  const checks = new Map(mutants.map(({ caughtBy }) => [keyOf(caughtBy), caughtBy]));
  if ([...checks.values()].some(needsExecutable)) await build(plain);
  const failing = new Map<string, string>();
  const files = [...Map.groupBy(checks.values(), ({ file }) => file)];
  await inTurn(files, async ([file, some]) => {
    const tests = [...new Set(some.map(({ test }) => test))];
    const { reported, output } = await runTests(plain, file, tests);
    for (const check of some) {
      const own = reported.filter(({ name }) => name === check.test);
      const bad = own.find(({ passed, skipped }) => !passed || skipped);
      if (own.length === 0) failing.set(keyOf(check), `there is no such test ${output}`);
      else if (bad !== undefined) failing.set(keyOf(check), bad.message || 'skipped');
    }
    progress(`${file} ${some.some((check) => failing.has(keyOf(check))) ? 'FAILS' : 'passes'}`);
  });
  return failing;
}

async function judge(plain: Copy, mutant: Mutant): Promise<Verdict> {
  const begun = performance.now();
  const copy = plain.clone();
  try {
    const { file, test, invariant } = mutant.caughtBy;
    for (const [path, text] of withEdits(mutant, copy.directory)) {
      writeFileSync(join(copy.directory, path), text);
    }
    if (needsExecutable(mutant.caughtBy)) await build(copy);
    const { reported, output } = await runTests(copy, file, [test]);
    const failed = reported.find(({ name, passed }) => name === test && !passed);
    const passed = reported.some(({ name }) => name === test) ? 'its check passed' : output;
    const told = failed?.message ?? passed;
    const isNamed = invariant === undefined || told.includes(invariant);
    return {
      mutant,
      caught: failed !== undefined && isNamed,
      told: isNamed ? told : `not by ${invariant}, but: ${told}`,
      seconds: seconds(begun),
    };
  } catch (error) {
    return { mutant, caught: false, told: String(error), seconds: seconds(begun) };
  } finally {
    copy.remove();
  }
}

interface Run {
  readonly reported: readonly Reported[];
  /** The end of what it wrote besides, for a person. */
  readonly output: string;
}

async function runTests(copy: Copy, file: string, tests: readonly string[]): Promise<Run> {
  const report = join(copy.directory, `report-${file.replaceAll('/', '-')}`);
  const patterns = tests.map((test) => `--test-name-pattern=${literal(test)}`);
  const output = await copy.run(
    [
      `--test-timeout=${TEST_LIMIT_MS}`,
      '--test-reporter=./test/mutants/reporter.ts',
      `--test-reporter-destination=${report}`,
      ...patterns,
      file,
    ],
    LIMIT_MS,
  );
  const lines = existsSync(report) ? readFileSync(report, 'utf8').trim().split('\n') : [];
  rmSync(report, { force: true });
  return {
    reported: lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Reported),
    output: output.slice(-500),
  };
}

async function build(copy: Copy): Promise<void> {
  const output = await copy.run(['scripts/build.ts'], LIMIT_MS);
  if (!existsSync(join(copy.directory, 'dist/queuectl'))) {
    throw new Error(`it cannot be built: ${output}`);
  }
}

/** A pattern that matches this title and, as far as it can, no other. */
function literal(test: string): string {
  return test.replaceAll(/[^\w ]/g, '.');
}

function needsExecutable({ file }: Check): boolean {
  return !/^test\/(unit|contract)\/|\/simulated\.test\.ts$/.test(file);
}

function keyOf({ file, test }: Check): string {
  return `${file} ${test}`;
}

/** Results in the order of the items, at most AT_ONCE of them under way. */
async function inTurn<T, R>(items: readonly T[], act: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const left = items.entries();
  const takeNext = async (): Promise<void> => {
    for (const [index, item] of left) results[index] = await act(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, takeNext));
  return results;
}

function seconds(since: number): number {
  return (performance.now() - since) / 1000;
}

/** On a terminal one line that changes; null clears it. */
function progress(line: string | null): void {
  if (!process.stderr.isTTY) return;
  const width = (process.stderr.columns || 80) - 1;
  process.stderr.write(`\r\x1b[K${line === null ? '' : line.slice(0, width)}`);
}

function printTable(verdicts: readonly Verdict[]): void {
  const rows = verdicts.map(({ mutant, caught, seconds: taken }) => {
    const { file, test, invariant } = mutant.caughtBy;
    const files = [...new Set(mutant.edits.map((edit) => basename(edit.file)))].join(' ');
    const by = invariant ?? basename(file).replace(/(\.test)?\.ts$/, '');
    return [mutant.name, files, caught ? 'yes' : 'NO', taken.toFixed(1), by, test];
  });
  const table = [['guard taken out', 'file', 'caught', 's', 'by', 'in the test'], ...rows];
  const widths = [0, 1, 2, 3, 4].map((at) =>
    Math.max(...table.map((row) => (row[at] ?? '').length)),
  );
  for (const row of table) {
    console.log(
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    );
  }
}
