#!/usr/bin/env bash
# The demo: a tree is archived by four workers, one job a file. Some jobs fail twice before
# they succeed, some cannot succeed, and a worker is killed on the way. It takes less than a
# minute, uses a queue of its own in a temporary directory and leaves nothing behind. It ends
# with an error if anything is not as README.md promises.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
executable=$(realpath -- "${QUEUECTL:-$root/dist/queuectl}")

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  title=$'\e[1;36m' prompt=$'\e[1m' good=$'\e[32m' bad=$'\e[1;31m' plain=$'\e[0m'
else
  title='' prompt='' good='' bad='' plain=''
fi

step() { printf '\n%s── %s%s\n' "$title" "$*" "$plain"; }
# Shows a command as one would type it, then runs it.
run() {
  printf '\n%s$ %s%s\n' "$prompt" "$1" "$plain"
  eval "$1"
}
check() { # check WHAT WANTED FOUND
  if [ "$2" != "$3" ]; then
    printf '%s✗ %s: %s, not %s%s\n' "$bad" "$1" "$3" "$2" "$plain" >&2
    exit 1
  fi
  printf '%s✓ %s: %s%s\n' "$good" "$1" "$3" "$plain"
}
# json EXPRESSION: of the JSON on stdin, called `it`. A fresh machine has no jq.
json() { node -pe "const it = JSON.parse(require('fs').readFileSync(0)); $1"; }
in_state() { queuectl status --json 2>/dev/null | json "it.jobs.$1"; }

if [ ! -x "$executable" ]; then
  echo "demo: there is no $executable; first: npm ci && npm run build" >&2
  exit 1
fi
work=$(mktemp -d)
finish() {
  code=$?
  queuectl worker stop --now >/dev/null 2>&1 || true
  rm -rf -- "$work"
  [ "$code" -eq 0 ] || printf '\n%sThe demo failed.%s\n' "$bad" "$plain" >&2
}
trap finish EXIT
PATH=$(dirname -- "$executable"):$PATH
unset QUEUECTL_DB
export QUEUECTL_HOME=$work/queue
cd -- "$work"

step 'A job is safe on disk when enqueue returns, whether a worker runs or not'
run "queuectl enqueue '{\"id\": \"hello\", \"command\": \"echo hello from the queue\"}'"
run 'queuectl worker start --count 4'
run 'queuectl wait hello --timeout 30s && queuectl logs hello'

step 'A tree to archive: one job a file, all stored in one transaction'
mkdir tree main
cp -r -- "$root/src" "$root/docs" tree/
printf 'odd\n' >"tree/it's \"odd\" & \$HOME.txt"
printf 'wide\n' >'tree/ünï cödé 文件.txt'
(cd tree && find . -type f -print0 | sort -z) >files
files=$(tr -cd '\0' <files | wc -c)
node "$root/examples/archive-jobs.mjs" tree main vault <files >jobs.ndjson
run 'queuectl config set backoff_base 1  # retries after a second, to be quick'
run 'head -n 1 jobs.ndjson'
run 'queuectl enqueue --file - --quiet <jobs.ndjson >ids'
check 'jobs enqueued' "$files" "$(wc -l <ids)"

step 'Meanwhile a job kills its worker with -9, the first time it runs'
run "queuectl enqueue --id victim --priority 10 --shell \\
    'if [ \$QUEUECTL_ATTEMPT = 1 ]; then kill -9 \$PPID; sleep 600; fi; echo made it'"
run 'queuectl wait victim --timeout 30s && queuectl show victim && queuectl logs victim'
history=$(queuectl show victim --json | json 'it.history.map(({ outcome }) => outcome).join(", ")')
check 'its attempts' 'lost, exited' "$history"
check 'workers alive' 4 "$(queuectl status --json 2>/dev/null | json it.workers.alive)"

step 'The archive, until every job is done or has failed for good'
run 'xargs queuectl wait --timeout 60s <ids || echo "wait answers that some did not succeed"'
run 'queuectl status'
check 'jobs neither completed nor dead' 0 \
  "$(queuectl list --state blocked,pending,processing,failed,cancelled --json --quiet | json it.length)"

step 'Some failed twice and then succeeded: their history tells'
unsteady=$(queuectl list --tag kind=unsteady --sort oldest --limit 1 --json --quiet | json 'it[0].id')
run "queuectl show $unsteady"
run "queuectl logs $unsteady --attempt 1"

step 'Some used up their retries: the dead letter queue, and why'
run 'queuectl dlq list'
dead=$(queuectl dlq list --limit 1 --json --quiet | json 'it[0].id')
run "queuectl logs $dead"

step 'The cause is fixed; all dead jobs run again'
run 'mkdir vault'
run 'queuectl dlq retry --all'
run 'xargs queuectl wait --timeout 60s <ids'
check 'dead jobs' 0 "$(in_state dead)"
check 'completed jobs' $((files + 2)) "$(in_state completed)"

step 'Every archive is checked with the tools of the trade'
run "find main vault -name '*.gz' -print0 | xargs -0 gzip -t"
run '(cd main && find . -name "*.sha256" -print0 | xargs -0 cat | sha256sum --check --quiet)'
run '(cd vault && find . -name "*.sha256" -print0 | xargs -0 cat | sha256sum --check --quiet)'
check 'archives' "$files" "$(find main vault -name '*.gz' -print0 | tr -cd '\0' | wc -c)"

step 'The queue survives its workers'
run 'queuectl worker stop'
run 'queuectl worker list'
run 'queuectl list --limit 3'
check 'jobs' $((files + 2)) "$(queuectl list --limit 100000 --json --quiet | json it.length)"

printf '\n%sEverything was as promised, in %s seconds.%s\n' "$good" "$SECONDS" "$plain"
