// Fault 3: a worker that is stopped (SIGSTOP) past its lease and goes on later. Its child is
// gone before another attempt starts, and its late result changes nothing (guarantees 4, 5).
// Field case LQ-02.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { crew, outcomes, signal, spanned, spans, story, until } from '../fixtures/crew.ts';

suite('a worker stopped past its lease', { concurrency: 2 }, () => {
  for (const [what, first, before] of [
    // Whoever reaps it kills this one.
    ['while its command runs', 'sleep 60', 'S1 S2'],
    // This one ends with 0 while nobody can tell the queue.
    ['while its command ends', 'until [ -e end ]; do sleep 0.02; done', 'S1 E1 S2'],
  ] as const) {
    test(what, async (t) => {
      const queue = crew(t);
      await queue.ok(['config', 'set', 'lease', '1s']);
      await queue.ok(['config', 'set', 'backoff_base', '1']);
      await queue.begin('--count', '2');
      const body = `if [ $QUEUECTL_ATTEMPT = 1 ]; then ${first}; else
        until [ -e go ]; do sleep 0.02; done; fi`;
      await queue.enqueue('job', spanned(body));
      await until('it runs', () => spans(queue).length > 0);
      const owner = (await queue.workers()).find(({ jobs }) => jobs.includes('job'));
      assert.ok(owner !== undefined);

      signal(owner.pid, 'SIGSTOP');
      writeFileSync(join(queue.directory, 'end'), '');
      await until('another attempt runs', () => story(queue, 'job') === before);
      const between = await queue.show('job');
      assert.deepEqual([between.state, between.attempts], ['processing', 2]);
      assert.match(between.history[0]?.error ?? '', /did not renew its lease/);
      const commands = queue.processes().filter(({ args }) => args.startsWith('/bin/sh -c code=0'));
      assert.ok(commands.length > 0);
      assert.ok(
        commands.every(({ parent }) => parent !== owner.pid),
        JSON.stringify(commands),
      );

      signal(owner.pid, 'SIGCONT');
      await until('it has learnt that it is late', () =>
        /job: (attempt 1 was no longer ours; its result is dropped|lost the lease)/.test(
          queue.log(),
        ),
      );
      assert.equal((await queue.show('job')).state, 'processing');
      writeFileSync(join(queue.directory, 'go'), '');
      const job = await queue.finished('job');
      assert.deepEqual([job.state, outcomes(job)], ['completed', 'lost, exited 0']);
      assert.equal(story(queue, 'job'), `${before} E2`);
      // It is none the worse for it.
      assert.ok((await queue.workers()).some(({ pid }) => pid === owner.pid));
      // One for each of the two.
      for (const id of ['a', 'b'])
        await queue.enqueue(id, 'until [ -e over ]; do sleep 0.02; done');
      await until('it works again', async () =>
        (await queue.workers()).some(({ pid, jobs }) => pid === owner.pid && jobs.length > 0),
      );
      writeFileSync(join(queue.directory, 'over'), '');
      for (const one of await queue.allFinished(['a', 'b'])) assert.equal(one.state, 'completed');
    });
  }
});
