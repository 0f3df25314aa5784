#!/bin/sh
# Measures leatd beside a real Apache Kafka 4.3.1 with the same clients, as root:   sh tests/bench/run.sh [--quick] [--groups|--storms] [--only NAME]
# What leatd, NATS, Redis, SQLite and Kafka write to the flash for the same records:   sh tests/bench/run.sh --wear [--quick] [--only NAMES]
# How long a log of 1 GiB holds ten lone records a second (in process, any user):             sh tests/bench/run.sh --lone
# What the log gives a reader of a backlog, and whether 10,000 partitions cost more than 10 (ratios): sh tests/bench/run.sh --reads
# Builds a release in build/bench, leaves the figures in build/bench/result.json and wear.json.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=${LEAT_BENCH:-$root/build/bench}
. "$root/tests/need.sh"
check_versions
if [ "${1:-}" = --lone ]; then
    mkdir -p "$work"
    cmake -G Ninja -C "$root/cmake/presets/release.cmake" -S "$root" -B "$work/release" >"$work/configure.log" 2>&1 ||
        { tail -n 30 "$work/configure.log" >&2; die "CMake could not configure the build."; }
    ninja -C "$work/release" lone_records_bench || die "the build failed; the first error is above."
    exec "$work/release/tests/bench/lone_records_bench" "$work/lone.log"
fi
if [ "${1:-}" = --reads ]; then
    mkdir -p "$work/reads"
    cmake -G Ninja -C "$root/cmake/presets/release.cmake" -S "$root" -B "$work/release" >"$work/configure.log" 2>&1 ||
        { tail -n 30 "$work/configure.log" >&2; die "CMake could not configure the build."; }
    ninja -C "$work/release" reads_bench partitions_bench || die "the build failed; the first error is above."
    "$work/release/tests/bench/reads_bench" "$work/reads"
    exec "$work/release/tests/bench/partitions_bench"
fi
check_java
[ "$(id -u)" = 0 ] || die "the bench needs root: it mounts loop devices and counts their flushes."
wear=
[ "${1:-}" != --wear ] || { wear=yes; shift; }
mkdir -p "$work"
work=$(cd "$work" && pwd)
exec 8>"$work/.lock"
flock -n 8 || die "another bench runs in $work; two at once would measure each other."
need_packages "$work/apt.log" g++ cmake ninja-build ccache python3 e2fsprogs util-linux mount binutils doctest-dev \
    libasio-dev nlohmann-json3-dev libmbedtls-dev libcli11-dev liblz4-dev libzstd-dev libsnappy-dev zlib1g-dev \
    librdkafka-dev kcat openjdk-17-jre-headless maven ${wear:+python3-venv}
check_versions must
LEAT_KAFKA_JARS=${LEAT_KAFKA_JARS:-$work/kafka-4.3.1}
export LEAT_KAFKA_JARS CCACHE_BASEDIR="$root" CCACHE_NOHASHDIR=1 CCACHE_COMPILERCHECK=content
sh "$root/tests/interop/kafka/kafka.sh" jars >/dev/null 8>&-
[ -z "$wear" ] || sh "$root/tests/bench/fetch_peers.sh" "$work/peers" 8>&-
cmake -G Ninja -C "$root/cmake/presets/release.cmake" -S "$root" -B "$work/release" >"$work/configure.log" 2>&1 8>&- ||
    { tail -n 30 "$work/configure.log" >&2; die "CMake could not configure the build."; }
ninja -C "$work/release" leatd rdkafka_bench groups_bench 8>&- || die "the build failed; the first error is above."
leatd=$(find "$work/release" -type f -name leatd -perm -u+x | head -n 1)
export PYTHONDONTWRITEBYTECODE=1
set -- --folder "$work" --leatd "$leatd" --client "$work/release/tests/bench/rdkafka_bench" "$@"
[ -z "$wear" ] || exec python3 "$root/tests/bench/wear.py" --peers "$work/peers" "$@" 8>&-
exec python3 "$root/tests/bench/bench.py" --groups-client "$work/release/tests/bench/groups_bench" "$@" 8>&-
