#!/bin/sh
# Power cuts of a real ext4 and xfs under leatd, as root:   sh tests/crash/run.sh [--fs ext4,xfs] [--states N] [--rounds N] [--seed S]
# Builds a release in build/crash. LEAT_CRASH: another folder, best one in memory (a few hundred MB).
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=${LEAT_CRASH:-$root/build/crash}
. "$root/tests/need.sh"
check_versions
[ "$(id -u)" = 0 ] || die "this needs root: it mounts file systems."
[ -e /dev/fuse ] || die "there is no /dev/fuse: the recorder is a FUSE file system." "modprobe fuse"
mkdir -p "$work"
work=$(cd "$work" && pwd)
exec 8>"$work/.lock"
flock -n 8 || die "another run is in $work."
need_packages "$work/apt.log" g++ cmake ninja-build ccache python3 e2fsprogs xfsprogs util-linux mount kcat doctest-dev \
    libasio-dev nlohmann-json3-dev libmbedtls-dev libcli11-dev liblz4-dev libzstd-dev libsnappy-dev zlib1g-dev librdkafka-dev
check_versions must
export CCACHE_BASEDIR="$root" CCACHE_NOHASHDIR=1 CCACHE_COMPILERCHECK=content PYTHONDONTWRITEBYTECODE=1
cmake -G Ninja -C "$root/cmake/presets/release.cmake" -S "$root" -B "$work/release" >"$work/configure.log" 2>&1 8>&- ||
    { tail -n 30 "$work/configure.log" >&2; die "CMake could not configure the build."; }
ninja -C "$work/release" leatd leat 8>&- || die "the build failed; the first error is above."
exec python3 "$root/tests/crash/crash.py" --leatd "$(find "$work/release" -type f -name leatd -perm -u+x | head -n 1)" \
    --leat "$(find "$work/release" -type f -name leat -perm -u+x | head -n 1)" --work "$work/states" "$@" 8>&-
