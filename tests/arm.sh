#!/bin/sh
# leatd for ARM Linux, built here and run in an emulator through tests of the process:   sh tests/arm.sh [armhf|arm64]
#
# All that it makes is in build/armhf or build/arm64 (LEAT_BUILD to change that).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tests/need.sh"
arch=${1:-armhf}
case $arch in
armhf) emulator="qemu-arm-static -L /usr/arm-linux-gnueabihf" ;;
arm64) emulator="qemu-aarch64-static -L /usr/aarch64-linux-gnu" ;;
*) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
build=${LEAT_BUILD:-$root/build/$arch}
mkdir -p "$build"
need_packages "$build/apt.log" cmake ninja-build ccache python3 kcat
sh "$root/cmake/presets/arm_root.sh" "$arch" "$build/root"
export CCACHE_BASEDIR="$root" CCACHE_NOHASHDIR=1 CCACHE_COMPILERCHECK=content
cmake -DLEAT_ARM_ROOT="$build/root" -G Ninja -C "$root/cmake/presets/$arch.cmake" -DLEAT_BUILD_TESTS=OFF -S "$root" \
        -B "$build/release" >"$build/configure.log" 2>&1 || {
    tail -n 30 "$build/configure.log" >&2
    die "CMake could not configure the build for $arch."
}
ninja -C "$build/release" leatd leat || die "the build for $arch failed; the first error is above."

# The tests start this program; exec keeps the process id that they kill.
printf '#!/bin/sh\nexec %s %s "$@"\n' "$emulator" "$build/release/broker/leatd" >"$build/leatd"
chmod +x "$build/leatd"
work=$(mktemp -d "$build/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=
for name in config start survive compressed flash log_tool; do
    say "process_$name on $arch"
    LEATD=$build/leatd LEAT_SANITIZED=1 PYTHONDONTWRITEBYTECODE=1 \
        python3 "$root/tests/process/${name}_test.py" >"$build/$name.log" 2>&1 && continue
    tail -n 30 "$build/$name.log" >&2
    failed="$failed $name"
done

# A 32-bit program still has a log beyond 2 GiB.
timeout -s TERM 20 "$build/leatd" --data "$work/large" --listen 127.0.0.1:0 --budget 3GiB >"$build/large.log" 2>&1 || true
size=$(stat -c %s "$work/large/leat.log")
[ "$size" = 3221225472 ] || { say "a log of 3 GiB became one of $size bytes"; failed="$failed large"; }
[ -z "$failed" ] || die "on $arch failed:$failed" "The logs are in $build."
say "all passed on $arch"
