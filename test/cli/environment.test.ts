// What a command is given: variables, by value, by name and from files, and stdin, from a file
// or stored with the job.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { crew } from '../fixtures/crew.ts';

const KIB_64 = 64 * 1024;

suite('variables', { concurrency: 2 }, () => {
  test('by value, by name and from a file; flags win over files', async (t) => {
    const queue = crew(t);
    writeFileSync(join(queue.directory, 'vars'), '# why\nA=file\nB=a=b "c" $HOME\nGIVEN\r\n\n');
    const flags = ['--env-file', 'vars', '--env', 'A=flag', '--env', 'E=', '--env', 'MINE'];
    await queue.ok(['enqueue', '--id', 'job', ...flags, '--', 'env'], {
      env: { GIVEN: "the caller's", MINE: "the caller's" },
    });
    const { env_from } = await queue.json<{ env_from: string[] }>(['show', 'job']);
    assert.deepEqual(env_from.toSorted(), ['GIVEN', 'MINE']);
    const env = { GIVEN: "the worker's", MINE: 'x y', OTHER: '1' };
    await queue.ok(['worker', 'start'], { env });
    assert.equal((await queue.finished('job')).state, 'completed');
    const seen = (await queue.ok(['logs', 'job'])).split('\n');
    for (const line of ['A=flag', 'B=a=b "c" $HOME', 'E=', "GIVEN=the worker's", 'MINE=x y']) {
      assert.ok(seen.includes(line), line);
    }
    assert.ok(seen.includes('OTHER=1'), 'the rest is that of the worker');
  });

  test('one that the worker has not fails the attempt, and says which', async (t) => {
    const queue = crew(t);
    await queue.begin();
    const job = ['--id', 'job', '--max-retries', '0', '--env', 'NOWHERE', '--', 'touch', 'ran'];
    const answer = await queue.q(['run', ...job], { env: { NOWHERE: 'here only' } });
    assert.equal(answer.code, 126);
    assert.match(answer.stderr, /NOWHERE is not set in the worker's environment/);
    assert.equal((await queue.show('job')).outcome, 'spawn_failed');
  });

  test('what is none is refused', async (t) => {
    const queue = crew(t);
    const add = (...flags: string[]): string[] => ['enqueue', ...flags, '--', 'true'];
    assert.match(await queue.refused(add('--env', '=x'), 2), /--env/);
    assert.match(await queue.refused(add('--env-file', 'none'), 2), /none: there is no such file/);
    writeFileSync(join(queue.directory, 'shell'), 'A=1\nexport B=2\n');
    assert.match(await queue.refused(add('--env-file', 'shell'), 2), /line 2/);
    assert.match(
      await queue.refused(['enqueue', '{"command":"true","env":{"A":"1"},"env_from":["A"]}'], 2),
      /both given a value and taken from the worker/,
    );
  });
});

suite('stdin', { concurrency: 2 }, () => {
  test('is empty, a file as it is when the job runs, or what enqueue was given', async (t) => {
    const queue = crew(t);
    await queue.ok(['enqueue', '--id', 'none', '--', 'cat'], { input: 'not for it\n' });
    await queue.ok(['enqueue', '--id', 'file', '--stdin', 'later', '--', 'cat']);
    writeFileSync(join(queue.directory, 'later'), 'of the file\n');
    const text = 'zażółć\u0000😀\r\nno end';
    // Twice over the same: a retry reads it from its beginning.
    const twice = 'cat; [ $QUEUECTL_ATTEMPT = 2 ]';
    const again = ['--max-retries', '1', '--shell', twice];
    await queue.ok(['config', 'set', 'backoff_base', '1']);
    await queue.ok(['enqueue', '--id', 'text', '--stdin', '-', ...again], { input: text });
    await queue.enqueue('json', 'cat /dev/stdin; cat', { 'stdin-text': 'a\nb' });
    await queue.ok(['enqueue', '--id', 'nothing', '--stdin', '-', '--', 'cat'], { input: '' });
    await queue.begin();
    for (const job of await queue.allFinished(['none', 'file', 'text', 'json', 'nothing'])) {
      assert.equal(job.state, 'completed', job.id);
    }
    assert.equal(await queue.ok(['logs', 'none']), '');
    assert.equal(await queue.ok(['logs', 'file']), 'of the file\n');
    assert.equal(await queue.ok(['logs', 'text', '--attempt', '1']), text);
    assert.equal(await queue.ok(['logs', 'text', '--attempt', '2']), text);
    assert.match(await queue.ok(['logs', 'json']), /^a\nb/);
    assert.equal(await queue.ok(['logs', 'nothing']), '');
    const { stdin, stdin_text } = await queue.json<Record<string, unknown>>(['show', 'text']);
    assert.deepEqual([stdin, stdin_text], [null, text]);
    assert.match(await queue.ok(['show', 'text']), /Stdin +23 B stored with the job/);
  });

  test('of 64 KiB stops nobody, read or not, and leaves no descriptor', async (t) => {
    const queue = crew(t);
    const input = 'x'.repeat(KIB_64);
    await queue.begin();
    const { stdout } = await queue.q(['run', '--stdin', '-', '--', 'wc', '-c'], { input });
    assert.equal(stdout.trim(), String(KIB_64));
    const shell =
      'echo; ls /proc/self/fd | wc -l; ls -l /proc/$PPID/fd 2>/dev/null | grep -c memfd || true';
    for (const id of ['unread', 'closed']) {
      const script = id === 'closed' ? `exec 0<&-; ${shell}` : shell;
      await queue.ok(['enqueue', '--id', id, '--stdin', '-', '--shell', script], { input });
      const job = await queue.finished(id);
      assert.equal(job.history[0]?.outcome, 'exited');
    }
    // 0, 1, 2 and that of ls; none in the worker.
    assert.equal(await queue.ok(['logs', 'unread']), '\n4\n0\n');
  });

  test('that is too long, no text or given twice is refused, and nothing stored', async (t) => {
    const queue = crew(t);
    const add = ['enqueue', '--stdin', '-', '--', 'cat'];
    const long = await queue.refused(add, 2, { input: 'x'.repeat(KIB_64 + 1) });
    assert.match(long, /--stdin must be|--stdin - must be at most 65,536 bytes/);
    assert.match(long, /hint: put it in a file/);
    const bytes = await queue.refused(add, 2, { input: Uint8Array.of(0xff, 0xfe) });
    assert.match(bytes, /not valid UTF-8\nhint: put it in a file/);
    for (const [fields, message] of [
      [{ stdin_text: 'x'.repeat(KIB_64 + 1) }, /stdin_text must be at most 65,536 bytes/],
      [{ stdin_text: 5 }, /stdin_text must be text/],
      [{ stdin_text: 'a', stdin: 'b' }, /exclude each other/],
      [{ stdin: '-' }, /stdin_text takes its content/],
    ] as const) {
      const json = JSON.stringify({ command: 'cat', ...fields });
      assert.match(await queue.refused(['enqueue', json], 2), message);
    }
    assert.deepEqual(await queue.json(['list']), []);
  });
});
