#!/bin/sh
# Brings the newest committed value of each key out of volumes, without Cairn.
# Stop the agents first; needs ls, sort, getfattr (package attr) and cp.
#   restore.sh DIRECTORY SUBVOLUME...   e.g. restore.sh out data/volume-*/sub*-*
# Files are named as on disk: the key, escaped (docs/disk_format.md).
set -eu
export LC_ALL=C
if [ $# -lt 2 ] || [ ! -d "$1" ]; then
  echo "usage: restore.sh DIRECTORY SUBVOLUME..., DIRECTORY must exist" >&2
  exit 1
fi
out=$1 && shift

list() { # A line for each committed (read-only) blob, a key's newest first.
  for part in "$@"; do
    ls -ln "$part" | while read -r mode _ _ _ size _ _ _ name; do
      case $mode:$name in
        -r--r--r--*:*@*) echo "${name%@*} ${name##*@} $size $part/$name" ;;
      esac
    done
  done | sort -t ' ' -k 1,1 -k 2,2r
}

recorded() { # Bytes 4 to 11 of the attribute: the length, lowest byte first.
  hex=$(getfattr --absolute-names -e hex -n user.c "$1" 2>&1) || return 0
  hex=${hex#*user.c=0x????????} && length=0 && shift=0
  while [ "$shift" -lt 64 ]; do
    rest=${hex#??} && length=$((length + (0x${hex%"$rest"} << shift)))
    hex=$rest && shift=$((shift + 8))
  done
  echo "$length"
}

for directory in "$@"; do set -- "$@" "$directory"/[0-9a-f][0-9a-f] && shift; done
list "$@" | while read -r key version size path; do
  [ "$key" != "${settled-}" ] || continue
  if [ "$version" != "${version%.gone}" ]; then settled=$key && continue; fi
  if [ "$(recorded "$path")" != "$size" ]; then echo "torn: $path" >&2 && continue; fi
  cp "$path" "$out/$key" && settled=$key
done
