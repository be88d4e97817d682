#!/bin/sh
# archive-file.sh FILE DIRECTORY: compresses FILE to DIRECTORY/FILE.gz and puts the archive's
# checksum beside it, in FILE.gz.sha256. This is what each job of archive-tree.sh runs.
#
# A job runs at least once, so this can run again at any time: an archive gets its name only
# when it is complete, and a second run does the same again.
set -eu

file=$1
directory=$2
archive=$file.gz

# The example's unsteady network: the first FAIL_FIRST attempts of a job fail.
if [ "$QUEUECTL_ATTEMPT" -le "${FAIL_FIRST:-0}" ]; then
  echo "connection lost (attempt $QUEUECTL_ATTEMPT, made to fail)" >&2
  exit 1
fi

if [ ! -d "$directory" ]; then
  echo "$directory is not there" >&2
  exit 1
fi

case $archive in */*) mkdir -p -- "$directory/${archive%/*}" ;; esac
gzip -c <"$file" >"$directory/$archive.part"
cd -- "$directory"
mv -- "$archive.part" "$archive"
sha256sum -- "$archive" >"$archive.sha256.part"
mv -- "$archive.sha256.part" "$archive.sha256"
