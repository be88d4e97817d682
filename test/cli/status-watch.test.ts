// status --watch on a real terminal: redrawn in place, at any size, and nothing of it left.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { crew, signal, until } from '../fixtures/crew.ts';
import { box, hasScript, untilOutput } from './box.ts';
import { hasTmux, terminal } from './terminal.ts';

const skip = hasTmux ? false : 'needs tmux';

test('status --watch: in place, with rates and the oldest waiting job', { skip }, async (t) => {
  const queue = crew(t);
  await queue.ok(['enqueue', '--id', 'first', '--queue', 'nobody', '--', 'true']);
  const pane = await terminal(t, queue);
  queue.cleanup(pane.close);
  pane.type('queuectl status --watch');
  const before = await pane.shows(/hint: no worker is running/);
  assert.match(before, /^QUEUE +PENDING/, 'its own screen');
  assert.match(before, /^Waiting +the oldest for \d+s: first$/m);
  await queue.begin('--queue', 'default');
  for (const id of ['a', 'b', 'c']) await queue.enqueue(id, 'true');
  const after = await pane.shows(/^default +0 +0 +3 /m);
  assert.match(after, /^QUEUE +PENDING/, 'no line has moved');
  assert.equal(after.match(/QUEUE +PENDING/g)?.length, 1);
  await pane.shows(/^Rate +[\d.]+ attempts\/s/m);
  await pane.shows(/hint: no worker serves the queue nobody/);
  pane.press('C-c');
  pane.type('echo "code $?"');
  const left = await pane.shows(/^code 0$/m);
  assert.match(left, /^\$ queuectl status --watch\nQUEUE/, 'the prompt is where it was');
  assert.match(left, /^default +0 +0 +3 /m, 'and the last picture stays');
});

test('status --watch fits a narrow, low terminal', { skip }, async (t) => {
  const cli = box(t);
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
    await cli.ok(['enqueue', '--queue', `queue-${name}`, '--', 'true']);
  }
  const pane = await terminal(t, cli, { columns: 44, rows: 14 });
  pane.type('queuectl status --watch');
  const shown = await pane.shows(/hint: no worker is running; start one/);
  assert.match(shown, /^QUEUE +PEND +PROC +COMP +FAIL +DEAD$/m);
  assert.match(shown, /^… \d more queues\nall +8 /m);
  assert.match(shown, /^Workers +none$/m);
  assert.ok(shown.split('\n').length <= 14);
  pane.press('C-c');
  await pane.shows(/^\$$/m);
});

test('status --watch: five rows, then more of them, and all as before', { skip }, async (t) => {
  const cli = box(t);
  for (const name of ['a', 'b', 'c']) {
    await cli.ok(['enqueue', '--queue', `queue-${name}`, '--', 'true']);
  }
  const pane = await terminal(t, cli, { columns: 80, rows: 5 });
  pane.type('queuectl status --watch');
  const low = await pane.shows(/^Workers +none$/m);
  assert.match(low, /^QUEUE +PENDING.*\n… 3 more queues\nall +3 /, 'the sum, not the first queues');
  assert.deepEqual(pane.modes(), { otherPage: true, cursor: false });
  pane.resize(80, 16);
  await pane.shows(/^queue-c +1 (.*\n)+hint: /m);
  pane.press('C-c');
  await pane.shows(/^\$$/m);
  assert.deepEqual(pane.modes(), { otherPage: false, cursor: true });
});

test('status --watch has colours, unless told otherwise', { skip }, async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--', 'true']);
  const coloured = /\u001b\[(?!0?m)[\d;]*m/;
  for (const [line, has] of [
    ['queuectl status --watch', true],
    ['NO_COLOR=1 queuectl status --watch', false],
    ['queuectl status --watch --no-color', false],
  ] as const) {
    const pane = await terminal(t, cli);
    pane.type(line);
    await pane.shows(/^QUEUE +PENDING(.*\n)+hint: /);
    assert.equal(coloured.test(pane.painted()), has, line);
    pane.close();
  }
});

/** What a terminal was sent until its program ended by this signal. */
async function killedBy(name: NodeJS.Signals, t: Parameters<typeof crew>[0]): Promise<string> {
  const queue = crew(t);
  await queue.ok(['enqueue', '--id', 'j', '--', 'true']);
  const ended = queue.terminal('queuectl status --watch');
  const watcher = await until('it watches', () =>
    queue.processes().find(({ args }) => /^\S*queuectl status --watch$/.test(args)),
  );
  await until('it listens', () => listens(watcher.pid));
  signal(watcher.pid, name);
  return (await ended).shown;
}

/** Whether it catches HUP (1), INT (2) and TERM (15). */
function listens(pid: number): boolean {
  const [, caught = ''] =
    /^SigCgt:\s+(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  const signals = BigInt(`0x${caught}`);
  return [1n, 2n, 15n].every((n) => (signals & (1n << (n - 1n))) !== 0n);
}

test('TERM and HUP leave the terminal as it was', { skip: !hasScript }, async (t) => {
  for (const name of ['SIGTERM', 'SIGHUP'] as const) {
    const shown = await killedBy(name, t);
    for (const [on, off] of [
      ['\u001b[?1049h', '\u001b[?1049l'],
      ['\u001b[?25l', '\u001b[?25h'],
      ['\u001b[?7l', '\u001b[?7h'],
    ] as const) {
      assert.ok(shown.lastIndexOf(off) > shown.lastIndexOf(on), `${name}: ${JSON.stringify(off)}`);
    }
  }
});

test('status --watch into a pipe: no control characters; --json: a line a change', async (t) => {
  const cli = box(t);
  await cli.ok(['enqueue', '--id', 'j', '--', 'true']);
  const plain = cli.start(['status', '--watch']);
  const text = await untilOutput(plain, /hint:.*\n/);
  assert.ok(!text.includes('\u001b'));
  const json = cli.start(['status', '--watch', '--json']);
  await untilOutput(json, /"pending":1.*\n/);
  const changed = untilOutput(json, /"cancelled":1.*\n/);
  await cli.ok(['cancel', 'j']);
  const lines = await changed;
  const last = lines.trimEnd().split('\n').at(-1) ?? '';
  assert.equal((JSON.parse(last) as { jobs: { cancelled: number } }).jobs.cancelled, 1);
  for (const child of [plain, json]) {
    child.kill('SIGINT');
    const [code] = (await once(child, 'exit')) as [number | null];
    assert.equal(code, 0, 'Ctrl-C is how one leaves it');
  }
});
