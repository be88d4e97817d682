// `npm run storm -- --minutes 60 --seed N`: a kill storm as long as you like. Prints its seed,
// how it goes and the figures; exit code 1 where an invariant does not hold. A seed repeats
// the decisions; --record keeps them, with the processes they met.

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { storm } from './kit/storm.ts';
import { told } from './kit/tell.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    record: { type: 'string' },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed);
if (!(minutes > 0 && minutes <= 24 * 60) || !Number.isInteger(seed)) {
  console.error('usage: npm run storm -- [--minutes N] [--seed N] [--record FILE]');
  process.exit(2);
}

const interrupted = new AbortController();
// The storm ends, and what is left is drained, checked and cleared away.
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => interrupted.abort());

console.log(`npm run storm -- --minutes ${minutes} --seed ${seed}`);
const report = await storm({
  seed,
  workers: 6,
  concurrency: 2,
  ms: minutes * 60_000,
  kills: 0,
  jobs: 1000,
  // Slower than on every change, so that workers live long enough to grow.
  tempo: { least: 300, most: 1000, lease: 2000 },
  backlog: 40,
  drainWithin: 10 * 60_000,
  progress: (line) => console.log(line),
  signal: interrupted.signal,
});
for (const line of told(report)) console.log(line);
if (values.record !== undefined) {
  writeFileSync(values.record, `${report.decisions.join('\n')}\n`);
}
for (const { invariant, told: what } of report.findings) console.log(`FOUND ${invariant}: ${what}`);
console.log(report.findings.length === 0 ? 'all nine invariants hold' : 'NOT ALL HOLD');
process.exitCode = report.findings.length === 0 ? 0 : 1;
