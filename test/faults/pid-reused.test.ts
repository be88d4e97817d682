// Fault 39: a process that has the pid of one of ours that is gone is a stranger, and is
// never ended (guarantee 5). In a pid namespace of its own, where it can be said which pid
// comes next: worker, supervisor and commands are killed with nobody there to notice, and
// strangers take their pids, as leaders of groups and sessions too. Then all who might take
// them for ours have their turn: cancel, `worker stop`, the reaper of the next worker.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crew, type JobShown, outcomes } from '../fixtures/crew.ts';
import { EXECUTABLE } from '../cli/support.ts';

const NAMESPACE = ['--pid', '--fork', '--mount-proc', '--kill-child'];

/** Pid 1 of the namespace. Prints what it has seen; ends with the first surprise. */
const SCRIPT = `set -eu
q() { "$QUEUECTL" "$@"; }
written_down() { [ "$(cat "$QUEUECTL_HOME"/run/* | grep -cE '^[0-9]+ ')" = 3 ]; }
gone() { [ ! -e "/proc/$1" ]; }
await() { for i in $(seq 1500); do "$@" && return; sleep 0.02; done; echo "waited in vain: $*"; exit 1; }

# A stranger of the kind $2 whose pid is $1.
stranger() {
  await gone "$1"
  for tries in $(seq 200); do
    echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid
    case $2 in
      single) sleep 1000 & ;;
      # Bash gives each job a group of its own where it has job control.
      group) set -m; sleep 1000 & set +m ;;
      session) setsid sleep 1000 & ;;
    esac
    [ $! = "$1" ] && { strangers="$strangers $1"; return; }
    kill $!
  done
  echo "pid $1 was not to be had"; exit 1
}
strangers=''
all_live() {
  for pid in $strangers; do
    case $(cut -d' ' -f3 <"/proc/$pid/stat") in S | R) ;; *) echo "$1 ended stranger $pid"; exit 1 ;; esac
  done
}

q config set backoff_base 1
q worker start --concurrency 3 2>/dev/null
for id in marked bare cancelled; do
  case $id in bare) clear='exec env -i' ;; *) clear=exec ;; esac
  q enqueue "{\\"id\\":\\"$id\\",\\"command\\":\\"[ \\$QUEUECTL_ATTEMPT = 2 ] && exit 0; echo \\$\\$ >$id; $clear sleep 1000\\"}"
done
for id in marked bare cancelled; do await [ -s $id ]; done
worker=$(pgrep -f '__worker')
supervisor=$(pgrep -f '__supervisor')
jobs="$(cat marked) $(cat bare) $(cat cancelled)"
await written_down

kill -KILL $supervisor; kill -KILL $worker $jobs
stranger $worker session
stranger $supervisor single
stranger $(cat marked) group
stranger $(cat bare) session
stranger $(cat cancelled) session

q cancel cancelled
all_live cancel
q worker list
q worker stop --now
all_live 'worker stop'
q worker start --count 2
q wait marked bare && echo 'both done'
all_live 'the reaper'
q worker stop
all_live 'the end'
echo "all $(echo $strangers | wc -w) strangers live"
for pid in $strangers; do kill -KILL $pid; done
`;

test('a stranger with a pid of ours is left alone', { skip: noNamespace() }, async (t) => {
  const queue = crew(t);
  const file = join(queue.directory, 'script.sh');
  writeFileSync(file, SCRIPT);
  // Whoever works for it ends with the namespace: from outside there is nothing to stop.
  queue.cleanup(() => rmSync(join(queue.home, 'queue.db'), { force: true }));
  const { stdout, stderr, status } = spawnSync('unshare', [...NAMESPACE, 'bash', file], {
    cwd: queue.directory,
    env: { ...queue.env, QUEUECTL: EXECUTABLE },
    encoding: 'utf8',
    timeout: 50_000,
  });
  const said = `${stdout}\n${stderr}\n${queue.log()}`;
  assert.equal(status, 0, said);
  assert.match(stdout, /^both done$/m, said);
  assert.match(stdout, /^all 5 strangers live$/m, said);
  const jobs = await queue.json<JobShown[]>(['list']);
  const end = async (id: string): Promise<string> => outcomes(await queue.show(id));
  assert.equal(jobs.length, 3);
  assert.equal(await end('marked'), 'lost, exited 0');
  assert.equal(await end('bare'), 'lost, exited 0');
  assert.equal((await queue.show('cancelled')).state, 'cancelled');
});

function noNamespace(): string | false {
  const line = 'echo 4999 >/proc/sys/kernel/ns_last_pid && command -v pgrep';
  const may = spawnSync('unshare', [...NAMESPACE, 'bash', '-c', line]).status === 0;
  return may ? false : 'needs root, and a kernel that can be told the next pid';
}
