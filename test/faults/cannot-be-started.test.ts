// Fault 45: what can never run is refused when it is enqueued, and nothing is stored. What
// may run later, or elsewhere, is tried: without its directory or its shell an attempt is
// `spawn_failed` with the reason, and goes well as soon as they are there.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { type Crew, crew, outcomes, until } from '../fixtures/crew.ts';
import { EXECUTABLE } from '../cli/support.ts';

const LIMIT = 128_000;

async function nothingIsStored(queue: Crew): Promise<void> {
  assert.deepEqual(await queue.json(['list']), []);
}

suite('a command that cannot be started', { concurrency: 2 }, () => {
  test('because it is too long, or bears a NUL, is refused', async (t) => {
    const queue = crew(t);
    const long = 'x'.repeat(LIMIT + 1);
    const refused = [
      [{ command: `: ${long}` }, /command.*128,000|128,000.*command/],
      [{ args: ['echo', long] }, /args.*128,000|128,000.*args/],
      [{ command: 'true', env: { A: long } }, /128,000/],
      [{ command: 'echo a\0b' }, /NUL/],
      [{ args: ['echo', 'a\0b'] }, /NUL/],
      [{ command: 'true', env: { A: 'a\0b' } }, /NUL/],
    ] as const;
    for (const [job, message] of refused) {
      // From a file: too long for an argument of ours as well.
      const input = JSON.stringify(job);
      const answer = await queue.q(['enqueue', '-'], { input });
      assert.equal(answer.code, 2, input.slice(0, 80));
      assert.match(answer.stderr, message, input.slice(0, 80));
      // One bad line refuses the good ones with it.
      const both = await queue.q(['enqueue', '-'], { input: `{"command":"true"}\n${input}` });
      assert.equal(both.code, 2, input.slice(0, 80));
      if (input.length < LIMIT) await queue.refused(['enqueue', input], 2);
    }
    await nothingIsStored(queue);

    // As long as may be: it is taken, and it runs.
    await queue.begin();
    const longest = `: ${'x'.repeat(LIMIT - 2)}`;
    await queue.ok(['enqueue', '-'], {
      input: JSON.stringify({ id: 'longest', command: longest }),
    });
    assert.equal((await queue.finished('longest')).state, 'completed');
  });

  test('because its directory is missing runs when that is there', async (t) => {
    const queue = crew(t);
    const cwd = join(queue.directory, 'mounted-later');
    mkdirSync(cwd);
    await queue.ok(['config', 'set', 'backoff_base', '1']);
    await queue.enqueue('once', 'pwd', { cwd, max_retries: 0 });
    await queue.enqueue('again', 'pwd', { cwd, max_retries: 100 });
    rmdirSync(cwd);
    await queue.begin();
    const single = await queue.finished('once');
    assert.deepEqual([single.state, outcomes(single)], ['dead', 'spawn_failed 126']);
    assert.equal(single.error, `working directory ${cwd}: does not exist`);
    await until('it was tried', async () => (await queue.show('again')).history[0]?.finished_at);
    mkdirSync(cwd);
    const again = await queue.finished('again');
    assert.equal(again.state, 'completed');
    assert.match(outcomes(again), /^(spawn_failed 126, )+exited 0$/);
    assert.equal(await queue.ok(['logs', 'again']), `${cwd}\n`);
    assert.equal((await queue.q(['wait', 'once'])).code, 126);
  });

  test('because there is no shell runs where there is one', { skip: noNamespace() }, async (t) => {
    const queue = crew(t);
    await queue.ok(['config', 'set', 'backoff_base', '1']);
    // A worker that sees no program at all, as in an image made of one file.
    const bare = spawn(
      'unshare',
      [
        '--mount',
        'sh',
        '-c',
        // Two directories, or two names of one.
        `[ -L /bin ] || mount -t tmpfs none /usr/bin
         mount -t tmpfs none "$(readlink -f /bin)" && exec "$0" worker start --foreground`,
        EXECUTABLE,
      ],
      { cwd: queue.directory, env: queue.env, stdio: 'ignore' },
    );
    const stopped = once(bare, 'exit');
    queue.cleanup(() => void bare.kill('SIGKILL'));
    await queue.enqueue('job', 'echo done', { max_retries: 100 });
    await queue.enqueue('program', 'true', { max_retries: 0 });
    const program = await queue.finished('program');
    assert.deepEqual([program.state, outcomes(program)], ['dead', 'spawn_failed 127']);
    assert.equal(program.error, '/bin/sh: no such file');
    assert.equal((await queue.q(['wait', 'program'])).code, 127);
    await queue.ok(['worker', 'stop']);
    assert.deepEqual(await stopped, [0, null]);

    await queue.begin();
    const job = await queue.finished('job');
    assert.equal(job.state, 'completed');
    assert.match(outcomes(job), /^(spawn_failed 127, )+exited 0$/);
  });
});

function noNamespace(): string | false {
  const may = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status;
  return may === 0 ? false : 'needs root, to make a mount namespace';
}
