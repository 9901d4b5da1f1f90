#!/usr/bin/env bash
# Test on arm64, which qemu emulates: the golden bits first, then the tests of neighbors, tuning and estimators.
#
#   tests/machines/check_arm64.sh FOLDER [TEST ...]    as root, on Debian with debootstrap, qemu-user-static and uv
#
# FOLDER keeps the root and the kernels that were compiled in it for the next run. What was mounted ends with the script.
set -euo pipefail
[ -n "${ALONE:-}" ] || ALONE=yes exec unshare --mount "$0" "$@"
root=$(realpath -m "${1:?Name a folder for the root.}")/arm64
shift
cd "$(dirname "$0")/../.."

formats=/proc/sys/fs/binfmt_misc
[ -e $formats/register ] || mount -t binfmt_misc binfmt_misc $formats
if [ ! -e $formats/qemu-aarch64 ]; then # where systemd does not run
  trap 'echo -1 > $formats/qemu-aarch64' EXIT
  cat /usr/lib/binfmt.d/qemu-aarch64.conf > $formats/register
fi

if [ ! -d "$root" ]; then
  debootstrap --arch=arm64 --variant=minbase --include=python3 bookworm "$root.partial"
  mv "$root.partial" "$root"
fi
uv pip install --quiet --python-platform aarch64-manylinux_2_28 --python-version 3.11 \
  --target "$root/usr/local/lib/python3.11/dist-packages" '.[report,formats]' --group test
rm -rf "$root/src/tests"
mkdir -p "$root/src"
git ls-files -z | tar --create --null --files-from=- | tar --extract --directory="$root/src"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"

run_tests() {
  chroot "$root" env -i --chdir=/src PATH=/usr/bin HOME=/root LANG=C.UTF-8 QEMU_CPU=neoverse-n1 \
    python3 -m pytest -p no:cacheprovider "$@"
}
run_tests tests/project/test_bits.py
[ $# -gt 0 ] || set -- tests/neighbors tests/tuning tests/estimators
# qemu does as if it set a limit of memory, and sets none.
run_tests -n auto --dist loadfile "$@" \
  --deselect tests/neighbors/test_memory.py::test_under_a_real_limit_a_search_says_so_and_a_smaller_one_runs
