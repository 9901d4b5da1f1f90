#!/usr/bin/env bash
# Run every command on 20,000 rows as in the barest container: a Debian root that cannot be written, no home, no
# temporary folder, and a user without a name. Only /out can be written, and the commands do not start there.
#
#   tests/machines/check_read_only.sh FOLDER    as root, on Debian with debootstrap and uv
#
# FOLDER keeps the root for the next run. What was mounted ends with the script.
set -euo pipefail
[ -n "${ALONE:-}" ] || ALONE=yes exec unshare --mount "$0" "$@"
root=$(realpath -m "${1:?Name a folder for the root.}")/$(dpkg --print-architecture)
cd "$(dirname "$0")/../.."

if [ ! -d "$root" ]; then
  debootstrap --variant=minbase --include=python3 bookworm "$root.partial"
  mv "$root.partial" "$root"
fi
uv pip install --quiet --python-version 3.11 --reinstall-package energyknn \
  --target "$root/usr/local/lib/python3.11/dist-packages" '.[report,formats]'
mkdir -p "$root/out"
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/out"
mount -o remount,bind,ro "$root"

energyknn() {
  echo "\$ energyknn $*"
  chroot --userspec=4711:4711 "$root" env -i PATH=/usr/bin LANG=C.UTF-8 python3 -m energyknn "$@"
}
energyknn sample --rows 20000 --out /out/tracks.csv
energyknn describe --data /out/tracks.csv
energyknn tune --data /out/tracks.csv --top 3 --out /out/tuned.json
energyknn fit --from /out/tuned.json --out /out/tuned.safetensors
energyknn fit --data /out/tracks.csv --out /out/learned.safetensors
energyknn predict --model /out/learned.safetensors --data /out/tracks.csv --out /out/predicted.parquet
energyknn reproduce --data /out/tracks.csv --out /out/results
ls -l "$root/out" "$root/out/results"
