#!/bin/sh
# Runs Leat's main job on this machine's real sensors: a device program, a gateway whose power is cut, a center that is
# away for a while. About half a minute after the build.     sh firmware-examples/demo.sh [--kafka] [--keep]
#
#   --kafka   the center is a real Apache Kafka 4.3.1 (fetched with Maven) instead of a second leatd
#   --keep    leaves everything running at the end and prints commands to try
#
# Installs the Debian packages that are missing, builds a release, works in build/demo; the figures are left in
# build/demo/result.json. Exit code 0: everything acknowledged is at the center, in order.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=${LEAT_DEMO:-$root/build/demo}
. "$root/tests/need.sh"

kafka= keep=
for word in "$@"; do
    case $word in
    --kafka) kafka=--kafka ;;
    --keep) keep=--keep ;;
    -h|--help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "unknown option $word." "sh firmware-examples/demo.sh [--kafka] [--keep]" ;;
    esac
done

check_versions
[ -z "$kafka" ] || check_java
mkdir -p "$work"
work=$(cd "$work" && pwd)
command -v flock >/dev/null 2>&1 || die "flock is missing." "Install it: apt-get install util-linux"
exec 8>"$work/.lock"
if ! flock -n 8; then
    say "another demo runs in $work: waiting for its end (LEAT_DEMO=DIR gives this one a folder of its own)"
    flock 8
fi
need_packages "$work/apt.log" g++ cmake ninja-build ccache python3 kcat e2fsprogs util-linux mount \
    libasio-dev nlohmann-json3-dev libmbedtls-dev libcli11-dev liblz4-dev libzstd-dev libsnappy-dev zlib1g-dev \
    ${kafka:+openjdk-17-jre-headless maven}
check_versions must

LEAT_KAFKA_JARS=${LEAT_KAFKA_JARS:-$work/kafka-4.3.1}
export LEAT_KAFKA_JARS
if [ -n "$kafka" ]; then
    say "fetching Apache Kafka 4.3.1"
    sh "$root/tests/interop/kafka/kafka.sh" jars >/dev/null 8>&-
fi

say "building a release in $work/release"
export CCACHE_BASEDIR="$root" CCACHE_NOHASHDIR=1 CCACHE_COMPILERCHECK=content NINJA_STATUS="[%f/%t] "
cmake -G Ninja -C "$root/cmake/presets/release.cmake" -S "$root" -B "$work/release" -DLEAT_BUILD_TESTS=OFF \
        >"$work/configure.log" 2>&1 8>&- || {
    tail -n 30 "$work/configure.log" >&2
    die "CMake could not configure the build." "The whole log: $work/configure.log"
}
ninja -C "$work/release" leatd linux-agent leat 8>&- || die "the build failed; the first error is above."

programs=$(cd "$work/release" && pwd)
find_program() { find "$programs" -type f -name "$1" -perm -u+x | head -n 1; }

code=0
PYTHONDONTWRITEBYTECODE=1 python3 "$root/firmware-examples/demo/demo.py" --folder "$work" --jars "$LEAT_KAFKA_JARS" \
    --leatd "$(find_program leatd)" --agent "$(find_program linux-agent)" --leat "$(find_program leat)" $kafka $keep 8>&- &
demo=$!
trap 'kill -TERM $demo 2>/dev/null; wait $demo 2>/dev/null; exit 130' INT TERM HUP
wait $demo || code=$?
[ "$code" = 0 ] || say "the demo did not pass (exit code $code); the logs are in $work"
exit "$code"
