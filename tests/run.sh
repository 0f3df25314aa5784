#!/bin/sh
# Installs what the tests need, builds, passes all tests.   sh tests/run.sh [--deep] [ctest options]
#
#   --deep   before an issue is closed: also ThreadSanitizer, AddressSanitizer, long fuzz and crash runs,
#            1,000 SIGKILLs, leatd for 32-bit ARM in an emulator, benches, and both commands of the README in a
#            fresh Debian (at most 70 minutes)
#
# All that it makes is in build/tests (LEAT_BUILD to change that), the compiler's cache and the registries' caches.
set -eu

# A shell hears of a signal only after what it waits for, and what it has started outlives it. So all of a run is one
# group of processes, with `timeout` (which limits no time here) at its head, and ends with this first shell.
if [ -z "${LEAT_RUN:-}" ]; then
    LEAT_RUN=$$ timeout -k 20 0 sh "$0" "$@" </dev/null &
    group=$!
    trap 'trap "" INT TERM HUP; kill -INT $group 2>/dev/null; wait $group; exit 130' INT TERM HUP
    code=0
    wait $group || code=$?
    exit $code
fi
first=$LEAT_RUN
unset LEAT_RUN
# SIGINT first: tests that mounted something clean up. No child of this shell: a `wait` for all would wait for it.
watching=$( (while kill -0 "$first" 2>/dev/null; do sleep 1; done; kill -INT 0; sleep 5; kill -KILL 0) >/dev/null 2>&1 & echo $!)
trap 'kill $watching 2>/dev/null || true' EXIT

root=$(cd "$(dirname "$0")/.." && pwd)
build=${LEAT_BUILD:-$root/build/tests}
. "$root/tests/need.sh"
started=$(date +%s)
stage() { say "[$(($(date +%s) - started)) s] $*"; }

deep=
case ${1:-} in
--deep) deep=1; shift ;;
-h|--help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac

check_versions
check_java
mkdir -p "$build"
build=$(cd "$build" && pwd)
command -v flock >/dev/null 2>&1 || die "flock is missing." "Install it: apt-get install util-linux"
exec 8>"$build/.lock"
if ! flock -n 8; then
    say "another run works in $build: waiting for it (LEAT_BUILD=DIR gives this one a folder of its own)"
    flock 8
fi

need_packages "$build/apt.log" \
    g++ cmake ninja-build ccache python3 python3-venv procps util-linux binutils strace e2fsprogs ca-certificates \
    libasio-dev nlohmann-json3-dev libmbedtls-dev doctest-dev libcli11-dev \
    liblz4-dev libzstd-dev libsnappy-dev zlib1g-dev \
    clang-14 libclang-rt-14-dev \
    gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-dev qemu-system-arm \
    kcat librdkafka-dev openjdk-17-jre-headless maven
check_versions must
cores=$(nproc)
export CCACHE_BASEDIR="$root" CCACHE_NOHASHDIR=1 CCACHE_COMPILERCHECK=content
export NINJA_STATUS="[%f/%t %es] "

# What comes from registries is fetched while the compiler works.
LEAT_KAFKA_JARS=${LEAT_KAFKA_JARS:-$build/kafka-4.3.1}
LEAT_PYTHON=$build/venv/bin/python3
export LEAT_KAFKA_JARS LEAT_PYTHON
: >"$build/fetch.log"
sh "$root/tests/interop/fetch.sh" "$build/venv" >"$build/fetch.log" 2>&1 8>&- &
fetching=$!
trap 'kill $fetching $watching 2>/dev/null || true' EXIT

# make_build FOLDER PRESET TARGET...
make_build() {
    folder=$1 preset=$2; shift 2
    cmake -G Ninja -C "$root/cmake/presets/$preset.cmake" -S "$root" -B "$folder" \
            "-DLEAT_FUZZ_BUILD=$build/fuzz" "-DLEAT_KAFKA_JARS=$LEAT_KAFKA_JARS" "-DLEAT_PYTHON=$LEAT_PYTHON" >"$folder.configure.log" 2>&1 8>&- || {
        tail -n 30 "$folder.configure.log" >&2
        die "CMake could not configure $folder (preset $preset)." "The whole log: $folder.configure.log"
    }
    ninja -C "$folder" -j "$cores" -k 5 "$@" 8>&- || die "the build in $folder failed; the first error is above." \
        "Again, alone: ninja -C $folder $*"
}

stage "building the fuzzers (Clang, AddressSanitizer)"
make_build "$build/fuzz" fuzz fuzzers
stage "building everything (GCC, release)"
make_build "$build/release" release all

stage "waiting for what comes from registries"
wait "$fetching" || { cat "$build/fetch.log" >&2
    die "a registry did not give what the interoperability tests need." "Run again when it is reachable."; }
trap 'kill $watching 2>/dev/null || true' EXIT

# run_tests FOLDER CTEST_OPTION...: the ten slowest, what failed, and last ctest's own summary line.
run_tests() {
    folder=$1; shift
    log=$folder/ctest.log
    rc=0
    { (cd "$folder" && ctest -j "$cores" --output-on-failure --no-label-summary "$@" 8>&- </dev/null) || echo $? >"$folder/ctest.rc"; } |
        tee "$log"
    [ ! -e "$folder/ctest.rc" ] || { rc=$(cat "$folder/ctest.rc"); rm -f "$folder/ctest.rc"; }
    say "the ten slowest:"
    sed -n 's/^ *[0-9]*\/[0-9]* Test *#[0-9]*: \([^ ]*\) .* \([0-9.]*\) sec.*$/\2 s  \1/p' "$log" | sort -rn | head -n 10
    return "$rc"
}
summary() { grep -E '^[0-9]+% tests passed' "$1/ctest.log" | tail -n 1; }

# All of them; what failed only for a race against a busy machine gets one more try.
test_here() {
    stage "running the tests"
    rm -f "$build/release/ctest.rc"
    if ! run_tests "$build/release" "$@"; then
        cp "$build/release/ctest.log" "$build/release/ctest.first.log"
        # Tests that drive other programs in real time may lose a race against a busy machine. If nothing else failed, they
        # get one more try, alone, and the report says so.
        failed=$(sed -n 's/^\t *[0-9]* - \([^ ]*\) (.*/\1/p' "$build/release/ctest.log")
        realtime=$(cd "$build/release" && ctest -N -L realtime | sed -n 's/^ *Test *#[0-9]*: //p')
        again=yes
        [ -n "$failed" ] && [ -z "$deep" ] || again=
        for test in $failed; do
            printf '%s\n' "$realtime" | grep -qx "$test" || again=
        done
        if [ -n "$again" ]; then
            say "failed once, running alone: $failed"
            run_tests "$build/release" --rerun-failed -j 1 && say "passed only alone, at the second try: $failed" || again=
        fi
        if [ -z "$again" ]; then
            say "failed: $(printf '%s ' $failed)"
            say "one again: cd $build/release && ctest -V -R '^NAME\$'"
            summary "$build/release"
            exit 1
        fi
    fi
}
# --deep as root passes them in the fresh Debian instead (deep.sh); once is enough.
in_fresh=
[ -z "$deep" ] || [ "$(id -u)" != 0 ] || [ $# -gt 0 ] || in_fresh=yes
[ -n "$in_fresh" ] || test_here "$@"

if [ -n "$deep" ]; then
    stage "deep: the long runs"
    . "$root/tests/deep.sh"
fi
stage "all passed"
if [ -n "$in_fresh" ]; then fresh_summary; else summary "$build/release"; fi
