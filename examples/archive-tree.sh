#!/usr/bin/env bash
# archive-tree.sh [TREE [ARCHIVE]]: archives every file of a tree with queuectl.
#
# One job a file: compress it, checksum the archive. 4 workers. Of every 40 files one fails
# twice before it succeeds, and one belongs to a vault that is not there: those jobs end in
# the dead letter queue, until the vault is. At the end every file is archived, and the
# archives are checked with gzip and sha256sum and compared with the tree, byte by byte.
#
# TREE is the node_modules of this checkout unless given; ARCHIVE a temporary directory that
# is removed at the end. The queue is a temporary one too: your own is not touched.
#
# Needs bash, coreutils, findutils, gzip and node; $QUEUECTL names the executable.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
queuectl=$(realpath -- "${QUEUECTL:-$here/../dist/queuectl}")
tree=$(cd -- "${1:-$here/../node_modules}" && pwd)
bound=15m # nothing below waits longer than this

say() { printf '\n== %s\n' "$*"; }
die() {
  printf 'archive-tree: %s\n' "$*" >&2
  exit 1
}
expect() { # expect WHAT WANTED FOUND
  [ "$2" = "$3" ] || die "$1: expected $2, found $3"
  printf '%-34s %s\n' "$1" "$3"
}
# ids LIMIT [FILTER…]: the ids of the oldest jobs that match, one a line.
ids() {
  "$queuectl" list --json --quiet --sort oldest --limit "$@" |
    node -e 'for (const { id } of JSON.parse(require("fs").readFileSync(0))) console.log(id)'
}
count() { ids 1000000 "$@" | wc -l; }

[ -x "$queuectl" ] || die "there is no $queuectl: npm ci && npm run build"
work=$(mktemp -d)
unset QUEUECTL_DB
export QUEUECTL_HOME=$work/queue
finish() {
  "$queuectl" worker stop --now >/dev/null 2>&1 || true
  rm -rf -- "$work"
}
trap finish EXIT

archive=$(realpath -m -- "${2:-$work/archive}")
case $archive/ in "$tree"/*) die 'the archive must not lie in the tree' ;; esac
mkdir -p -- "$archive"
[ -z "$(ls -A -- "$archive")" ] || die "$archive is not empty"
mkdir -- "$archive/main" # and not yet $archive/vault

say "Enqueueing: one job a file, all of them in one transaction"
cd -- "$tree"
find . -type f -print0 | sort -z >"$work/files"
files=$(tr -cd '\0' <"$work/files" | wc -c)
[ "$files" -gt 0 ] || die "no files in $tree"
node "$here/archive-jobs.mjs" "$tree" "$archive/main" "$archive/vault" \
  <"$work/files" >"$work/jobs.ndjson"
"$queuectl" enqueue --file - <"$work/jobs.ndjson"
plain=$(count --tag kind=plain)
unsteady=$(count --tag kind=unsteady)
hopeless=$(count --tag kind=vault)
expect 'jobs' "$files" $((plain + unsteady + hopeless))
echo "of these fail twice and succeed      $unsteady"
echo "of these belong to the missing vault $hopeless"

say "4 workers, until nothing is left to run"
"$queuectl" config set backoff_base 1
timeout "$bound" "$queuectl" worker start --foreground --drain --count 4 2>"$work/workers.log" ||
  die "the workers failed: $(tail -n 1 "$work/workers.log")"
"$queuectl" status
unexpected=$(ids 1 --state dead --tag kind=plain)
if [ -n "$unexpected" ]; then
  "$queuectl" show "$unexpected"
  "$queuectl" logs "$unexpected"
  die "jobs failed that should not have, $unexpected first"
fi
expect 'completed' $((plain + unsteady)) "$(count --state completed)"
expect 'dead' "$hopeless" "$(count --state dead)"
expect 'anything else' 0 "$(count --state blocked,pending,processing,failed,cancelled)"

if [ "$unsteady" -gt 0 ]; then
  say "A job that failed twice: every attempt is in its history"
  one=$(ids 1 --tag kind=unsteady)
  "$queuectl" show "$one"
  "$queuectl" logs "$one" --attempt 1
fi

if [ "$hopeless" -gt 0 ]; then
  say "The dead letter queue: jobs that used up their retries"
  "$queuectl" dlq list --limit 5
  one=$(ids 1 --tag kind=vault)
  "$queuectl" logs "$one"

  say "The vault comes back; all dead jobs again"
  mkdir -- "$archive/vault"
  "$queuectl" worker start --count 4
  "$queuectl" dlq retry --all
  ids 1000000 --tag kind=vault | timeout "$bound" xargs "$queuectl" wait
  "$queuectl" worker stop
fi

say 'Verification'
expect 'completed' "$files" "$(count --state completed)"
expect 'dead' 0 "$(count --state dead)"
cd -- "$archive"
roots=(main)
[ ! -d vault ] || roots+=(vault)
# The archives, in the order of the files.
while IFS= read -r -d '' file; do
  for root in "${roots[@]}"; do
    [ ! -f "$root/$file.gz" ] || printf '%s\0' "$root/$file.gz"
  done
done <"$work/files" >"$work/archives"
expect 'archives' "$files" "$(tr -cd '\0' <"$work/archives" | wc -c)"
xargs -0 gzip -t -- <"$work/archives"
echo 'gzip -t                            every archive is intact'
for root in "${roots[@]}"; do
  find "$root" -name '*.gz.sha256' -print0 | xargs -0 cat -- >"$work/sums"
  (cd -- "$root" && sha256sum --check --strict --quiet "$work/sums")
done
echo 'sha256sum --check                  every checksum is right'
original=$(cd -- "$tree" && xargs -0 cat -- <"$work/files" | sha256sum)
unpacked=$(xargs -0 gzip -dc -- <"$work/archives" | sha256sum)
expect 'content, unpacked' "${original%% *}" "${unpacked%% *}"
